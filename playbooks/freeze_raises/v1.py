"""Stop every raise and first limit; what customers are owed is kept.

Symptoms:
    Raises look too many or too large, exposure grows faster than ever, or the growth brake has tripped.
Use when:
    Raises are wrong, or may be, and cuts are right.
Don't use when:
    Raises are merely larger than you like: cap_growth keeps the promise to customers.
    Cuts are wrong too: hold_last_known_good.
Customers see:
    A raise that was due is kept for them, and a sentence says so. First limits wait for a person.
Check first:
    The preview: how many raises, and how much money they are.
    The business calendar: a promised daily raise is withheld for everybody in scope.
It worked when:
    No decision raises a limit; would-be raises are UNCHANGED with reason RAISE_KEPT_FOR_LATER.
To leave:
    End the activation once the cause is mended, then make good the raises that were kept.
"""

from typing import Final, NamedTuple

from playbooks.declaration import ground
from service.domain.decision import Kind, Outcome, Verdict
from service.domain.playbook import Case, Safer
from service.domain.policy import Text

NAME: Final = "freeze_raises"
VERSION: Final = 1
REPLACES: Final = ""
APPROVALS: Final = 0
TTL_SECONDS_MAX: Final = 24 * 3_600
PRECEDENCE: Final = 51
CONFLICTS: Final[dict[str, str]] = {}
SIGNALS: Final = ("growth_brake", "raise_rate", "assign_rate", "dead_man")
SAFER: Final = Safer.NO_RAISE
REASON: Final = "RAISE_KEPT_FOR_LATER"
TEXTS: Final = {
    REASON: Text(
        "提额暂停核查中，您应得的提额会为您保留。",
        "Raises are paused while we check our system; the raise that is due to you is kept.",
        "您无需任何操作。",
        "There is nothing you need to do.",
    )
}
HELD: Final = ground("freeze_raises/v1", REASON, "limits are not raised during an incident")


class Parameters(NamedTuple):
    """None: every raise is stopped."""


def constrain(_: Parameters, case: Case, verdict: Verdict) -> Verdict:
    """Keep a raise for later, pass a first limit to a person; leave anything else alone."""
    if verdict.new_limit_minor <= case.standing.limit_minor:
        return verdict
    outcome = Outcome.REFERRED if case.kind is Kind.ASSIGN else Outcome.UNCHANGED
    return Verdict(outcome, case.standing.limit_minor, verdict.points, (HELD,), 0)
