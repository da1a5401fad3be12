"""Refuse every write clearly; serve reads and evaluations.

Symptoms:
    The store itself is in doubt: `holdline verify` finds faults, a disk reports errors, a copy must be taken at rest.
Use when:
    Writing more would do harm, or you need the decision log to stand still.
Don't use when:
    Decisions are wrong but the store is whole: hold_last_known_good still answers customers.
Customers see:
    No decision: callers get FAILED_PRECONDITION with MODE_READ_ONLY and say "try later". Limits can be read.
Check first:
    That callers can live without decisions for the time you choose; keep it short.
It worked when:
    No new decision appears, and reads work.
To leave:
    End the activation: activations are written in this mode, too.
"""

from typing import Final, NamedTuple

from service.domain.errors import HoldlineError, ModeReadOnly
from service.domain.playbook import Request, Safer
from service.domain.policy import Text

NAME: Final = "read_only"
VERSION: Final = 1
REPLACES: Final = ""
APPROVALS: Final = 2
TTL_SECONDS_MAX: Final = 4 * 3_600
PRECEDENCE: Final = 1
CONFLICTS: Final[dict[str, str]] = {}
SIGNALS: Final = ("error_rate",)
SAFER: Final = Safer.NO_WRITE
TEXTS: Final[dict[str, Text]] = {}


class Parameters(NamedTuple):
    """None: every write of a decision is refused."""


def admit(_: Parameters, __: Request) -> HoldlineError | None:
    """Refuse."""
    return ModeReadOnly()
