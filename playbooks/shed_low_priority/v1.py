"""Turn batch traffic away first, so that people who wait are served.

Symptoms:
    Calls are shed or slow, the queue wait is long, and batch jobs run at the same time.
Use when:
    Interactive calls suffer and a batch job can wait.
Don't use when:
    The batch job is today's raise run and the day ends soon.
    The slowness isn't load: look at the disk first.
Customers see:
    Nothing; batch callers get RESOURCE_EXHAUSTED with a time to wait.
Check first:
    Who sends batch calls (criticality `batch`), and whether they retry with back-off.
It worked when:
    Queue wait falls and interactive calls are no longer shed.
To leave:
    End the activation, or let it lapse; batch callers retry by themselves.
"""

from typing import Annotated, Final, NamedTuple

from playbooks.declaration import Whole
from service.domain.decision import Criticality
from service.domain.errors import HoldlineError, Overloaded
from service.domain.playbook import Request, Safer
from service.domain.policy import Text

NAME: Final = "shed_low_priority"
VERSION: Final = 1
REPLACES: Final = ""
APPROVALS: Final = 0
TTL_SECONDS_MAX: Final = 12 * 3_600
PRECEDENCE: Final = 5
CONFLICTS: Final[dict[str, str]] = {}
SIGNALS: Final = ("error_rate", "latency")
SAFER: Final = Safer.LESS_WORK
TEXTS: Final[dict[str, Text]] = {}


class Parameters(NamedTuple):
    """How long batch callers are asked to wait."""

    retry_after_ms: Annotated[int, Whole(100, 600_000, "milliseconds", "wait that refused callers are told")] = 5_000


def admit(parameters: Parameters, request: Request) -> HoldlineError | None:
    """Turn away what is less critical than an interactive call."""
    if request.criticality <= Criticality.INTERACTIVE:
        return None
    return Overloaded(request.criticality.name.lower(), parameters.retry_after_ms)
