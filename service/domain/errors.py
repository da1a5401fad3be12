"""Every error that a caller of Holdline can meet.

    HoldlineError
    ├── InvalidRequest          mend the request
    │   └── RequestTooLarge
    ├── NotFound                mend the name
    │   ├── AccountNotFound, DecisionNotFound, HoldNotFound, PostingNotFound, RunNotFound, CaseNotFound
    │   └── PolicyNotFound, PlaybookNotFound, ActivationNotFound, OperationNotFound
    ├── AlreadyExists           what you ask for stands already, or the key is taken
    │   ├── IdempotencyKeyReused
    │   ├── AccountExists
    │   ├── PolicyVersionExists
    │   ├── ActivationExists
    │   └── AppealExists
    ├── VersionMismatch         read again, decide again
    ├── Refused                 retrying unchanged won't help
    │   ├── AccountClosed
    │   ├── NoLimitAssigned
    │   ├── HoldOver
    │   ├── CaptureExceedsHold
    │   ├── RepaymentExceedsDebt
    │   ├── TooManyHolds
    │   ├── DayClosed
    │   ├── DayOpen
    │   ├── PolicyStateRefused
    │   ├── PlaybookRetired
    │   ├── PlaybookConflict
    │   ├── ActivationOver
    │   ├── ApprovalRefused, BuildMix, ClockNotConfirmed, OperationNotCancellable
    │   ├── NothingToAppeal
    │   ├── CaseOver
    │   ├── AppealHeld
    │   ├── EventTooOld
    │   ├── BehaviourFull
    │   ├── AnswerTooLarge
    │   └── ModeReadOnly
    ├── RoleRequired            ask for the role
    ├── Overloaded              wait, then retry with the same key
    ├── Unavailable             retry with the same key
    │   ├── StoreUnavailable
    │   ├── EngineUnavailable
    │   ├── BuildLacksPlaybook
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
        shown = [f"{violation.field}: {violation.description}" for violation in violations[:8]]
        more = [f"and {len(violations) - 8} more"] if len(violations) > len(shown) else []
        super().__init__("; ".join(shown + more), violations=str(len(violations)))
        self.violations = violations


class RequestTooLarge(HoldlineError):
    """The message is larger than this RPC takes; send fewer or smaller items."""

    reason = "REQUEST_TOO_LARGE"


class NotFound(HoldlineError):
    """No such thing."""


class AccountNotFound(NotFound):
    """No such account; ASSIGN creates one."""

    reason = "ACCOUNT_NOT_FOUND"


class DecisionNotFound(NotFound):
    """No such decision."""

    reason = "DECISION_NOT_FOUND"


class HoldNotFound(NotFound):
    """The account has no such hold."""

    reason = "HOLD_NOT_FOUND"


class PostingNotFound(NotFound):
    """No such posting, or none that the caller made with this request id."""

    reason = "POSTING_NOT_FOUND"


class CaseNotFound(NotFound):
    """No such case."""

    reason = "CASE_NOT_FOUND"


class RunNotFound(NotFound):
    """There was no daily run, or no closing, for this business date."""

    reason = "RUN_NOT_FOUND"


class PolicyNotFound(NotFound):
    """No such policy version, or no policy is active for the product."""

    reason = "POLICY_NOT_FOUND"


class PlaybookNotFound(NotFound):
    """No such playbook or version in this build; `ListPlaybooks` names them."""

    reason = "PLAYBOOK_NOT_FOUND"

    def __init__(self, playbook: str, version: int, known: str) -> None:
        super().__init__(playbook=playbook, version=str(version), known=known)


class ActivationNotFound(NotFound):
    """No such activation; `GetMode` names those in force."""

    reason = "ACTIVATION_NOT_FOUND"


class AlreadyExists(HoldlineError):
    """It stands already."""


class IdempotencyKeyReused(AlreadyExists):
    """The request id was used for another request; a new request needs a new id."""

    reason = "IDEMPOTENCY_KEY_REUSED"


class AccountExists(AlreadyExists):
    """The account has a limit already; ask for RAISE, REDUCE or REVIEW."""

    reason = "ACCOUNT_EXISTS"


class PolicyVersionExists(AlreadyExists):
    """This policy version was published with other content; publish under a new version."""

    reason = "POLICY_VERSION_EXISTS"


class ActivationExists(AlreadyExists):
    """The same playbook is active or waits for approval in an overlapping scope; extend, approve or end that one."""

    reason = "ACTIVATION_EXISTS"


class AppealExists(AlreadyExists):
    """The decision is appealed already; look at its case."""

    reason = "APPEAL_EXISTS"


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


class NoLimitAssigned(Refused):
    """The account has no first limit yet; ask for ASSIGN."""

    reason = "NO_LIMIT_ASSIGNED"


class HoldOver(Refused):
    """The hold is captured, voided or expired; authorise a new draw."""

    reason = "HOLD_OVER"


class CaptureExceedsHold(Refused):
    """More was asked to be captured than is left of the hold."""

    reason = "CAPTURE_EXCEEDS_HOLD"


class RepaymentExceedsDebt(Refused):
    """More was paid back than is outstanding; record what is owed and return the rest."""

    reason = "REPAYMENT_EXCEEDS_DEBT"


class TooManyHolds(Refused):
    """The account has as many open holds as it may have; capture or void some first."""

    reason = "TOO_MANY_HOLDS"


class DayClosed(Refused):
    """The business date is closed; what is missing of it is made good, not run again."""

    reason = "DAY_CLOSED"


class DayOpen(Refused):
    """The business date can't be closed or made good yet."""

    reason = "DAY_OPEN"


