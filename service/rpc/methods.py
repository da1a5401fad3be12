"""The RPCs: their paths, their kind, the largest request each takes, and the roles that may call it.

Promises one place to add an RPC; its index travels between the processes of one build and is never stored.
"""

from enum import Enum
from typing import Final, NamedTuple

from service.domain.decision import Criticality

UNARY_BYTES_MAX: Final = 16 * 1024
BATCH_BYTES_MAX: Final = 1024 * 1024
"""1,000 requests with every fact are about 250 KiB."""


class Shape(Enum):
    """How a method is called, and which process answers it."""

    DECISION = "decision"
    BATCH = "batch"
    STREAM = "stream"
    QUERY = "query"
    WATCH = "watch"
    """A stream of answers to one request: the engine is asked again whenever something may have changed."""
    POLL = "poll"
    """As WATCH, the reader being asked again a few times a second until the matter is over."""
    READ = "read"
    """A query that reads or computes much; the reader answers it, so that no decision waits."""
    CHECKED = "checked"
    """A change whose request is long to check: the reader does that, and the engine writes what it passes on."""
    SENTRY = "sentry"
    """A query about the log as a whole; the sentry answers it, beside the decisions as well."""
    INTERNAL = "internal"
    """Between our own processes; no caller reaches it."""


class Role(Enum):
    """What a caller may do; the roles file says who has which."""

    CALLER = "caller"
    ANALYST = "analyst"
    ON_CALL = "on_call"
    APPROVER = "approver"
    AUDITOR = "auditor"
    REVIEWER = "reviewer"
    """Resolves appeals."""
    ADMIN = "admin"
    """May do everything."""


_READING: Final = (
    "BatchGet", "Describe", "Evaluate", "Explain", "Get", "List", "Preview", "Validate", "Watch",
)  # fmt: skip
"""How the names of RPCs begin that only read."""


class Method(NamedTuple):
    """One RPC; `bytes_max` bounds one request message, any of the roles may call it."""

    path: str
    shape: Shape
    bytes_max: int
    roles: tuple[Role, ...]
    criticality: Criticality | None = None
    """Where the RPC alone says how critical a call is."""

    @property
    def is_read(self) -> bool:
        """Claim that the RPC changes nothing, whatever it is sent: its name says so."""
        return self.path.rpartition("/")[2].startswith(_READING)


LIMITS: Final = "/holdline.v1.LimitService/"
ACCOUNTS: Final = "/holdline.v1.AccountService/"
DRAWS: Final = "/holdline.v1.DrawService/"
EVENTS: Final = "/holdline.v1.EventService/"
POLICIES: Final = "/holdline.v1.PolicyService/"
PLAYBOOKS: Final = "/holdline.v1.PlaybookService/"
RUNS: Final = "/holdline.v1.RunService/"
FEEDBACK: Final = "/holdline.v1.FeedbackService/"
NOTIFICATIONS: Final = "/holdline.v1.NotificationService/"
OPERATIONS: Final = "/holdline.v1.OperationService/"
INTERNAL: Final = "/holdline.internal/"

_CALLERS: Final = (Role.CALLER,)
_READERS: Final = (Role.ANALYST, Role.ON_CALL, Role.APPROVER, Role.AUDITOR, Role.REVIEWER)
_ALL: Final = (Role.CALLER, *_READERS)
_ANALYSTS: Final = (Role.ANALYST,)
_ON_CALL: Final = (Role.ON_CALL,)

