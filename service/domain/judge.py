"""What a policy says of a standing: the rules, in the order in which they are asked.

Promises the laws of lending for every policy: a raise never lowers and a cut never raises, growth caps hold, worse
facts never give a higher limit, every outcome has its grounds. Reads no clock and does no I/O.
"""

from bisect import bisect_right
from operator import itemgetter
from typing import Final

from service.domain import late, scorecard
from service.domain.account import (
    UNBOUNDED,
    Growth,
    is_within,
    utilisation_bp,
)
from service.domain.bounds import Rooms, below, cutting_short, owed_rooms, too_small
from service.domain.decision import (
    APPEAL,
    APPROVED,
    ASSIGN,
    DECLINED,
    RAISE,
    REDUCE,
    REFERRED,
    TEMPORARY,
    UNCHANGED,
    Kind,
    Moment,
    Standing,
    Verdict,
)
from service.domain.facts import INDEX
from service.domain.money import round_down, round_up, share
from service.domain.policy import (
    AMOUNT_TOO_SMALL,
    APPEAL_OVERTURNED,
    ASSIGNED,
    CUT_TOO_SMALL,
    DAY_US,
    EXPOSURE_REACHED,
    NOTHING_DUE,
    PORTFOLIO,
    RAISED,
    STEP_TOO_SMALL,
    TEMPORARY_GRANTED,
    TEMPORARY_NOT_OFFERED,
    TEMPORARY_ORDERED,
    FactRule,
    Ground,
    Policy,
    Step,
    Treatment,
    Values,
    treatment,
    unknown,
)
from service.domain.rules import FIRST

_INCOME: Final = INDEX["monthly_income"]
_JUST_RAISED: Final = (RAISED,)
_DECLINE: Final = Treatment.DECLINE
_REFER: Final = Treatment.REFER


def judge(kind: Kind, standing: Standing, policy: Policy, moment: Moment) -> Verdict:
    """Give what the policy says of a standing, for any kind but an import."""
    if kind is RAISE and standing.growth.later is not None:
        return _late(standing, policy, moment)
    values, broken = policy.usable(standing.profile.values, standing.profile.observed_us, moment.now_us)
    values.append(utilisation_bp(standing.limit_minor, standing.exposure_minor))
    if kind is ASSIGN:
        return _assign(standing, policy, values, broken)
    if kind is APPEAL:
        return _overturned(standing, policy, values)
    if kind is TEMPORARY:
        return _temporary(standing, policy, values, broken, moment.now_us)
    cut = _cut(standing, policy, values, moment.business_day)
    if kind is REDUCE:
        return cut
    if cut.grounds[0] is NOTHING_DUE:
        raised = _raise(standing, policy, values, broken, moment.business_day)
    else:
        raised = Verdict(
            DECLINED,
            standing.limit_minor,
            (),
            tuple(trigger.rule.ground for trigger in policy.fired(values)),
            0,
        )
    if kind is RAISE:
        return raised
    if cut.outcome is APPROVED or cut.grounds[0] is not NOTHING_DUE:
        return cut
    # Nobody asked for a raise, so a review that finds none due leaves things as they are.
    return Verdict(UNCHANGED, *raised[1:]) if raised.outcome is DECLINED else raised