class PolicyStateRefused(Refused):
    """The policy version is not in a state that allows this."""

    reason = "POLICY_STATE"


class PlaybookRetired(Refused):
    """This version of the playbook takes no new activation."""

    reason = "PLAYBOOK_RETIRED"

    def __init__(self, title: str, why: str) -> None:
        super().__init__(f"{title} takes no new activation: {why}", playbook=title)


class PlaybookConflict(Refused):
    """Another activation rules this one out."""

    reason = "PLAYBOOK_CONFLICT"

    def __init__(self, title: str, activation_id: str, why: str) -> None:
        super().__init__(
            f"{title} can't be in force beside {activation_id}: {why}", playbook=title, activation_id=activation_id
        )


class ActivationOver(Refused):
    """The activation has ended or lapsed; activate the playbook anew."""

    reason = "ACTIVATION_OVER"


class ApprovalRefused(Refused):
    """This approval doesn't count."""

    reason = "APPROVAL_REFUSED"


class ClockNotConfirmed(Refused):
    """The machine's clock is off by something else by now; look with `holdline clock`, then confirm what you see."""

    reason = "CLOCK_NOT_CONFIRMED"


class BuildMix(Refused):
    """Engines of different builds serve this store, so a playbook may mean different things; end the roll-out first."""

    reason = "BUILD_MIX"


class NothingToAppeal(Refused):
    """The decision refused and cut nothing; give feedback instead."""

    reason = "NOTHING_TO_APPEAL"


class CaseOver(Refused):
    """The case is resolved already."""

    reason = "CASE_OVER"


class AppealHeld(Refused):
    """The limit can't be raised now: a playbook in force holds it, or it is as great already; resolve it later."""

    reason = "APPEAL_HELD"


class EventTooOld(Refused):
    """The event lies further back than events are taken; its windows are over."""

    reason = "EVENT_TOO_OLD"


class BehaviourFull(Refused):
    """The account has more of these, or a greater sum of them, than its bounded state holds; check the feed."""

    reason = "BEHAVIOUR_FULL"


class AnswerTooLarge(Refused):
    """The answer is larger than clients take; ask for less at once."""

    reason = "ANSWER_TOO_LARGE"


class ModeReadOnly(Refused):
    """The service is in read-only mode; nothing was written, reads and evaluations are served."""

    reason = "MODE_READ_ONLY"


class RoleRequired(HoldlineError):
    """The caller lacks the role that this RPC asks for."""

    reason = "ROLE_REQUIRED"


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


class BuildLacksPlaybook(Unavailable):
    """A playbook in force is unknown to this engine's build, so it decides nothing; run a build that has it."""

    reason = "BUILD_LACKS_PLAYBOOK"


class Draining(Unavailable):
    """This server is shutting down; nothing was written, retry with the same request id."""

    reason = "DRAINING"


class DeadlineExpired(HoldlineError):
    """The deadline had passed before the work began; nothing was written."""

    reason = "DEADLINE_EXPIRED"


class InternalError(HoldlineError):
    """A bug in Holdline; its log has the trace."""
