"""Translation between the contract (holdline.v1) and the domain: the only server code that knows protos.

Promises that a request is either understood whole or refused with every violation, and that an answer says what was
recorded.
"""
