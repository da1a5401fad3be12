"""Advice: what a customer can do about an outcome, or from when on asking again can succeed.

Promises that every piece was evaluated with the recorded policy as a whole: make all its changes together, on its day,
everything else equal, and the outcome follows; and that no smaller set of changes would do. Where nothing is found,
nothing is promised.

A directed fact never lowers a limit as it gets better (the laws of the policy's validation), so what helps at all helps
at its best, and the turning point of each change is found by bisection. A mode that refers cases to people may break
that order: what is found comes true even then, but something nearer may, too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

from service.domain.account import NEVER, UNBOUNDED, WINDOW_DAYS, Growth
from service.domain.behaviour import MONTH_DAYS
from service.domain.days import iso
from service.domain.decision import APPROVED, Ask, Kind, Moment, Outcome, Standing, Verdict
from service.domain.facts import FACTS, INDEX, MONEY_FACTS, Better, merge
from service.domain.money import BASIS_POINTS, display
from service.domain.policy import DAY_US, Policy

CHANGES_MAX: Final = 3
"""So many changes a person can be asked for at once."""

ACTIONABLE: Final = tuple(
    INDEX[name]
    for name in (
        "dpd_now", "profile_completeness_bp", "identity_level", "enquiries_30d", "payment_ratio_bp", "monthly_income",
        "on_time_streak_months", "employment_months", "bureau_score",
    )
)  # fmt: skip
"""Facts that a person can change, the easiest first; of equally small sets the easiest counts."""
_MORE: Final = {INDEX["bureau_score"]: 100, INDEX["on_time_streak_months"]: 12, INDEX["employment_months"]: 12}
"""By how much a person can better a fact within a year, in its unit; of others all the way."""
_UNKNOWN_BEST: Final = {INDEX["bureau_score"]: 750, INDEX["employment_months"]: 120, INDEX["on_time_streak_months"]: 12}
"""How good a fact may be taken to turn out that nothing is known of."""
_INCOME: Final = INDEX["monthly_income"]
_STREAK: Final = INDEX["on_time_streak_months"]
_DPD_NOW: Final = INDEX["dpd_now"]
_ENQUIRIES: Final = INDEX["enquiries_30d"]
_RATIO: Final = INDEX["payment_ratio_bp"]
_DPD_MAX: Final = INDEX["dpd_max_12m"]
_LATE_MONTHS: Final = INDEX["late_months_12m"]
DAYS_A_MONTH: Final = 31
"""So that a streak of months is never told too early."""
MONTHS_A_YEAR: Final = 12
YEAR_DAYS: Final = 365
_HABITS: Final = (*(DAYS_A_MONTH * months for months in (1, 2, 3, 6, 9)), YEAR_DAYS + DAYS_A_MONTH)
"""In how many days good habits are looked at: what counts a year is over when the month after it is."""

Judge = Callable[[Kind, Standing, Moment], Verdict]
"""Gives what the recorded policy and mode say of a standing at a moment."""

LABELS: Final = {
    "identity_level": ("身份核验等级", "identity level"),
    "bureau_score": ("征信评分", "credit bureau score"),
    "monthly_income": ("已证明的月收入", "proven monthly income"),
    "employment_months": ("现单位工作月数", "months with your employer"),
    "enquiries_30d": ("近 30 天征信查询次数", "credit enquiries in 30 days"),
    "on_time_streak_months": ("连续按时还款月数", "months in a row paid on time"),
    "payment_ratio_bp": ("还款占账单比例（万分比）", "paid share of bills (basis points)"),
    "dpd_now": ("当前逾期天数", "days past due"),
    "dpd_max_12m": ("过去 12 个月最长逾期天数", "most days past due in 12 months"),
    "late_months_12m": ("过去 12 个月逾期月数", "late months in 12 months"),
    "profile_completeness_bp": ("资料完整度（万分比）", "profile completeness (basis points)"),
}
"""What a customer calls each fact that advice can name: Chinese, English."""
GOOD_HABITS_ZH: Final = "在此之前还清逾期、每期足额按时还款且不申请新的贷款"
GOOD_HABITS_EN: Final = (
    "what is past due paid, every bill paid in full and on time and no new credit asked for until then"
)
NOTHING_KNOWN_ZH: Final = "目前没有已知的、您现在能做的事可以改变这一结果。如您认为我们掌握的信息有误，可以提出申诉。"
NOTHING_KNOWN_EN: Final = (
    "Nothing that you can do now is known to change this. If you believe that what we know is wrong, you can appeal."
)


class Change(NamedTuple):
    """One fact from what it is (None: missing or too old) to the nearest value that does, in the fact's unit."""

    fact: int
    current: int | None
    target: int


