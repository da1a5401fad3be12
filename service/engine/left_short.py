"""Whom a day that was run after a later one leaves short, listed as discrepancies of that day.

Promises one entry for each account that comes off worse than by the dates in order, with the reason for engineers.
"""

from collections.abc import Sequence

from service.domain import late
from service.domain.book import Answered
from service.domain.daily_run import Discrepancy, DiscrepancyKind
from service.domain.decision import RAISE, Decided, Decision, Moment, recorded_standing
from service.domain.errors import HoldlineError
from service.domain.judge import judge
from service.domain.policy import LATER_DECIDED, PORTFOLIO
from service.engine.budget import given_after
from service.engine.control import Control
from service.engine.ports import Store


def enter(store: Store, control: Control, answers: Sequence[Answered | HoldlineError]) -> None:
    """List whom a day gave less than the days in order would have, because later ones were decided before it."""
    for answered in answers:
        if isinstance(answered, Decided) and not answered.replayed and (why := _why(store, control, answered)):
            made = answered.decision
            found = Discrepancy(made.business_day, made.account_id, DiscrepancyKind.LEFT_SHORT, why, 0)
            store.runs.enter_discrepancy(found)


def count(store: Store, business_day: int) -> int:
    """Count the accounts that a day gave less than the days in order would have."""
    counts = store.runs.discrepancy_counts(business_day)
    return sum(count.accounts for count in counts if count.kind is DiscrepancyKind.LEFT_SHORT)


def _why(store: Store, control: Control, made: Decided) -> str:
    """Say, for engineers, how an account comes off worse than by the days in order; empty where it does not."""
    decision, later = made.decision, made.decision.growth.later
    given_minor = decision.new_limit_minor - decision.old_limit_minor
    if LATER_DECIDED.reason in decision.reasons:
        return f"decided after later dates: {given_minor} of {decision.promised_minor} minor units given"
    if decision.reasons[0] == PORTFOLIO.reason:
        gave = given_after(store.runs, made.product, decision.business_day)
        return "waits for the budget while later dates gave to others" if gave else ""
    if later is not None and given_minor > 0 and _would_compound(store, control, decision, given_minor):
        return "raises of later dates were judged by the limit without this one"
    return ""


def _would_compound(store: Store, control: Control, decision: Decision, given_minor: int) -> bool:
    """Claim that a raise of a later day would have been greater after a late one of so many minor units."""
    standing = recorded_standing(decision)
    policy = control.version(store, decision.policy_version)
    moment = Moment(decision.decided_us, decision.business_day)
    later = standing.growth.later
    for one in later.raises if later is not None else ():
        then = late.after(standing, given_minor, one)
        if judge(RAISE, then, policy, moment).new_limit_minor - then.limit_minor > one.raised_minor:
            return True
    return False
