"""What a policy says of a standing: the rules, in the order in which they are asked.

Promises the laws of lending for every policy: a raise never lowers and a cut never raises, growth caps hold, worse
facts never give a higher limit, every outcome has its grounds. Reads no clock and does no I/O.
"""

from bisect import bisect_right
from typing import Final

from service.domain import late, scorecard
from service.domain.account import (
    UNBOUNDED,
    Growth,
    is_within,
    utilisation_bp,
)
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
    APPEAL_OVERTURNED,
    ASSIGNED,
    DAY_US,
    NOTHING_DUE,
    PORTFOLIO,
    RAISED,
    TEMPORARY_GRANTED,
    TEMPORARY_NOT_OFFERED,
    TEMPORARY_ORDERED,
    FactRule,
    Ground,
    Policy,
    Step,
    Treatment,
    treatment,
)

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
        return _overturned(standing, policy)
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
        return Verdict(DECLINED, standing.limit_minor, points, tuple(scorecard.shortfalls(policy.scorecard, points)), 0)
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
    room, binding = min(rooms, key=lambda entry: entry[0])
    limit = round_down(min(wanted, room), policy.unit_minor)
    if limit < base.minimum_minor:
        grounds = (base.ground_minimum,) if wanted <= room else (base.ground_minimum, binding)
        return Verdict(DECLINED, standing.limit_minor, points, grounds, 0)
    return Verdict(APPROVED, limit, points, (ASSIGNED,) if wanted <= room else (ASSIGNED, binding), 0)


def _raise(
    standing: Standing, policy: Policy, values: list[int | None], broken: tuple[FactRule, ...], day: int
) -> Verdict:
    """Raise the limit by the band's step within the growth caps, or say why not."""
    limit = standing.limit_minor
    points = policy.points(values)
    refused = (
        policy.knocked_out_of_raise(values)
        or _broken(broken, standing, _DECLINE)
        or policy.ineligible(values)
        or _waits(policy, standing.growth, day)
    )
    if refused:
        return Verdict(DECLINED, limit, points, refused, 0)
    step = scorecard.band(policy.bands, sum(points)).step
    if step is None:
        return Verdict(DECLINED, limit, points, tuple(scorecard.shortfalls(policy.scorecard, points)), 0)
    wanted = _step(step, limit)
    referred = _referrals(standing, policy, values, broken)
    if referred:
        return Verdict(REFERRED, limit, points, referred, 0, wanted)
    rooms = _rooms(standing, policy, values[_INCOME] or 0)
    room = min(rooms)
    amount = round_down(min(wanted, room), policy.unit_minor)
    if amount <= 0:
        tight = sorted((left, place) for place, left in enumerate(rooms) if left < policy.unit_minor)
        grounds = tuple(policy.caps.grounds[place] for _, place in tight) or (policy.caps.per_decision.ground,)
        return Verdict(DECLINED, limit, points, grounds, 0, wanted)
    left = standing.growth.portfolio_room_minor
    if left != UNBOUNDED and amount > left:
        # All or nothing: whoever is not reached today comes first tomorrow.
        return Verdict(DECLINED, limit, points, (PORTFOLIO,), 0, wanted)
    grounds = (RAISED, policy.caps.grounds[rooms.index(room)]) if room < wanted else _JUST_RAISED
    return Verdict(APPROVED, limit + amount, points, grounds, 0, wanted)


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

    An operator's order needs no rule but the greatest limit.
    """
    asked, rules, limit = standing.asked, policy.temporary, standing.limit_minor
    assert asked is not None, "a temporary raise says how much and until when"
    if asked.is_ordered:
        room = policy.caps.absolute.bound - limit
        grounds: tuple[Ground, ...] = (TEMPORARY_ORDERED,)
        binding = policy.caps.absolute.ground
    else:
        if rules is None:
            return Verdict(DECLINED, limit, (), (TEMPORARY_NOT_OFFERED,), 0)
        refused = policy.knocked_out_of_raise(values) or _broken(broken, standing, _DECLINE)
        if not refused and asked.until_us - now_us > rules.days_max * DAY_US:
            refused = (rules.ground_days,)
        if refused:
            return Verdict(DECLINED, limit, (), refused, 0)
        if referred := _referrals(standing, policy, values, broken):
            return Verdict(REFERRED, limit, (), referred, 0)
        rooms = (
            (rules.maximum_minor, rules.ground_amount),
            (share(limit, rules.share_bp), rules.ground_amount),
            (policy.caps.absolute.bound - limit, policy.caps.absolute.ground),
        )
        room, binding = min(rooms, key=lambda entry: entry[0])
        grounds = (TEMPORARY_GRANTED,)
    extra = round_down(min(asked.asked_minor, room), policy.unit_minor)
    if extra <= 0:
        return Verdict(DECLINED, limit, (), (binding,), 0)
    return Verdict(APPROVED, limit + extra, (), grounds if room >= asked.asked_minor else (*grounds, binding), 0)


def _overturned(standing: Standing, policy: Policy) -> Verdict:
    """Give the limit that an appeal has won, within the policy's greatest limit; nothing where it is not more."""
    assert standing.asked is not None, "an overturned decision says which limit to give"
    limit, greatest = standing.limit_minor, policy.caps.absolute
    given = round_down(min(standing.asked.asked_minor, greatest.bound), policy.unit_minor)
    if given <= limit:
        grounds = (greatest.ground,) if standing.asked.asked_minor > greatest.bound else (APPEAL_OVERTURNED,)
        return Verdict(UNCHANGED, limit, (), grounds, 0)
    bound = () if given == standing.asked.asked_minor else (greatest.ground,)
    return Verdict(APPROVED, given, (), (APPEAL_OVERTURNED, *bound), 0)


