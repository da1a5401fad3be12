"""What each RPC may be refused with, beside what every call may meet: the table that the contract's comments state.

Promises one place for it; tests hold every error that a service answers against it.
"""

from typing import Final

from service.domain import errors as e
from service.rpc.methods import Method

EVERY_CALL: Final[frozenset[type[e.HoldlineError]]] = frozenset({
    e.InvalidRequest, e.RequestTooLarge, e.RoleRequired, e.Overloaded, e.StoreUnavailable, e.EngineUnavailable,
    e.BuildLacksPlaybook, e.Draining, e.DeadlineExpired, e.AnswerTooLarge, e.InternalError,
})  # fmt: skip
"""What any call may meet; protos/README.md tells of them."""

Kinds = tuple[type[e.HoldlineError], ...]
_WRITE: Final = (e.IdempotencyKeyReused, e.ModeReadOnly)
_DECIDE: Final = (
    *_WRITE, e.AccountNotFound, e.AccountExists, e.AccountClosed, e.NoLimitAssigned, e.PolicyNotFound, e.VersionMismatch,
)  # fmt: skip
_DRAW: Final = (*_WRITE, e.AccountNotFound, e.AccountClosed, e.NoLimitAssigned)
_OF_A_HOLD: Final = (*_DRAW, e.HoldNotFound, e.HoldOver)
_EVENTS: Final = (e.IdempotencyKeyReused, e.ModeReadOnly, e.AccountNotFound, e.AccountClosed, e.EventTooOld, e.BehaviourFull)
