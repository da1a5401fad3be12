"""What each RPC may be refused with, beside what every call may meet: the table that the contract's comments state.

Promises one place for it; tests hold every error that the service answers against it.
"""

from typing import Final

from service.domain import errors as e
from service.domain.operation import OperationNotCancellable, OperationNotFound
from service.rpc.methods import Method

Kinds = tuple[type[e.HoldlineError], ...]

EVERY_CALL: Final[frozenset[type[e.HoldlineError]]] = frozenset({
    e.InvalidRequest, e.RequestTooLarge, e.RoleRequired, e.Overloaded, e.StoreUnavailable, e.EngineUnavailable,
    e.BuildLacksPlaybook, e.Draining, e.DeadlineExpired, e.AnswerTooLarge, e.InternalError,
})  # fmt: skip
"""What any call may meet; protos/README.md tells of them."""

_KEY: Final = (e.IdempotencyKeyReused,)
_WRITE: Final = (*_KEY, e.ModeReadOnly)
_DECIDE: Final = (
    *_WRITE, e.AccountNotFound, e.AccountExists, e.AccountClosed, e.NoLimitAssigned, e.PolicyNotFound,
    e.VersionMismatch,
)  # fmt: skip
_DRAW: Final = (*_WRITE, e.AccountNotFound, e.NoLimitAssigned, e.PolicyNotFound)
_OF_A_HOLD: Final = (*_DRAW, e.HoldNotFound, e.HoldOver)
_EVENTS: Final = (*_WRITE, e.AccountNotFound, e.AccountClosed, e.EventTooOld, e.BehaviourFull)
_CHANGE: Final = (*_KEY, e.PolicyNotFound, e.PolicyStateRefused)
_ACTIVATION: Final = (*_KEY, e.ActivationNotFound, e.ActivationOver)
_VOICE: Final = (*_WRITE, e.AccountNotFound, e.DecisionNotFound)
_RAISES_BY_APPEAL: Final = (e.AppealHeld, e.AccountClosed, e.NoLimitAssigned, e.PolicyNotFound)
_OF_ACCOUNT: Final = (e.AccountNotFound,)

TABLE: Final[dict[str, Kinds]] = {
    "LimitService/Decide": _DECIDE,
    "LimitService/BatchDecide": _DECIDE,
    "LimitService/StreamDecisions": _DECIDE,
    "LimitService/Evaluate": (
        e.AccountNotFound, e.AccountExists, e.AccountClosed, e.NoLimitAssigned, e.PolicyNotFound, e.ActivationNotFound,
        e.ModeReadOnly,
    ),
    "LimitService/GetDecision": (e.DecisionNotFound,),
    "LimitService/ListDecisions": _OF_ACCOUNT,
    "LimitService/ExplainDecision": (e.DecisionNotFound,),
    "AccountService/GetAccount": _OF_ACCOUNT,
    "AccountService/BatchGetAccounts": _OF_ACCOUNT,
    "AccountService/ImportAccounts": _DECIDE,
    "AccountService/GrantTemporaryRaise": _DECIDE,
    "DrawService/AuthorizeDraw": (*_DRAW, e.AccountClosed, e.TooManyHolds),
    "DrawService/CaptureDraw": (*_OF_A_HOLD, e.CaptureExceedsHold),
    "DrawService/VoidDraw": _OF_A_HOLD,
    "DrawService/RecordRepayment": (*_DRAW, e.RepaymentExceedsDebt),
    "DrawService/GetHold": (e.AccountNotFound, e.HoldNotFound),
    "DrawService/GetPosting": (e.PostingNotFound,),
    "DrawService/ListHolds": _OF_ACCOUNT,
    "DrawService/ListPostings": _OF_ACCOUNT,
    "EventService/RecordEvents": _EVENTS,
    "EventService/StreamEvents": _EVENTS,
    "PolicyService/PublishPolicy": (*_KEY, e.PolicyVersionExists),
    "PolicyService/GetPolicy": (e.PolicyNotFound,),
    "PolicyService/PromotePolicy": _CHANGE,
    "PolicyService/RollbackPolicy": _CHANGE,
    "PlaybookService/DescribePlaybook": (e.PlaybookNotFound,),
    "PlaybookService/PreviewPlaybook": (e.PlaybookNotFound, e.PolicyNotFound, e.ActivationNotFound),
    "PlaybookService/ActivatePlaybook": (
        *_KEY, e.PlaybookNotFound, e.PlaybookRetired, e.PlaybookConflict, e.ActivationExists, e.BuildMix,
        e.PolicyNotFound,
    ),
    "PlaybookService/ApproveActivation": (
        *_ACTIVATION, e.ApprovalRefused, e.ActivationExists, e.PlaybookConflict, e.PlaybookNotFound, e.BuildMix,
    ),
    "PlaybookService/ExtendActivation": (*_ACTIVATION, e.ApprovalRefused, e.PlaybookNotFound),
    "PlaybookService/EndActivation": _ACTIVATION,
    "PlaybookService/ConfirmClock": (*_KEY, e.ClockNotConfirmed),
    "PlaybookService/LearnBaseline": (*_KEY, e.PolicyNotFound),
    "RunService/StartDailyRun": (*_KEY, e.DayClosed),
    "RunService/ResumeDailyRun": (*_KEY, e.RunNotFound, e.DayClosed),
    "RunService/GetDailyRun": (e.RunNotFound,),
    "RunService/WatchDailyRun": (e.RunNotFound,),
    "RunService/CancelDailyRun": (*_KEY, e.RunNotFound),
    "RunService/CloseBusinessDay": (*_KEY, e.DayOpen),
    "RunService/GetClosing": (e.RunNotFound,),
    "RunService/MakeGoodBusinessDay": (*_KEY, e.RunNotFound, e.DayOpen),
    "RunService/ListDiscrepancies": (e.AccountNotFound, e.RunNotFound),
    "RunService/ListEntitlements": _OF_ACCOUNT,
    "FeedbackService/SubmitFeedback": _VOICE,
    "FeedbackService/SubmitSurvey": _VOICE,
    "FeedbackService/SubmitAppeal": (*_VOICE, *_RAISES_BY_APPEAL, e.AppealExists, e.NothingToAppeal),
    "FeedbackService/ResolveAppeal": (*_WRITE, *_RAISES_BY_APPEAL, e.CaseNotFound, e.CaseOver, e.ApprovalRefused),
    "FeedbackService/GetCase": (e.CaseNotFound,),
    "FeedbackService/ListCaseNotes": (e.CaseNotFound,),
    "FeedbackService/ListCases": _OF_ACCOUNT,
    "NotificationService/ListNotices": _OF_ACCOUNT,
    "NotificationService/RedriveMessages": _KEY,
    "OperationService/GetOperation": (OperationNotFound,),
    "OperationService/WatchOperation": (OperationNotFound,),
    "OperationService/CancelOperation": (*_KEY, OperationNotFound, OperationNotCancellable),
}  # fmt: skip
"""By service and RPC; one that is not here meets what every call may."""


def is_stated(method: Method, reason: str) -> bool:
    """Claim that the contract says of an RPC that it may be refused with a reason."""
    return any(error.reason == reason for error in EVERY_CALL | refusals_of(method))


def refusals_of(method: Method) -> frozenset[type[e.HoldlineError]]:
    """Give what an RPC may be refused with, beside what every call may meet."""
    return frozenset(TABLE.get(method.path.removeprefix("/holdline.v1."), ()))