def _assign(standing: Standing, policy: Policy, values: list[int | None], broken: tuple[FactRule, ...]) -> Verdict:
    """Give a first limit: band by score, multiple by income, within caps."""
    refused = policy.knocked_out_of_first(values) or _broken(broken, standing, _DECLINE)
    points = policy.points(values)
    if refused:
        return Verdict(DECLINED, standing.limit_minor, points, refused, 0)
    band = scorecard.band(policy.bands, sum(points))
    income = values[_INCOME] or 0
    base = policy.base_limit
    column = bisect_right(base.income_from_minor, income) - 1
    multiple = band.multiples_bp[column]
    if not multiple:
        grounds = _shortfalls(standing, policy, values, points)
        if values[_INCOME] is None and base.absence is not None and band.multiples_bp[-1]:
            # The band carries a limit from some income on.
            grounds = _unknown_income((base.ground_minimum, *grounds), standing, policy, values)
        return Verdict(DECLINED, standing.limit_minor, points, grounds, 0)
    referred = _referrals(standing, policy, values, broken)
    if referred:
        return Verdict(REFERRED, standing.limit_minor, points, referred, 0)
    wanted = share(income, multiple)
    caps = policy.caps
    rooms = (
        (base.maximum_minor, base.ground_maximum),
        (caps.absolute.bound, caps.absolute.ground),
        (share(income, caps.debt_to_income_bp.bound), caps.debt_to_income_bp.ground),
        (caps.automatic.bound, caps.automatic.ground),
    )
    limit = round_down(min(wanted, *(room for room, _ in rooms)), policy.unit_minor)
    short = cutting_short(wanted, rooms, policy.unit_minor, standing.rules)
    if limit >= base.minimum_minor:
        return Verdict(APPROVED, limit, points, (ASSIGNED, *short), 0)
    if standing.rules != FIRST:
        # A cap counts only where the least limit would be reached without it.
        reached = round_down(wanted, policy.unit_minor) >= base.minimum_minor
        short = below(rooms, round_up(base.minimum_minor, policy.unit_minor)) if reached else ()
    grounds = _unknown_income((base.ground_minimum, *short), standing, policy, values)
    return Verdict(DECLINED, standing.limit_minor, points, grounds, 0)


def _raise(
    standing: Standing, policy: Policy, values: list[int | None], broken: tuple[FactRule, ...], day: int
) -> Verdict:
    """Raise the limit by the band's step within the growth caps, or say why not."""
    limit = standing.limit_minor
    points = policy.points(values)
    refused = (
        policy.knocked_out_of_raise(values)
        or _broken(broken, standing, _DECLINE)
        or policy.ineligible(values, standing.profile.values)
    )
    waits = () if refused else _waits(policy, standing.growth, day)
    if refused or (waits and standing.rules == FIRST):
        return Verdict(DECLINED, limit, points, refused or waits, 0)
    step = scorecard.band(policy.bands, sum(points)).step
    if step is None:
        return Verdict(DECLINED, limit, points, _shortfalls(standing, policy, values, points), 0)
    wanted = _step(step, limit)
    referred = _referrals(standing, policy, values, broken)
    if referred and not waits:
        return Verdict(REFERRED, limit, points, referred, 0, wanted)
    rooms = _rooms(standing, policy, values[_INCOME] or 0)
    room = min(rooms)
    amount = round_down(min(wanted, room), policy.unit_minor)
    if waits:
        # Whoever waits is promised nothing; what would hold the raise beside the wait holds it, too.
        nothing = () if referred or amount > 0 else _nothing(standing, policy, wanted, rooms)
        return Verdict(DECLINED, limit, points, (*waits, *nothing), 0)
    if amount <= 0:
        grounds = _unknown_income(_nothing(standing, policy, wanted, rooms), standing, policy, values)
        return Verdict(DECLINED, limit, points, grounds, 0, wanted)
    left = standing.growth.portfolio_room_minor
    if left != UNBOUNDED and amount > left:
        # All or nothing: whoever is not reached today comes first tomorrow.
        return Verdict(DECLINED, limit, points, (PORTFOLIO,), 0, wanted)
    if room >= wanted:
        return Verdict(APPROVED, limit + amount, points, _JUST_RAISED, 0, wanted)
    short = cutting_short(wanted, _named(policy, rooms), policy.unit_minor, standing.rules)
    return Verdict(APPROVED, limit + amount, points, (RAISED, *short), 0, wanted)


