"""Keep every limit as it is, whatever the algorithm says.

Symptoms:
    Limits rise and fall for no reason that anybody can name, or several signals alarm at once.
    Nobody knows yet which part is wrong.
Use when:
    The decisions themselves can't be trusted and harm grows by the minute.
    You need time to think: this is the safest thing to do first.
Don't use when:
    Only cuts are wrong (freeze_reductions), only raises are (freeze_raises), or the last policy was fine
    (rollback_policy): those leave more customers served.
Customers see:
    Their limit stays as it is, and a sentence that says so. A raise that was due is kept for them.
    First limits wait for a person.
Check first:
    The preview: how many raises and cuts of the last decisions would have been held.
    Whether one product is enough: scope it.
It worked when:
    No limit moves: every new decision is UNCHANGED or REFERRED with reason HELD_DURING_INCIDENT.
To leave:
    End the activation, or let it lapse. Then make good the raises that were held.
"""

from typing import Final, NamedTuple

from playbooks.declaration import ground
from service.domain.decision import Kind, Outcome, Verdict
from service.domain.playbook import Case, Safer
from service.domain.policy import Text

NAME: Final = "hold_last_known_good"
VERSION: Final = 1
REPLACES: Final = ""
APPROVALS: Final = 0
TTL_SECONDS_MAX: Final = 24 * 3_600
PRECEDENCE: Final = 90
CONFLICTS: Final[dict[str, str]] = {}
SIGNALS: Final = ("score_psi", "cut_rate", "raise_refusal_rate", "assign_refusal_rate", "growth_brake", "dead_man")
SAFER: Final = Safer.NO_MOVE
REASON: Final = "HELD_DURING_INCIDENT"
TEXTS: Final = {
    REASON: Text(
        "我们正在核查额度系统，核查期间您的额度保持不变，应得的提额会为您保留。",
        "We are checking our limit system. Your limit stays as it is meanwhile, and a raise that is due is kept.",
        "您无需任何操作。",
        "There is nothing you need to do.",
    )
}
HELD: Final = ground("hold_last_known_good/v1", REASON, "limits are held during an incident")


class Parameters(NamedTuple):
    """None: everything is held."""


def constrain(_: Parameters, case: Case, verdict: Verdict) -> Verdict:
    """Leave the limit as it is; somebody without a limit waits for a person."""
    outcome = Outcome.REFERRED if case.kind is Kind.ASSIGN else Outcome.UNCHANGED
    return Verdict(outcome, case.standing.limit_minor, verdict.points, (HELD,), 0)