def _cut(standing: Standing, policy: Policy, values: list[int | None], day: int) -> Verdict:
    """Cut the limit by the heaviest trigger that fires, held back by floor, day cap and cool-down."""
    limit = standing.limit_minor
    reduces = policy.reduces
    fired = policy.fired(values)
    if not fired:
        return Verdict(UNCHANGED, limit, (), (NOTHING_DUE,), 0)
    last_cut_day = standing.growth.last_cut_day
    if last_cut_day < day and is_within(last_cut_day, day, reduces.cool_down_days):
        return Verdict(UNCHANGED, limit, (), (reduces.ground_cool_down,), 0)
    fired = tuple(sorted(fired, key=lambda trigger: -trigger.cut_bp))
    growth_so_far = standing.growth
    opening = limit + growth_so_far.cut_today_minor - growth_so_far.raised_today_minor
    room = share(opening, reduces.most_per_day_bp) - growth_so_far.cut_today_minor
    lowest = reduces.floor_minor
    if not reduces.may_cut_below_exposure:
        lowest = max(lowest, standing.exposure_minor)
    new_limit = max(limit - min(share(limit, fired[0].cut_bp), max(room, 0)), lowest)
    new_limit = min(round_up(new_limit, policy.unit_minor), limit)
    if new_limit == limit:
        held_back = reduces.ground_floor if limit - lowest < policy.unit_minor else reduces.ground_day
        return Verdict(UNCHANGED, limit, (), (held_back,), 0)
    notice_days = min(trigger.notice_days for trigger in fired)
    return Verdict(APPROVED, new_limit, (), tuple(trigger.rule.ground for trigger in fired), notice_days)


def _step(step: Step, limit_minor: int) -> int:
    return min(max(share(limit_minor, step.share_bp), step.minimum_minor), step.maximum_minor)


def _rooms(standing: Standing, policy: Policy, income_minor: int) -> tuple[int, ...]:
    """Give the room that each growth cap leaves, in minor units, in the order of `caps.grounds`."""
    caps, limit, so_far = policy.caps, standing.limit_minor, standing.growth
    return (
        caps.per_decision.bound,
        share(limit, caps.per_decision_bp.bound),
        caps.per_day.bound - so_far.raised_today_minor,
        caps.per_window.bound - so_far.raised_window_minor,
        caps.absolute.bound - limit,
        share(income_minor, caps.debt_to_income_bp.bound) - limit,
        caps.automatic.bound - limit,
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
    return tuple(
        fact_rule.ground
        for fact_rule in broken
        if treatment(fact_rule, standing.profile.values[fact_rule.fact]) is wanted
    )


def _referrals(
    standing: Standing, policy: Policy, values: list[int | None], broken: tuple[FactRule, ...]
) -> tuple[Ground, ...]:
    return policy.referred(values) + _broken(broken, standing, _REFER)
