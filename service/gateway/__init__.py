"""The gateway: asynchronous, speaks gRPC, holds no truth.

Promises that request bytes pass on as they came and answers as the engine gave them; identity, deadline, admission
and drain are decided here.
"""
