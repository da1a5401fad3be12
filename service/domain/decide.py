"""One decision: the control flow from a command and an account to a record.

Promises the laws of lending for every policy: a raise never lowers and a cut never raises, growth caps hold over any
sequence, worse facts never give a higher limit, every outcome has its grounds. Reads no clock and does no I/O.
"""

from bisect import bisect_right
from typing import Final

from service.domain import scorecard
from service.domain.account import (
    UNBOUNDED,
    Account,
    Growth,
    Status,
    growth,
    growth_then,
    is_within,
    known,
    moved,
    settled,
    utilisation_bp,
)
from service.domain.decision import (
    DecideCommand,
    Decision,
    Kind,
    Moment,
    Outcome,
    Standing,
    Verdict,
    standing_of,
)
from service.domain.errors import (
    AccountClosed,
    AccountExists,
    InvalidRequest,
    NoLimitAssigned,
    VersionMismatch,
    Violation,
)
from service.domain.facts import CHARACTERISTICS, INDEX, Profile, merge
from service.domain.mode import Judgement, Mode, judged
from service.domain.money import round_down, round_up, share
from service.domain.policy import (
    ASSIGNED,
    IMPORTED,
    NOTHING_DUE,
    PORTFOLIO,
    RAISED,
    REASONS_MAX,
    FactRule,
    Ground,
    Policy,
    Step,
    Treatment,
    treatment,
)

_INCOME: Final = INDEX["monthly_income"]
_JUST_RAISED: Final = (RAISED,)
_MOVES: Final = frozenset((Kind.RAISE, Kind.REDUCE, Kind.REVIEW))
"""Kinds whose change of limit counts as growth or cut; a first limit and an import do not."""


def decide(
    command: DecideCommand, account: Account, policy: Policy, mode: Mode, moment: Moment
) -> tuple[Account, Decision]:
    """Decide one command on one account and give the account after it and the record.

    Raises AccountClosed, AccountExists, NoLimitAssigned, VersionMismatch or InvalidRequest; nothing has changed then.
    """
    check(command, account)
    account = settled(account, moment.now_us)
    stated = merge(account.profile, command.news, moment.now_us)
    profile = stated
    if account.behaviour is not None:
        # What comes with the decision counts for it, whatever events tell.
        profile = merge(known(account, moment.today or moment.business_day), command.news, moment.now_us)
    before = (growth_then if command.business_day else growth)(account, moment.business_day)
    if moment.portfolio_room_minor != UNBOUNDED:
        before = before._replace(portfolio_room_minor=moment.portfolio_room_minor)
    if command.kind is Kind.IMPORT:
        verdict = Verdict(Outcome.APPROVED, command.import_limit_minor, (), (IMPORTED,), 0)
        judgement = Judgement(verdict, policy, ())
        account = account._replace(outstanding_minor=command.import_outstanding_minor)
    else:
        standing = standing_of(account, profile, before)
        judgement = judge_in(mode, command.kind, account.account_id, account.product, standing, policy, moment)
    decision = _record(command, account, judgement, mode.mode_id, moment, profile, before)
    return _after(account, decision, stated), decision


def judge_in(
    mode: Mode, kind: Kind, account_id: str, product: str, standing: Standing, policy: Policy, moment: Moment
) -> Judgement:
    """Give what the policy says of a standing in a mode, for any kind but an import."""
    if not mode.measures:
        return Judgement(judge(kind, standing, policy, moment), policy, ())
    return judged(mode, judge, kind, account_id, product, standing, policy, moment)


def judge(kind: Kind, standing: Standing, policy: Policy, moment: Moment) -> Verdict:
    """Give what the policy says of a standing, for any kind but an import."""
    values, broken = policy.usable(standing.profile.values, standing.profile.observed_us, moment.now_us)
    values.append(utilisation_bp(standing.limit_minor, standing.exposure_minor))
    if kind is Kind.ASSIGN:
        return _assign(standing, policy, values, broken)
    cut = _cut(standing, policy, values, moment.business_day)
    if kind is Kind.REDUCE:
        return cut
    if cut.grounds[0] is NOTHING_DUE:
        raised = _raise(standing, policy, values, broken, moment.business_day)
    else:
        raised = Verdict(
            Outcome.DECLINED,
            standing.limit_minor,
            (),
            tuple(trigger.rule.ground for trigger in policy.fired(values)),
            0,
        )
    if kind is Kind.RAISE:
        return raised
    if cut.outcome is Outcome.APPROVED or cut.grounds[0] is not NOTHING_DUE:
        return cut
    # Nobody asked for a raise, so a review that finds none due leaves things as they are.
    return raised._replace(outcome=Outcome.UNCHANGED) if raised.outcome is Outcome.DECLINED else raised