def _nothing(standing: Standing, policy: Policy, wanted: int, rooms: tuple[int, ...]) -> tuple[Ground, ...]:
    """Give why a raise comes to nothing."""
    named = _named(policy, rooms)
    if standing.rules == FIRST:
        return below(named, policy.unit_minor) or (policy.caps.per_decision.ground,)
    return too_small(wanted, named, policy.unit_minor, STEP_TOO_SMALL)


def _named(policy: Policy, rooms: tuple[int, ...]) -> Rooms:
    return tuple(zip(rooms, policy.caps.grounds, strict=True))


def _late(standing: Standing, policy: Policy, moment: Moment) -> Verdict:
    """Raise the limit for a day after later ones, by no more than the days in order would have."""
    ordered = judge(RAISE, late.in_order(standing), policy, moment)
    values, _ = policy.usable(standing.profile.values, standing.profile.observed_us, moment.now_us)
    room = min(_rooms(standing, policy, values[_INCOME] or 0))
    found = late.bounded(ordered, standing, policy, room, moment.business_day)
    if found.outcome is APPROVED and standing.growth.later is not None:
        given = found.new_limit_minor - standing.limit_minor
        for one in standing.growth.later.raises:
            # What later days gave must have been given at the greater limit, too: it may be used less, for one.
            then = late.after(standing, given, one)
            if judge(RAISE, then, policy, moment).new_limit_minor - then.limit_minor < one.raised_minor:
                return late.overtaken(ordered, standing)
    return found


def _temporary(
    standing: Standing, policy: Policy, values: list[int | None], broken: tuple[FactRule, ...], now_us: int
) -> Verdict:
    """Raise what may be owed until a time, within the policy's bounds, or say why not.

    It takes the place of one in force, so its room is what the own limit leaves. An operator's order needs no rule but
    the greatest limit.
    """
    asked, rules, limit = standing.asked, policy.temporary, standing.limit_minor
    assert asked is not None, "a temporary raise says how much and until when"
    too_long: tuple[Ground, ...] = ()
    if asked.is_ordered:
        granted, rooms = TEMPORARY_ORDERED, owed_rooms(policy, limit, None)
    elif rules is None:
        return Verdict(DECLINED, limit, (), (TEMPORARY_NOT_OFFERED,), 0)
    else:
        if refused := policy.knocked_out_of_raise(values) or _broken(broken, standing, _DECLINE):
            return Verdict(DECLINED, limit, (), refused, 0)
        too_long = (rules.ground_days,) if asked.until_us - now_us > rules.days_max * DAY_US else ()
        if referred := _referrals(standing, policy, values, broken):
            return Verdict(DECLINED if too_long else REFERRED, limit, (), too_long or referred, 0)
        granted = TEMPORARY_GRANTED
        rooms = (
            (rules.maximum_minor, rules.ground_amount),
            (share(limit, rules.share_bp), rules.ground_amount),
            *owed_rooms(policy, limit, None if standing.rules == FIRST else values[_INCOME] or 0),
        )
    return _granted_until(standing, policy, rooms, granted, too_long)


def _granted_until(
    standing: Standing, policy: Policy, rooms: Rooms, granted: Ground, too_long: tuple[Ground, ...]
) -> Verdict:
    """Give what the rooms leave of a temporary raise, or why there is none."""
    assert standing.asked is not None, "a temporary raise says how much and until when"
    limit, wanted, unit = standing.limit_minor, standing.asked.asked_minor, policy.unit_minor
    extra = round_down(min(wanted, *(room for room, _ in rooms)), unit)
    if standing.rules == FIRST and (too_long or extra <= 0):
        grounds = too_long or (min(rooms, key=itemgetter(0))[1],)
    elif too_long or extra <= 0:
        grounds = (*too_long, *(() if extra > 0 else too_small(wanted, rooms, unit, AMOUNT_TOO_SMALL)))
    else:
        short = cutting_short(wanted, rooms, unit, standing.rules)
        return Verdict(APPROVED, limit + extra, (), (granted, *short), 0)
    return Verdict(DECLINED, limit, (), grounds, 0)


