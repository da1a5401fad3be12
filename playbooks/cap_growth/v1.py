"""Let limits grow, but by less, while doubt lasts.

Symptoms:
    Raises or first limits are larger or more than usual, and nothing proves them wrong.
Use when:
    You doubt the scores and want to bound what a mistake can cost, without breaking the promise of a raise.
Don't use when:
    Raises are surely wrong: freeze_raises.
    Cuts are wrong: this doesn't touch them.
Customers see:
    A smaller raise or first limit than the rules would give, and a sentence that says so.
Check first:
    The preview: how much less is granted, and how many raises fall to nothing because of rounding.
It worked when:
    Raises carry the reason GROWTH_CAPPED and exposure grows slower.
To leave:
    End the activation, or let it lapse: the next raise is of the usual size.
"""

from typing import Annotated, Final, NamedTuple

from playbooks.declaration import Whole, ground
from service.domain.decision import Kind, Outcome, Verdict
from service.domain.money import round_down, share
from service.domain.playbook import Case, Safer
from service.domain.policy import Text

NAME: Final = "cap_growth"
VERSION: Final = 1
REPLACES: Final = ""
APPROVALS: Final = 0
TTL_SECONDS_MAX: Final = 7 * 24 * 3_600
PRECEDENCE: Final = 40
CONFLICTS: Final[dict[str, str]] = {}
SIGNALS: Final = ("raise_rate", "assign_rate", "score_psi", "growth_brake")
SAFER: Final = Safer.LESS_GROWTH
REASON: Final = "GROWTH_CAPPED"
TEXTS: Final = {
    REASON: Text(
        "提额幅度暂时收紧，恢复后将按原规则执行。",
        "Raises are smaller for the time being; the usual rules apply again soon.",
        "您可稍后再申请。",
        "You can ask again later.",
    )
}
CAPPED: Final = ground("cap_growth/v1", REASON, "growth is capped during an incident")


class Parameters(NamedTuple):
    """How much growth is left."""

    per_decision_bp: Annotated[int, Whole(0, 2_000, "basis points", "most that a raise adds, of the limit")] = 100
    first_limit_bp: Annotated[int, Whole(0, 10_000, "basis points", "of a first limit, so much is given")] = 5_000


def constrain(parameters: Parameters, case: Case, verdict: Verdict) -> Verdict:
    """Cut a raise or first limit short; where nothing is left, a raise is declined and a first limit referred."""
    limit = case.standing.limit_minor
    growth = verdict.new_limit_minor - limit
    if growth <= 0:
        return verdict
    if case.kind is Kind.ASSIGN:
        room, empty = share(growth, parameters.first_limit_bp), Outcome.REFERRED
    else:
        room, empty = share(limit, parameters.per_decision_bp), Outcome.DECLINED
    if growth <= room:
        return verdict
    left = round_down(room, case.policy.unit_minor)
    if left <= 0:
        return Verdict(empty, limit, verdict.points, (CAPPED,), 0)
    return verdict._replace(new_limit_minor=limit + left, grounds=(*verdict.grounds[:1], CAPPED))