def check(command: DecideCommand, account: Account) -> None:
    """Refuse a command that the account's state rules out."""
    if command.expected_version and command.expected_version != account.version:
        raise VersionMismatch(account.account_id, command.expected_version, account.version)
    violations: list[Violation] = []
    for fact, currency in command.news_currencies:
        if currency != account.currency:
            field = f"facts.{CHARACTERISTICS[fact].name}.currency_code"
            violations.append(Violation(field, f"{currency} is not the account's currency; send {account.currency}"))
    if command.product and command.product != account.product:
        violations.append(
            Violation("product", f"the account's product is {account.product}; leave this out or mend it")
        )
    if command.kind is Kind.IMPORT and command.import_currency != account.currency:
        violations.append(Violation("limit.currency_code", f"the product's currency is {account.currency}"))
    if violations:
        raise InvalidRequest(tuple(violations))
    if account.status is Status.CLOSED:
        raise AccountClosed(account.account_id)
    opens = command.kind is Kind.ASSIGN or command.kind is Kind.IMPORT
    if opens and account.status is Status.ACTIVE:
        raise AccountExists(account.account_id)
    if not opens and account.status is Status.APPLICANT:
        raise NoLimitAssigned(account.account_id)


def _assign(standing: Standing, policy: Policy, values: list[int | None], broken: tuple[FactRule, ...]) -> Verdict:
    """Give a first limit: band by score, multiple by income, within caps."""
    refused = policy.knocked_out_of_first(values) or _broken(broken, standing, Treatment.DECLINE)
    points = policy.points(values)
    if refused:
        return Verdict(Outcome.DECLINED, standing.limit_minor, points, refused, 0)
    band = scorecard.band(policy.bands, sum(points))
    income = values[_INCOME] or 0
    base = policy.base_limit
    column = bisect_right(base.income_from_minor, income) - 1
    multiple = band.multiples_bp[column]
    if not multiple:
        return Verdict(
            Outcome.DECLINED, standing.limit_minor, points, tuple(scorecard.shortfalls(policy.scorecard, points)), 0
        )
    referred = _referrals(standing, policy, values, broken)
    if referred:
        return Verdict(Outcome.REFERRED, standing.limit_minor, points, referred, 0)
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
        return Verdict(Outcome.DECLINED, standing.limit_minor, points, grounds, 0)
    return Verdict(Outcome.APPROVED, limit, points, (ASSIGNED,) if wanted <= room else (ASSIGNED, binding), 0)


def _raise(
    standing: Standing, policy: Policy, values: list[int | None], broken: tuple[FactRule, ...], day: int
) -> Verdict:
    """Raise the limit by the band's step within the growth caps, or say why not."""
    limit = standing.limit_minor
    points = policy.points(values)
    refused = (
        policy.knocked_out_of_raise(values)
        or _broken(broken, standing, Treatment.DECLINE)
        or policy.ineligible(values)
        or _waits(policy, standing.growth, day)
    )
    if refused:
        return Verdict(Outcome.DECLINED, limit, points, refused, 0)
    step = scorecard.band(policy.bands, sum(points)).step
    if step is None:
        return Verdict(Outcome.DECLINED, limit, points, tuple(scorecard.shortfalls(policy.scorecard, points)), 0)
    wanted = _step(step, limit)
    referred = _referrals(standing, policy, values, broken)
    if referred:
        return Verdict(Outcome.REFERRED, limit, points, referred, 0, wanted)
    rooms = _rooms(standing, policy, values[_INCOME] or 0)
    room = min(rooms)
    amount = round_down(min(wanted, room), policy.unit_minor)
    if amount <= 0:
        tight = sorted((left, place) for place, left in enumerate(rooms) if left < policy.unit_minor)
        grounds = tuple(policy.caps.grounds[place] for _, place in tight) or (policy.caps.per_decision.ground,)
        return Verdict(Outcome.DECLINED, limit, points, grounds, 0, wanted)
    left = standing.growth.portfolio_room_minor
    if left != UNBOUNDED and amount > left:
        # All or nothing: whoever is not reached today comes first tomorrow.
        return Verdict(Outcome.DECLINED, limit, points, (PORTFOLIO,), 0, wanted)
    grounds = (RAISED, policy.caps.grounds[rooms.index(room)]) if room < wanted else _JUST_RAISED
    return Verdict(Outcome.APPROVED, limit + amount, points, grounds, 0, wanted)