def _overturned(standing: Standing, policy: Policy, values: list[int | None]) -> Verdict:
    """Give the limit that an appeal has won; nothing where it is not more.

    A person's word needs no rule but the greatest limit. What corrected facts settle keeps within the caps on what may
    be owed, a first limit within the greatest one, and the day's budget.
    """
    asked, limit = standing.asked, standing.limit_minor
    assert asked is not None, "an overturned decision says which limit to give"
    if standing.rules == FIRST:
        return _overturned_first(asked.asked_minor, limit, policy)
    income = None if asked.is_ordered else values[_INCOME] or 0
    tops = owed_rooms(policy, standing.growth.temporary_minor, income)
    if not limit and not asked.is_ordered:
        tops = ((policy.base_limit.maximum_minor, policy.base_limit.ground_maximum), *tops)
    given = round_down(min(asked.asked_minor, *(top for top, _ in tops)), policy.unit_minor)
    if asked.asked_minor <= limit:
        return Verdict(UNCHANGED, limit, (), (NOTHING_DUE,), 0)
    if given <= limit:
        least = round_down(limit, policy.unit_minor) + policy.unit_minor
        return Verdict(UNCHANGED, limit, (), too_small(asked.asked_minor, tops, least, AMOUNT_TOO_SMALL), 0)
    left = standing.growth.portfolio_room_minor
    if not asked.is_ordered and limit and left != UNBOUNDED and given - limit > left:
        return Verdict(UNCHANGED, limit, (), (PORTFOLIO,), 0)
    short = cutting_short(asked.asked_minor, tops, policy.unit_minor, standing.rules)
    return Verdict(APPROVED, given, (), (APPEAL_OVERTURNED, *short), 0)


def _overturned_first(asked_minor: int, limit: int, policy: Policy) -> Verdict:
    """Give what the first rules of judging gave to an appeal that was won."""
    greatest = policy.caps.absolute
    given = round_down(min(asked_minor, greatest.bound), policy.unit_minor)
    if given <= limit:
        grounds = (greatest.ground,) if asked_minor > greatest.bound else (APPEAL_OVERTURNED,)
        return Verdict(UNCHANGED, limit, (), grounds, 0)
    bound = () if given == asked_minor else (greatest.ground,)
    return Verdict(APPROVED, given, (), (APPEAL_OVERTURNED, *bound), 0)


def _cut(standing: Standing, policy: Policy, values: list[int | None], day: int) -> Verdict:
    """Cut the limit by the heaviest trigger that fires, held back by floor, day cap and cool-down."""
    limit = standing.limit_minor
    reduces = policy.reduces
    fired = policy.fired(values)
    if not fired:
        return Verdict(UNCHANGED, limit, (), (NOTHING_DUE,), 0)
    last_cut_day = standing.growth.last_cut_day
    is_lately = last_cut_day < day and is_within(last_cut_day, day, reduces.cool_down_days)
    if is_lately and standing.rules == FIRST:
        return Verdict(UNCHANGED, limit, (), (reduces.ground_cool_down,), 0)
    fired = tuple(sorted(fired, key=lambda trigger: -trigger.cut_bp))
    growth_so_far = standing.growth
    opening = limit + growth_so_far.cut_today_minor - growth_so_far.raised_today_minor
    room = share(opening, reduces.most_per_day_bp) - growth_so_far.cut_today_minor
    owed = 0 if reduces.may_cut_below_exposure else standing.exposure_minor
    lows = (limit - share(limit, fired[0].cut_bp), limit - max(room, 0), reduces.floor_minor, owed)
    new_limit = min(round_up(max(lows), policy.unit_minor), limit)
    if is_lately or new_limit == limit:
        held_back = _held_back(standing, policy, lows)
        return Verdict(UNCHANGED, limit, (), (reduces.ground_cool_down, *held_back) if is_lately else held_back, 0)
    notice_days = min(trigger.notice_days for trigger in fired)
    return Verdict(APPROVED, new_limit, (), tuple(trigger.rule.ground for trigger in fired), notice_days)