class Advice(NamedTuple):
    """Changes that together, from a business day on, give a better outcome; the limit in minor units."""

    changes: tuple[Change, ...]
    from_day: int
    """Days since 1970-01-01; 0 where it would do at once."""
    by_then: tuple[Change, ...]
    """What the time until that day mends, where bills are paid in full and on time and no new credit is asked for."""
    until_us: int
    """With a temporary raise that was asked for too long: the latest end that would do; 0 otherwise."""
    outcome_then: Outcome
    limit_then_minor: int
    """With a temporary raise: what could be owed while it lasts."""
    is_temporary: bool


class Question(NamedTuple):
    """What is asked again: the kind, where the account stands when it can be, and when that is at the earliest."""

    kind: Kind
    standing: Standing
    moment: Moment
    is_later: bool = False
    """Whether that is another day than what was decided was decided for."""


def advise(judge: Judge, question: Question, policy: Policy) -> Advice | None:
    """Find the smallest set of changes that does at once, else the first day on which asking again can succeed.

    At most some 600 evaluations. None where nothing within a year and a person's reach is known to help.
    """
    if (sooner := _sooner(judge, question, policy)) is not None:
        return sooner
    today = question.moment.business_day
    for days in (0, *_days_that_may_help(question.standing.growth, policy, today)):
        if (found := _on_day(judge, question, policy, days)) is not None:
            return found
    return None


def _on_day(judge: Judge, question: Question, policy: Policy, days: int) -> Advice | None:
    """Find the smallest set of changes that does so many days later."""
    kind, standing, moment, is_later = question
    then = Moment(moment.now_us + days * DAY_US, moment.business_day + days)
    later, mended = _later(standing, policy, moment, days)
    mending = {change.fact: change.target for change in mended}
    by_then = later._replace(profile=merge(later.profile, tuple(mending.items()), then.now_us))
    trial = _Trial(judge, Question(kind, by_then, then), standing.limit_minor)
    reach = {fact: best for fact, best in _reach(by_then, policy, then) if fact not in mending}
    facts = _smallest(trial, reach, at_least=0 if days or is_later else 1)
    if facts is None:
        return None
    targets = _nearest(trial, facts, reach)
    trial = trial._replace(question=Question(kind, later, then))
    for fact in tuple(mending):
        # What need not be mended by then is not asked for.
        if trial.does({**targets, **{other: best for other, best in mending.items() if other != fact}}):
            del mending[fact]
    verdict = trial.verdict({**targets, **mending})
    if not is_better(verdict, standing.limit_minor):
        return None
    known, _ = policy.usable(standing.profile.values, standing.profile.observed_us, moment.now_us)
    return Advice(
        tuple(Change(fact, known[fact], target) for fact, target in targets.items()),
        then.business_day if days or is_later else 0,
        tuple(change for change in mended if change.fact in mending),
        0, verdict.outcome, verdict.new_limit_minor, kind is Kind.TEMPORARY,
    )  # fmt: skip


def is_better(verdict: Verdict, limit_minor: int) -> bool:
    """Claim that a verdict gives more than a limit (minor units)."""
    return verdict.outcome is APPROVED and verdict.new_limit_minor > limit_minor


def _sooner(judge: Judge, question: Question, policy: Policy) -> Advice | None:
    """Try a temporary raise with the latest end that the policy offers, where a later one was asked for."""
    kind, standing, moment, _ = question
    asked, rules = standing.asked, policy.temporary
    if kind is not Kind.TEMPORARY or asked is None or rules is None:
        return None
    until_us = moment.now_us + rules.days_max * DAY_US
    if asked.until_us <= until_us:
        return None
    verdict = judge(kind, standing._replace(asked=Ask(asked.asked_minor, until_us, asked.is_ordered)), moment)
    if not is_better(verdict, standing.limit_minor):
        return None
    return Advice((), 0, (), until_us, verdict.outcome, verdict.new_limit_minor, is_temporary=True)


