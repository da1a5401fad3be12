"""A raise for a business day that is decided after later days were: what it may give.

Promises that it never gives more than the days in their order would have: it is judged as it would have been on its
day, by the limit of that day, and given only as far as the waits and caps leave room in both directions of time, and
as what later days gave would have been given all the same. Whoever gets less is told why (ADR 19).
"""

from service.domain.account import NO_GROWTH, Growth, Later, LaterRaise
from service.domain.decision import APPROVED, DECLINED, Standing, Verdict
from service.domain.money import round_down
from service.domain.policy import LATER_DECIDED, RAISED, Policy


def in_order(standing: Standing) -> Standing:
    """Give a standing as it was on its day, before anything that came later."""
    growth = standing.growth
    assert growth.later is not None, "only what is late is put back in order"
    then = growth._replace(raised_window_minor=growth.later.raised_window_minor, later=None)
    return standing._replace(limit_minor=standing.limit_minor - growth.later.moved_minor, growth=then)


def without_budget(growth: Growth) -> Growth:
    """Give a growth of a day whose budget can't be given out any more as the days in order would have."""
    later = growth.later or Later(0, growth.raised_window_minor, (), is_cut=False, raise_days=0)
    return growth._replace(later=later._replace(is_budget_spent=True))


def bounded(ordered: Verdict, standing: Standing, policy: Policy, room_minor: int, day: int) -> Verdict:
    """Bound what was judged in order (`ordered`) by what came later; `room_minor` is what the caps leave by now."""
    limit, later = standing.limit_minor, standing.growth.later
    assert later is not None, "only what is late is bounded"
    if ordered.outcome is not APPROVED:
        return ordered._replace(new_limit_minor=limit)
    wanted = in_order_minor(ordered, standing)
    given = (
        0 if _is_overtaken(later, policy, room_minor, day) else round_down(min(wanted, room_minor), policy.unit_minor)
    )
    if given <= 0:
        return overtaken(ordered, standing)
    grounds = ordered.grounds if given == wanted else (RAISED, LATER_DECIDED)
    return Verdict(APPROVED, limit + given, ordered.points, grounds, 0, ordered.promised_minor)


def overtaken(ordered: Verdict, standing: Standing) -> Verdict:
    """Withhold what was judged in order because of what came later."""
    return Verdict(DECLINED, standing.limit_minor, ordered.points, (LATER_DECIDED,), 0, ordered.promised_minor)


def after(standing: Standing, given_minor: int, one: LaterRaise) -> Standing:
    """Give a standing as it would have been at a later raise, had the days been decided in order."""
    return standing._replace(limit_minor=one.limit_minor + given_minor, growth=NO_GROWTH)


def in_order_minor(ordered: Verdict, standing: Standing) -> int:
    """Give the raise that the days in order would have given on this one, in minor units."""
    then = in_order(standing).limit_minor
    return ordered.new_limit_minor - then if ordered.outcome is APPROVED else 0


def _is_overtaken(later: Later, policy: Policy, room_minor: int, day: int) -> bool:
    """Claim that a raise of its day could have taken the place of what later days gave, or a cut have met it."""
    if later.is_cut or later.is_budget_spent:
        return True
    if not later.raises:
        return False
    wait_days, caps = policy.raises.after_raise_days, policy.caps
    if caps.portfolio_per_day_minor is not None or later.raises[0].day - day < wait_days:
        return True
    # Where raises wait for each other, one that a cap cuts short can shift all that follow. So no cap may come near.
    most = later.raise_days * caps.per_decision.bound
    return wait_days > 1 and (most + caps.per_decision.bound > caps.per_window.bound or most > room_minor)
