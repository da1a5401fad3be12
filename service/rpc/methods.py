"""The RPCs that the engine answers: their paths, their kind, the largest request each takes.

Promises one place to add an RPC; its index travels between the processes of one build and is never stored.
"""

from enum import Enum
from typing import Final, NamedTuple

UNARY_BYTES_MAX: Final = 16 * 1024
BATCH_BYTES_MAX: Final = 1024 * 1024
"""1,000 requests with every fact are about 250 KiB."""


class Shape(Enum):
    """How a method is called and answered."""

    DECISION = "decision"
    BATCH = "batch"
    STREAM = "stream"
    QUERY = "query"


class Method(NamedTuple):
    """One RPC; `bytes_max` bounds one request message."""

    path: str
    shape: Shape
    bytes_max: int


_LIMITS: Final = "/holdline.v1.LimitService/"
_POLICIES: Final = "/holdline.v1.PolicyService/"

METHODS: Final = (
    Method(f"{_LIMITS}Decide", Shape.DECISION, UNARY_BYTES_MAX),
    Method(f"{_LIMITS}BatchDecide", Shape.BATCH, BATCH_BYTES_MAX),
    Method(f"{_LIMITS}StreamDecisions", Shape.STREAM, BATCH_BYTES_MAX),
    Method(f"{_LIMITS}ImportAccounts", Shape.BATCH, BATCH_BYTES_MAX),
    Method(f"{_LIMITS}Evaluate", Shape.QUERY, UNARY_BYTES_MAX),
    Method(f"{_LIMITS}GetAccount", Shape.QUERY, UNARY_BYTES_MAX),
    Method(f"{_LIMITS}ListDecisions", Shape.QUERY, UNARY_BYTES_MAX),
    Method(f"{_LIMITS}ExplainDecision", Shape.QUERY, UNARY_BYTES_MAX),
    Method(f"{_POLICIES}ValidatePolicy", Shape.QUERY, BATCH_BYTES_MAX),
    Method(f"{_POLICIES}PublishPolicy", Shape.QUERY, BATCH_BYTES_MAX),
    Method(f"{_POLICIES}GetPolicy", Shape.QUERY, UNARY_BYTES_MAX),
    Method(f"{_POLICIES}ListPolicies", Shape.QUERY, UNARY_BYTES_MAX),
    Method(f"{_POLICIES}PromotePolicy", Shape.QUERY, UNARY_BYTES_MAX),
    Method(f"{_POLICIES}RollbackPolicy", Shape.QUERY, UNARY_BYTES_MAX),
)

INDEX_OF: Final = {method.path: index for index, method in enumerate(METHODS)}
"""Index of a method by its path."""