def _held_back(standing: Standing, policy: Policy, lows: tuple[int, int, int, int]) -> tuple[Ground, ...]:
    """Give what leaves no cut by itself: of the trigger's, the day's, the floor's and the exposure's lowest limit."""
    limit, reduces = standing.limit_minor, policy.reduces
    if standing.rules == FIRST:
        is_at_floor = limit - max(lows[2:]) < policy.unit_minor
        return (reduces.ground_floor if is_at_floor else reduces.ground_day,)
    if not limit:
        return (reduces.ground_floor,)
    grounds = (CUT_TOO_SMALL, reduces.ground_day, reduces.ground_floor, EXPOSURE_REACHED)
    return tuple(ground for low, ground in zip(lows, grounds, strict=True) if round_up(low, policy.unit_minor) >= limit)


def _step(step: Step, limit_minor: int) -> int:
    return min(max(share(limit_minor, step.share_bp), step.minimum_minor), step.maximum_minor)


def _rooms(standing: Standing, policy: Policy, income_minor: int) -> tuple[int, ...]:
    """Give the room that each growth cap leaves, in minor units, in the order of `caps.grounds`."""
    caps, limit, so_far = policy.caps, standing.limit_minor, standing.growth
    owed = limit + so_far.temporary_minor
    return (
        caps.per_decision.bound,
        share(limit, caps.per_decision_bp.bound),
        caps.per_day.bound - so_far.raised_today_minor,
        caps.per_window.bound - so_far.raised_window_minor,
        caps.absolute.bound - owed,
        share(income_minor, caps.debt_to_income_bp.bound) - owed,
        caps.automatic.bound - owed,
    )


def _waits(policy: Policy, so_far: Growth, day: int) -> tuple[Ground, ...]:
    """Give the grounds of the cool-downs that still run."""
    raises = policy.raises
    waits: tuple[Ground, ...] = ()
    if is_within(so_far.last_cut_day, day, raises.after_cut_days):
        waits += (raises.ground_after_cut,)
    if is_within(so_far.last_raise_day, day, raises.after_raise_days):
        waits += (raises.ground_after_raise,)
    return waits


def _broken(broken: tuple[FactRule, ...], standing: Standing, wanted: Treatment) -> tuple[Ground, ...]:
    if not broken:
        return ()
    stored = standing.profile.values
    return tuple(
        unknown(fact_rule.absence, stored[fact_rule.fact])
        for fact_rule in broken
        if treatment(fact_rule, stored[fact_rule.fact]) is wanted
    )


def _shortfalls(standing: Standing, policy: Policy, values: Values, points: tuple[int, ...]) -> tuple[Ground, ...]:
    return tuple(scorecard.shortfalls(policy.scorecard, points, values, standing.profile.values))


def _unknown_income(
    grounds: tuple[Ground, ...], standing: Standing, policy: Policy, values: Values
) -> tuple[Ground, ...]:
    """Name an income that is not known in place of the bounds that it leaves: they would speak of a low one."""
    base = policy.base_limit
    if values[_INCOME] is not None or base.absence is None:
        return grounds
    not_known = unknown(base.absence, standing.profile.values[_INCOME])
    bounds = (base.ground_minimum, policy.caps.debt_to_income_bp.ground)
    return tuple(dict.fromkeys(not_known if ground in bounds else ground for ground in grounds))


def _referrals(
    standing: Standing, policy: Policy, values: list[int | None], broken: tuple[FactRule, ...]
) -> tuple[Ground, ...]:
    return policy.referred(values) + _broken(broken, standing, _REFER)
