"""Every error that a caller of Holdline can meet.

    HoldlineError
    ├── InvalidRequest          mend the request
    │   └── RequestTooLarge
    ├── NotFound                mend the name
    │   ├── AccountNotFound
    │   ├── DecisionNotFound
    │   └── PolicyNotFound
    ├── AlreadyExists           what you ask for stands already, or the key is taken
    │   ├── IdempotencyKeyReused
    │   ├── AccountExists
    │   └── PolicyVersionExists
    ├── VersionMismatch         read again, decide again
    ├── Refused                 retrying unchanged won't help
    │   ├── AccountClosed
    │   ├── NoLimitAssigned
    │   └── PolicyStateRefused
    ├── RoleRequired            ask for the role
    ├── Overloaded              wait, then retry with the same key
    ├── Unavailable             retry with the same key
    │   ├── StoreUnavailable
    │   ├── EngineUnavailable
    │   └── Draining
    ├── DeadlineExpired         retry with the same key and more time
    └── InternalError           a bug of ours

A class stands for one thing that a caller can do about it. Its docstring is the message; facts are attributes and
travel as `metadata`. The class name in capitals is the reason in the contract.
"""

from typing import NamedTuple


class Violation(NamedTuple):
    """One field at fault: its path in the request, and what is wrong with the way out."""

    field: str
    description: str


class HoldlineError(Exception):
    """Holdline refused."""

    reason: str = "INTERNAL"
    retry_after_ms: int = 0
    """How long to wait before a retry, in milliseconds; 0 where a retry won't help."""

    def __init__(self, message: str = "", **metadata: str) -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n", maxsplit=1)[0])
        self.metadata = metadata

    @property
    def message(self) -> str:
        """The sentence for the caller."""
        return str(self)


class InvalidRequest(HoldlineError):
    """The request has fields at fault; each is named in the violations."""

    reason = "INVALID_REQUEST"

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        text = "; ".join(f"{violation.field}: {violation.description}" for violation in violations[:8])
        super().__init__(text, violations=str(len(violations)))
        self.violations = violations


class RequestTooLarge(HoldlineError):
    """The message is larger than this RPC takes; send fewer or smaller items."""

    reason = "REQUEST_TOO_LARGE"

    def __init__(self, size: int, size_max: int) -> None:
        super().__init__(bytes=str(size), bytes_max=str(size_max))


class NotFound(HoldlineError):
    """No such thing."""


class AccountNotFound(NotFound):
    """No such account; ASSIGN creates one."""

    reason = "ACCOUNT_NOT_FOUND"

    def __init__(self, account_id: str) -> None:
        super().__init__(account_id=account_id)


class DecisionNotFound(NotFound):
    """No such decision."""

    reason = "DECISION_NOT_FOUND"

    def __init__(self, decision_id: str) -> None:
        super().__init__(decision_id=decision_id)


class PolicyNotFound(NotFound):
    """No such policy version, or no policy is active for the product."""

    reason = "POLICY_NOT_FOUND"


class AlreadyExists(HoldlineError):
    """It stands already."""


class IdempotencyKeyReused(AlreadyExists):
    """The request id was used for another request; a new request needs a new id."""

    reason = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self, request_id: str) -> None:
        super().__init__(request_id=request_id)


class AccountExists(AlreadyExists):
    """The account has a limit already; ask for RAISE, REDUCE or REVIEW."""

    reason = "ACCOUNT_EXISTS"

    def __init__(self, account_id: str) -> None:
        super().__init__(account_id=account_id)


class PolicyVersionExists(AlreadyExists):
    """This policy version was published with other content; publish under a new version."""

    reason = "POLICY_VERSION_EXISTS"

    def __init__(self, version: str, content_hash: str) -> None:
        super().__init__(version=version, content_hash=content_hash)


class VersionMismatch(HoldlineError):
    """The account is not at the expected version; read it and decide again."""

    reason = "VERSION_MISMATCH"

    def __init__(self, account_id: str, expected: int, actual: int) -> None:
        super().__init__(account_id=account_id, expected_version=str(expected), actual_version=str(actual))


class Refused(HoldlineError):
    """The state of things rules this out."""


class AccountClosed(Refused):
    """The account is closed."""

    reason = "ACCOUNT_CLOSED"

    def __init__(self, account_id: str) -> None:
        super().__init__(account_id=account_id)


class NoLimitAssigned(Refused):
    """The account has no first limit yet; ask for ASSIGN."""

    reason = "NO_LIMIT_ASSIGNED"

    def __init__(self, account_id: str) -> None:
        super().__init__(account_id=account_id)


class PolicyStateRefused(Refused):
    """The policy version is not in a state that allows this."""

    reason = "POLICY_STATE"

    def __init__(self, message: str, version: str, state: str) -> None:
        super().__init__(message, version=version, state=state)


class RoleRequired(HoldlineError):
    """The caller lacks the role that this RPC asks for."""

    reason = "ROLE_REQUIRED"

    def __init__(self, role: str) -> None:
        super().__init__(role=role)


class Overloaded(HoldlineError):
    """Shed under overload; nothing was written, wait and retry with the same request id."""

    reason = "OVERLOADED"

    def __init__(self, criticality: str, retry_after_ms: int) -> None:
        super().__init__(criticality=criticality)
        self.retry_after_ms = retry_after_ms


class Unavailable(HoldlineError):
    """Not to be had right now; retry with the same request id."""

    retry_after_ms = 200


class StoreUnavailable(Unavailable):
    """The store refused the write, nothing half written; retry with the same request id."""

    reason = "STORE_UNAVAILABLE"
    retry_after_ms = 500


class EngineUnavailable(Unavailable):
    """The engine is out of reach; a retry with the same request id learns whether the decision was made."""

    reason = "ENGINE_UNAVAILABLE"


class Draining(Unavailable):
    """This server is shutting down; nothing was written, retry with the same request id."""

    reason = "DRAINING"


class DeadlineExpired(HoldlineError):
    """The deadline had passed before the work began; nothing was written."""

    reason = "DEADLINE_EXPIRED"


class InternalError(HoldlineError):
    """A bug in Holdline; its log has the trace."""

    def __init__(self, trace_id: str) -> None:
        super().__init__(trace_id=trace_id)
