"""Let only static facts move limits, for corrupt behaviour data.

Symptoms:
    Behaviour facts (payments, transactions, days past due) drift, go stale or arrive as zeros; the fact_psi signal
    alarms.
Use when:
    Behaviour data can't be trusted, and identity, bureau and income can.
Don't use when:
    The bureau feed is what is broken: hold_last_known_good.
    The rules are wrong, not the data: rollback_policy.
Customers see:
    Fewer raises and fewer cuts. Where a refusal rests on what was set aside, a sentence says so: we know it, and do not
    use it for now. No limit moves on behaviour data alone.
Check first:
    Which fact drifts (`holdline mode`), and the preview: how many decisions rest on behaviour.
It worked when:
    Cuts that rest on behaviour stop, and raises need the static facts to carry them.
To leave:
    Repair the feed, check that the facts' distribution is back, then end the activation.
"""

from typing import Final, NamedTuple

from playbooks.declaration import ground
from service.domain.decision import Kind, Outcome, Standing, Verdict
from service.domain.facts import INDEX, NEVER_OBSERVED, Profile
from service.domain.judge import judge
from service.domain.playbook import Case, Safer
from service.domain.policy import Ground, Text

NAME: Final = "static_scorecard"
VERSION: Final = 2
REPLACES: Final = "static_scorecard/v1"
APPROVALS: Final = 0
TTL_SECONDS_MAX: Final = 72 * 3_600
PRECEDENCE: Final = 20
CONFLICTS: Final = {
    "refer_to_review": "it compares policies on the same facts, and this one changes the facts: all would be referred"
}
SIGNALS: Final = ("fact_psi",)
SAFER: Final = Safer.LESS_MOVEMENT
REASON: Final = "BEHAVIOUR_DATA_SET_ASIDE"
TEXTS: Final = {
    REASON: Text(
        "部分行为数据正在核查，暂不作为调整额度的依据。",
        "Some of our data on payments and use is being checked, so it does not move your limit for now.",
        "您无需任何操作。",
        "There is nothing you need to do.",
    )
}
SET_ASIDE: Final = ground("static_scorecard/v2", REASON, "only static facts move limits during an incident")
STATIC: Final = frozenset(
    INDEX[name] for name in ("identity_level", "bureau_score", "monthly_income", "employment_months", "age_years")
)


class Parameters(NamedTuple):
    """None: the static facts are fixed by this version."""


def adjust_facts(_: Parameters, case: Case) -> Standing:
    """Blank every fact that behaviour moves."""
    values, observed = case.standing.profile
    return case.standing._replace(
        profile=Profile(
            tuple(value if fact in STATIC else None for fact, value in enumerate(values)),
            tuple(since if fact in STATIC else NEVER_OBSERVED for fact, since in enumerate(observed)),
        )
    )


def constrain(_: Parameters, case: Case, verdict: Verdict) -> Verdict:
    """Move the limit only as far as the verdict with every fact would, too: a blank must not be an advantage.

    What was set aside is not called unknown.
    """
    limit = case.standing.limit_minor
    verdict = verdict._replace(grounds=_told(case, verdict.grounds))
    if verdict.new_limit_minor == limit:
        return verdict
    known = judge(case.kind, case.standing, case.policy, case.moment).new_limit_minor
    move, bound = verdict.new_limit_minor - limit, known - limit
    if abs(move) <= abs(bound) and move * bound >= 0:
        return verdict
    if move * bound <= 0:
        outcome = Outcome.REFERRED if case.kind is Kind.ASSIGN else Outcome.UNCHANGED
        return Verdict(outcome, limit, verdict.points, (SET_ASIDE,), 0)
    return verdict._replace(new_limit_minor=known, grounds=(*verdict.grounds[:3], SET_ASIDE))


def _told(case: Case, grounds: tuple[Ground, ...]) -> tuple[Ground, ...]:
    """Name the incident in place of facts that are known and were set aside."""
    set_aside = {fact for fact, value in enumerate(case.standing.profile.values) if value is not None} - STATIC
    return tuple(dict.fromkeys(SET_ASIDE if ground.fact in set_aside else ground for ground in grounds))
