"""Stop every limit cut; would-be cuts are passed to people.

Symptoms:
    The cut rate alarms, or complaints about lowered limits pour in.
    Behaviour data looks wrong and triggers fire on it.
Use when:
    Cuts are wrong, or may be, and raises are right.
Don't use when:
    Fraud is under way and cuts are what holds it back.
    Raises are wrong too: hold_last_known_good.
Customers see:
    Nothing: their limit stays. Those who would have been cut are in the review list, with the rules that fired.
Check first:
    The preview: how many cuts, and how much money they are.
    Whether misuse is high: a real wave of defaults looks like this too.
It worked when:
    No decision lowers a limit; would-be cuts are REFERRED with reason CUT_HELD_FOR_REVIEW.
To leave:
    End the activation once the cause is mended. The referred accounts are decided by people, or reviewed again.
"""

from typing import Final, NamedTuple

from playbooks.declaration import ground
from service.domain.decision import Outcome, Verdict
from service.domain.playbook import Case, Safer
from service.domain.policy import Text

NAME: Final = "freeze_reductions"
VERSION: Final = 1
REPLACES: Final = ""
APPROVALS: Final = 0
TTL_SECONDS_MAX: Final = 24 * 3_600
PRECEDENCE: Final = 50
CONFLICTS: Final[dict[str, str]] = {}
SIGNALS: Final = ("cut_rate", "fact_psi")
SAFER: Final = Safer.NO_CUT
REASON: Final = "CUT_HELD_FOR_REVIEW"
TEXTS: Final = {
    REASON: Text(
        "您的额度暂不下调，将由专人复核。",
        "Your limit is not lowered for now; a person will look at it.",
        "您无需任何操作。",
        "There is nothing you need to do.",
    )
}
HELD: Final = ground("freeze_reductions/v1", REASON, "limits are not lowered during an incident")


class Parameters(NamedTuple):
    """None: every cut is stopped."""


def constrain(_: Parameters, case: Case, verdict: Verdict) -> Verdict:
    """Pass a cut to a person, with the rules that fired; leave anything else alone."""
    if verdict.new_limit_minor >= case.standing.limit_minor:
        return verdict
    return Verdict(Outcome.REFERRED, case.standing.limit_minor, verdict.points, (HELD, *verdict.grounds), 0)
