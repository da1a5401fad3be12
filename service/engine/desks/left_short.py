"""Whom a day left short because a later one had been decided before it (ADR 19).

Promises that whoever comes off worse than by the days in their order, and had a limit on the day, is listed beside the
decisions that it follows from; some who are listed come out even.
"""

from collections.abc import Sequence

from service.domain import late
from service.domain.account import DAYS_BACK_MAX
from service.domain.book import Answered
from service.domain.daily_run import Discrepancy, DiscrepancyKind
from service.domain.decision import RAISE, Decided, Decision, Moment, recorded_standing
from service.domain.errors import HoldlineError
from service.domain.judge import judge
from service.domain.policy import LATER_DECIDED, PORTFOLIO
from service.engine.budget import given_after
from service.engine.control import Control
from service.engine.ports.runs import RunStore
from service.engine.ports.store import NUMBER_MAX, Store


def enter_left_short(store: Store, control: Control, answers: Sequence[Answered | HoldlineError]) -> None:
    """List whom the raises of a day that is over left short, inside the transaction that made them."""
    gave: dict[str, bool] = {}
    for answered in answers:
        if not isinstance(answered, Decided) or answered.replayed or not answered.decision.promised_minor:
            continue
        made, product = answered.decision, answered.product
        if product not in gave:
            gave[product] = given_after(store.runs, product, made.business_day)
        why = _why_short(store, control, made, gave=gave[product])
        if why:
            found = Discrepancy(made.business_day, made.account_id, DiscrepancyKind.LEFT_SHORT, why, 0)
            store.runs.enter_discrepancy(found)


def _why_short(store: Store, control: Control, made: Decision, *, gave: bool) -> str:
    """Say, for engineers, how an account comes off worse than by the days in order; empty where it does not.

    `gave`: whether later days have given something of the product's budget.
    """
    given_minor = made.new_limit_minor - made.old_limit_minor
    if LATER_DECIDED.reason in made.reasons:
        return f"decided after later dates: {given_minor} of {made.promised_minor} minor units given"
    if gave and made.reasons[0] == PORTFOLIO.reason:
        return "waits for the budget while later dates gave to others"
    if gave and _waits_later(store.runs, made):
        return "waits for the budget of a later date, which gave to others"
    if given_minor > 0 and _would_compound(store, control, made, given_minor):
        return "raises of later dates were judged by the limit without this one"
    return ""


def _waits_later(runs: RunStore, made: Decision) -> bool:
    """Claim that an account was withheld for the budget of a later day."""
    found = runs.entitlements(made.account_id, NUMBER_MAX, DAYS_BACK_MAX)
    return any(one.business_day > made.business_day and one.waiting_since for one in found)


def _would_compound(store: Store, control: Control, made: Decision, given_minor: int) -> bool:
    """Claim that a raise of a later day would have been greater after a late one of so many minor units."""
    standing = recorded_standing(made)
    later = standing.growth.later
    if later is None:
        return False
    policy = control.version(store, made.policy_version)
    moment = Moment(made.decided_us, made.business_day)
    for one in later.raises:
        then = late.after(standing, given_minor, one)
        if judge(RAISE, then, policy, moment).new_limit_minor - then.limit_minor > one.raised_minor:
            return True
    return False


def count_left_short(runs: RunStore, business_day: int) -> int:
    """Count the accounts that a day gave less than the days in order would have."""
    counts = runs.discrepancy_counts(business_day)
    return sum(count.accounts for count in counts if count.kind is DiscrepancyKind.LEFT_SHORT)