def _days_that_may_help(growth: Growth, policy: Policy, today: int) -> list[int]:
    """Give in how many days a wait or window of the policy ends, the soonest first."""
    raises = policy.raises
    ends = {1, WINDOW_DAYS, *_HABITS}
    for last_day, days in (
        (growth.last_raise_day, raises.after_raise_days),
        (growth.last_cut_day, raises.after_cut_days),
    ):
        if last_day != NEVER:
            ends.add(last_day + days - today)
    return sorted(days for days in ends if 0 < days <= _HABITS[-1])


def _later(standing: Standing, policy: Policy, moment: Moment, days: int) -> tuple[Standing, tuple[Change, ...]]:
    """Give where an account stands some days later, and what the time until then mends.

    Nothing is lent or raised in between, and what is known is learned anew. A temporary raise whose end would be over
    is asked for as long as before. From a month on, every bill is taken to be paid in full and on time, what is past
    due at once, and no new credit to be asked for.
    """
    if not days:
        return standing, ()
    then_us = moment.now_us + days * DAY_US
    growth = standing.growth._replace(raised_today_minor=0, cut_today_minor=0, portfolio_room_minor=UNBOUNDED)
    if days >= WINDOW_DAYS:
        growth = growth._replace(raised_window_minor=0)
    known, _ = policy.usable(standing.profile.values, standing.profile.observed_us, moment.now_us)
    fresh = tuple((fact, value) for fact, value in enumerate(known) if value is not None)
    asked = standing.asked
    if asked is not None and asked.until_us <= then_us:
        asked = asked._replace(until_us=asked.until_us + days * DAY_US)
    later = standing._replace(growth=growth, profile=merge(standing.profile, fresh, then_us), asked=asked)
    return later, tuple(_mended(known, policy, days))


def _mended(known: Sequence[int | None], policy: Policy, days: int) -> Iterator[Change]:
    """Give what so many days of good habits make of the facts that are not good yet."""
    if days <= MONTH_DAYS:
        return
    months = days // DAYS_A_MONTH
    best = {_DPD_NOW: 0, _ENQUIRIES: 0, _STREAK: min(months, MONTHS_A_YEAR)}
    if days > YEAR_DAYS:
        best.update({_DPD_MAX: 0, _LATE_MONTHS: 0, _RATIO: BASIS_POINTS})
    for fact_rule in policy.facts:
        value, good = known[fact_rule.fact], best.get(fact_rule.fact)
        if good is None or value == good:
            continue
        if value is None or (value < good) is (FACTS[fact_rule.fact].better is Better.HIGHER):
            yield Change(fact_rule.fact, value, good)


class _Trial(NamedTuple):
    """A question that can be asked with facts changed, and the limit (minor units) that the answer must exceed."""

    judge: Judge
    question: Question
    limit_minor: int

    def verdict(self, changes: Mapping[int, int]) -> Verdict:
        kind, standing, moment, _ = self.question
        profile = merge(standing.profile, tuple(changes.items()), moment.now_us)
        return self.judge(kind, standing._replace(profile=profile), moment)

    def does(self, changes: Mapping[int, int]) -> bool:
        return is_better(self.verdict(changes), self.limit_minor)


def _smallest(trial: _Trial, reach: Mapping[int, int], at_least: int) -> tuple[int, ...] | None:
    """Find the smallest set of facts that do at their best, the easiest of several; None where too many are needed.

    What can't be missing among all at their best can't be missing in any smaller set.
    """
    if not trial.does(reach):
        return None
    needed = tuple(
        fact for fact in reach if not trial.does({other: best for other, best in reach.items() if other != fact})
    )
    others = tuple(fact for fact in reach if fact not in needed)
    for more in range(CHANGES_MAX + 1 - len(needed)):
        for added in combinations(others, more):
            facts = needed + added
            if len(facts) >= at_least and trial.does({fact: reach[fact] for fact in facts}):
                return facts
    return None


