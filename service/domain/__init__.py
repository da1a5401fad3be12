"""The rules of lending: pure, synchronous, integers only.

Promises that the same inputs give the same bits. Knows no gRPC, SQL, clock, log or file; everything else depends on
this package, never the reverse.
"""