METHODS: Final = (
    Method(f"{LIMITS}Decide", Shape.DECISION, UNARY_BYTES_MAX, _CALLERS),
    Method(f"{LIMITS}BatchDecide", Shape.BATCH, BATCH_BYTES_MAX, _CALLERS),
    Method(f"{LIMITS}StreamDecisions", Shape.STREAM, BATCH_BYTES_MAX, _CALLERS),
    Method(f"{ACCOUNTS}ImportAccounts", Shape.BATCH, BATCH_BYTES_MAX, _CALLERS),
    Method(f"{LIMITS}Evaluate", Shape.READ, UNARY_BYTES_MAX, _ALL),
    Method(f"{ACCOUNTS}GetAccount", Shape.QUERY, UNARY_BYTES_MAX, _ALL),
    Method(f"{ACCOUNTS}BatchGetAccounts", Shape.READ, BATCH_BYTES_MAX, _ALL),
    Method(f"{ACCOUNTS}ListAccounts", Shape.READ, UNARY_BYTES_MAX, _ALL),
    Method(f"{LIMITS}GetDecision", Shape.QUERY, UNARY_BYTES_MAX, _ALL),
    Method(f"{LIMITS}ListDecisions", Shape.READ, UNARY_BYTES_MAX, _ALL),
    Method(f"{LIMITS}ExplainDecision", Shape.READ, UNARY_BYTES_MAX, _ALL),
    Method(f"{DRAWS}AuthorizeDraw", Shape.DECISION, UNARY_BYTES_MAX, _CALLERS, Criticality.DRAW),
    Method(f"{DRAWS}CaptureDraw", Shape.DECISION, UNARY_BYTES_MAX, _CALLERS, Criticality.DRAW),
    Method(f"{DRAWS}VoidDraw", Shape.DECISION, UNARY_BYTES_MAX, _CALLERS, Criticality.DRAW),
    Method(f"{DRAWS}RecordRepayment", Shape.DECISION, UNARY_BYTES_MAX, _CALLERS, Criticality.DRAW),
    Method(f"{DRAWS}GetHold", Shape.QUERY, UNARY_BYTES_MAX, _ALL, Criticality.DRAW),
    Method(f"{DRAWS}GetPosting", Shape.QUERY, UNARY_BYTES_MAX, _ALL),
    Method(f"{DRAWS}ListHolds", Shape.READ, UNARY_BYTES_MAX, _ALL),
    Method(f"{DRAWS}ListPostings", Shape.READ, UNARY_BYTES_MAX, _ALL),
    Method(f"{EVENTS}RecordEvents", Shape.BATCH, BATCH_BYTES_MAX, _CALLERS),
    Method(f"{ACCOUNTS}GrantTemporaryRaise", Shape.DECISION, UNARY_BYTES_MAX, _ON_CALL),
    Method(f"{EVENTS}StreamEvents", Shape.STREAM, BATCH_BYTES_MAX, _CALLERS),
    Method(f"{POLICIES}ValidatePolicy", Shape.READ, BATCH_BYTES_MAX, _READERS),
    Method(f"{POLICIES}PublishPolicy", Shape.CHECKED, BATCH_BYTES_MAX, _ANALYSTS),
    Method(f"{POLICIES}GetPolicy", Shape.READ, UNARY_BYTES_MAX, _READERS),
    Method(f"{POLICIES}ListPolicies", Shape.READ, UNARY_BYTES_MAX, _READERS),
    Method(f"{POLICIES}PromotePolicy", Shape.QUERY, UNARY_BYTES_MAX, _ANALYSTS),
    Method(f"{POLICIES}RollbackPolicy", Shape.QUERY, UNARY_BYTES_MAX, (Role.ANALYST, Role.ON_CALL)),
    Method(f"{PLAYBOOKS}ListPlaybooks", Shape.QUERY, UNARY_BYTES_MAX, _READERS),
    Method(f"{PLAYBOOKS}DescribePlaybook", Shape.QUERY, UNARY_BYTES_MAX, _READERS),
    Method(f"{PLAYBOOKS}PreviewPlaybook", Shape.SENTRY, UNARY_BYTES_MAX, _READERS),
    Method(f"{PLAYBOOKS}ActivatePlaybook", Shape.QUERY, UNARY_BYTES_MAX, _ON_CALL),
    Method(f"{PLAYBOOKS}ApproveActivation", Shape.QUERY, UNARY_BYTES_MAX, (Role.APPROVER,)),
    Method(f"{PLAYBOOKS}ExtendActivation", Shape.QUERY, UNARY_BYTES_MAX, _ON_CALL),
    Method(f"{PLAYBOOKS}EndActivation", Shape.QUERY, UNARY_BYTES_MAX, _ON_CALL),
    Method(f"{PLAYBOOKS}ListActivations", Shape.READ, UNARY_BYTES_MAX, _READERS),
    Method(f"{PLAYBOOKS}GetMode", Shape.QUERY, UNARY_BYTES_MAX, _ALL),
    Method(f"{PLAYBOOKS}ConfirmClock", Shape.QUERY, UNARY_BYTES_MAX, _ON_CALL),
    Method(f"{PLAYBOOKS}WatchMode", Shape.WATCH, UNARY_BYTES_MAX, _ALL),
    Method(f"{PLAYBOOKS}GetSignals", Shape.SENTRY, UNARY_BYTES_MAX, _READERS),
    Method(f"{PLAYBOOKS}LearnBaseline", Shape.SENTRY, UNARY_BYTES_MAX, _ON_CALL),
    Method(f"{RUNS}StartDailyRun", Shape.QUERY, UNARY_BYTES_MAX, _ON_CALL),
    Method(f"{RUNS}ResumeDailyRun", Shape.QUERY, UNARY_BYTES_MAX, _ON_CALL),
    Method(f"{RUNS}GetDailyRun", Shape.READ, UNARY_BYTES_MAX, _READERS),
    Method(f"{RUNS}ListRuns", Shape.READ, UNARY_BYTES_MAX, _READERS),
    Method(f"{RUNS}WatchDailyRun", Shape.POLL, UNARY_BYTES_MAX, _READERS),
    Method(f"{RUNS}CancelDailyRun", Shape.QUERY, UNARY_BYTES_MAX, _ON_CALL),
    Method(f"{RUNS}CloseBusinessDay", Shape.QUERY, UNARY_BYTES_MAX, _ON_CALL),
    Method(f"{RUNS}GetClosing", Shape.READ, UNARY_BYTES_MAX, _READERS),
    Method(f"{RUNS}ListClosings", Shape.READ, UNARY_BYTES_MAX, _READERS),
    Method(f"{RUNS}MakeGoodBusinessDay", Shape.QUERY, UNARY_BYTES_MAX, _ON_CALL),
    Method(f"{RUNS}ListDiscrepancies", Shape.READ, UNARY_BYTES_MAX, _ALL),
    Method(f"{RUNS}ListEntitlements", Shape.READ, UNARY_BYTES_MAX, _ALL),
    Method(f"{FEEDBACK}SubmitFeedback", Shape.QUERY, UNARY_BYTES_MAX, _CALLERS),
    Method(f"{FEEDBACK}SubmitSurvey", Shape.QUERY, UNARY_BYTES_MAX, _CALLERS),
    Method(f"{FEEDBACK}SubmitAppeal", Shape.QUERY, UNARY_BYTES_MAX, _CALLERS),
    Method(f"{FEEDBACK}ResolveAppeal", Shape.QUERY, UNARY_BYTES_MAX, (Role.REVIEWER,)),
    Method(f"{FEEDBACK}GetCase", Shape.READ, UNARY_BYTES_MAX, _ALL),
    Method(f"{FEEDBACK}ListCaseNotes", Shape.READ, UNARY_BYTES_MAX, _READERS),
    Method(f"{FEEDBACK}ListCases", Shape.READ, UNARY_BYTES_MAX, _ALL),
    Method(f"{FEEDBACK}GetFeedbackReport", Shape.SENTRY, UNARY_BYTES_MAX, _READERS),
    Method(f"{NOTIFICATIONS}ListNotices", Shape.READ, UNARY_BYTES_MAX, _ALL),
    Method(f"{NOTIFICATIONS}ListAlerts", Shape.READ, UNARY_BYTES_MAX, _READERS),
    Method(f"{NOTIFICATIONS}RedriveMessages", Shape.QUERY, BATCH_BYTES_MAX, _ON_CALL),
    Method(f"{OPERATIONS}GetOperation", Shape.READ, UNARY_BYTES_MAX, _READERS),
    Method(f"{OPERATIONS}ListOperations", Shape.READ, UNARY_BYTES_MAX, _READERS),
    Method(f"{OPERATIONS}WatchOperation", Shape.POLL, UNARY_BYTES_MAX, _READERS),
    Method(f"{OPERATIONS}CancelOperation", Shape.QUERY, UNARY_BYTES_MAX, _ON_CALL),
    Method(f"{INTERNAL}Glance", Shape.INTERNAL, UNARY_BYTES_MAX, ()),
    Method(f"{INTERNAL}Report", Shape.INTERNAL, BATCH_BYTES_MAX, ()),
    Method(f"{INTERNAL}Work", Shape.INTERNAL, BATCH_BYTES_MAX, ()),
    Method(f"{INTERNAL}Publish", Shape.INTERNAL, BATCH_BYTES_MAX, ()),
)

INDEX_OF: Final = {method.path: index for index, method in enumerate(METHODS)}
"""Index of a method by its path."""
GLANCE: Final = INDEX_OF[f"{INTERNAL}Glance"]
WORK: Final = INDEX_OF[f"{INTERNAL}Work"]
PUBLISH: Final = INDEX_OF[f"{INTERNAL}Publish"]
"""What the engine is asked once the reader has checked a PublishPolicy."""
REPORT: Final = INDEX_OF[f"{INTERNAL}Report"]