def _reach(standing: Standing, policy: Policy, moment: Moment) -> Iterator[tuple[int, int]]:
    """Give how good a person can make each fact that the policy asks for, the easiest first."""
    declared = {fact_rule.fact for fact_rule in policy.facts}
    usable, _ = policy.usable(standing.profile.values, standing.profile.observed_us, moment.now_us)
    for fact in ACTIONABLE:
        if fact not in declared:
            continue
        definition, stored = FACTS[fact], standing.profile.values[fact]
        if definition.better is Better.LOWER:
            best = definition.lowest
        elif stored is None:
            best = _UNKNOWN_BEST.get(fact, definition.highest)
        elif fact == _INCOME:
            best = stored * 3 // 2
        else:
            best = min(stored + _MORE.get(fact, definition.highest), definition.highest)
        if usable[fact] is None or best != stored:
            yield fact, best


def _nearest(trial: _Trial, facts: tuple[int, ...], reach: Mapping[int, int]) -> dict[int, int]:
    """Bring each change of a set that does as near as it can be with the others."""
    targets = {fact: reach[fact] for fact in facts}
    for fact in facts:
        stored, definition = trial.question.standing.profile.values[fact], FACTS[fact]
        worst = definition.lowest if definition.better is Better.HIGHER else definition.highest
        targets[fact] = _turning_point(
            lambda value, fact=fact: trial.does({**targets, fact: value}),  # type: ignore[misc]  # a default binds it.
            worst if stored is None else stored,
            targets[fact],
        )
    return targets


def _turning_point(does: Callable[[int], bool], start: int, best: int) -> int:
    """Give the value nearest to the start that does; the best does."""
    if does(start):
        return start
    step = 1 if best > start else -1
    failing, working = 0, abs(best - start)
    while working - failing > 1:
        middle = (failing + working) // 2
        if does(start + step * middle):
            working = middle
        else:
            failing = middle
    return start + step * working


def change_texts(change: Change, currency: str) -> tuple[str, str]:
    """Write one change for the customer: Chinese, English."""
    label_zh, label_en = LABELS[FACTS[change.fact].name]
    target = _shown(change.fact, change.target, currency)
    if change.current is None:
        return f"{label_zh}为 {target}", f"{label_en} at {target}"
    current = _shown(change.fact, change.current, currency)
    if change.current == change.target:
        return f"重新核实{label_zh}（{target}）", f"{label_en} confirmed anew at {target}"
    return f"{label_zh}由 {current} 变为 {target}", f"{label_en} at {target} instead of {current}"


def advice_texts(found: Advice, currency: str) -> tuple[str, str]:
    """Write advice for the customer: Chinese, English."""
    limit = display(found.limit_then_minor, currency)
    then_zh, then_en = (
        (f"在临时额度期间最多可欠 {limit}", f"you could owe {limit} while the temporary raise lasts")
        if found.is_temporary
        else (f"额度将为 {limit}", f"your limit would be {limit}")
    )
    if found.until_us:
        # The last day that is over by then, so that any end on the day that is told does.
        day = iso(found.until_us // DAY_US - 1)
        return (
            f"若临时额度不晚于 {day}（UTC）到期，其他条件不变，您{then_zh}。",
            f"With an end by {day} (UTC), everything else equal, {then_en}.",
        )
    texts = [change_texts(change, currency) for change in found.changes]
    all_zh, all_en = "、".join(zh for zh, _ in texts), " and ".join(en for _, en in texts)
    if not found.from_day:
        return (
            f"若{all_zh}，其他条件不变，{then_zh}。",
            f"With {all_en}, everything else equal, {then_en}.",
        )
    day = iso(found.from_day)
    on_time_zh, on_time_en = (GOOD_HABITS_ZH, GOOD_HABITS_EN) if found.by_then else ("", "")
    terms_zh = "，且".join(part for part in (on_time_zh, all_zh) if part)
    terms_en = ", and ".join(part for part in (on_time_en, all_en) if part)
    return (
        f"自 {day} 起可再次申请：若{terms_zh}，其他条件不变，{then_zh}。"
        if terms_zh
        else f"自 {day} 起可再次申请：其他条件不变，{then_zh}。",
        f"From {day} on you can ask again: with {terms_en}, everything else equal, {then_en}."
        if terms_en
        else f"From {day} on you can ask again: everything else equal, {then_en}.",
    )


def _shown(fact: int, value: int, currency: str) -> str:
    return display(value, currency) if fact in MONEY_FACTS else str(value)