def _cut(standing: Standing, policy: Policy, values: list[int | None], day: int) -> Verdict:
    """Cut the limit by the heaviest trigger that fires, held back by floor, day cap and cool-down."""
    limit = standing.limit_minor
    reduces = policy.reduces
    fired = policy.fired(values)
    if not fired:
        return Verdict(Outcome.UNCHANGED, limit, (), (NOTHING_DUE,), 0)
    last_cut_day = standing.growth.last_cut_day
    if last_cut_day < day and is_within(last_cut_day, day, reduces.cool_down_days):
        return Verdict(Outcome.UNCHANGED, limit, (), (reduces.ground_cool_down,), 0)
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
        return Verdict(Outcome.UNCHANGED, limit, (), (held_back,), 0)
    notice_days = min(trigger.notice_days for trigger in fired)
    return Verdict(Outcome.APPROVED, new_limit, (), tuple(trigger.rule.ground for trigger in fired), notice_days)


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
    return policy.referred(values) + _broken(broken, standing, Treatment.REFER)


def principal_reasons(grounds: tuple[Ground, ...]) -> tuple[str, ...]:
    """Give the first four different reason codes of an outcome's grounds."""
    if len(grounds) == 1:
        return (grounds[0].reason,)
    return tuple(dict.fromkeys(ground.reason for ground in grounds))[:REASONS_MAX]


def _record(
    command: DecideCommand,
    account: Account,
    judgement: Judgement,
    mode_id: str,
    moment: Moment,
    profile: Profile,
    before: Growth,
) -> Decision:
    verdict, policy, activations = judgement
    limit = account.limit_minor
    approved = verdict.outcome is Outcome.APPROVED
    notice_owed = verdict.outcome is Outcome.DECLINED or (approved and verdict.new_limit_minor < limit)
    notice_days = verdict.notice_days or policy.notice_days
    if before.portfolio_room_minor >= verdict.promised_minor:
        # Room enough says nothing, and differs from one decision to the next.
        before = before._replace(portfolio_room_minor=UNBOUNDED)
    return Decision(
        0, account.last_decision, account.account_id, account.version + 1, command.kind, verdict.outcome,
        Status.ACTIVE if approved else account.status,
        limit, verdict.new_limit_minor, account.held_minor, account.outstanding_minor, profile, before,
        verdict.points, principal_reasons(verdict.grounds), policy.version, mode_id, activations,
        command.caller, command.request_id, command.fingerprint, command.trace_id,
        moment.now_us, moment.business_day, moment.business_day + notice_days if notice_owed else 0,
        verdict.promised_minor,
    )  # fmt: skip


def _after(account: Account, decision: Decision, stated: Profile) -> Account:
    """Give the account after a decision; the number is entered by the book."""
    day = decision.business_day
    change = decision.new_limit_minor - decision.old_limit_minor
    movements, last_raise_day, last_cut_day = account.movements, account.last_raise_day, account.last_cut_day
    if change and decision.kind in _MOVES:
        movements = moved(movements, day, change)
        if change > 0:
            last_raise_day = max(last_raise_day, day)
        else:
            last_cut_day = max(last_cut_day, day)
    return Account(
        account.account_id, account.product, account.currency, decision.status, decision.new_limit_minor,
        account.held_minor, account.outstanding_minor, decision.account_version, stated,
        last_raise_day, last_cut_day, movements, *account[12:],
    )  # fmt: skip
