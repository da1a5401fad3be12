"""Why a decision came out as it did, and the smallest change that would have led to a better limit.

Promises that contributions add up to the score, that findings are what the policy itself gave as grounds, and that
every piece of advice was evaluated with the recorded policy: apply it, everything else equal, and the limit follows.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from service.domain import scorecard
from service.domain.account import utilisation_bp
from service.domain.decide import judge_in
from service.domain.decision import Decision, Kind, Moment, Outcome, Standing, Verdict, recorded_standing
from service.domain.facts import CHARACTERISTICS, FACTS, MONEY_FACTS, Better, merge
from service.domain.mode import Mode
from service.domain.money import BASIS_POINTS, display
from service.domain.policy import NO_FACT, Policy, Text, Values

NO_TEXT: Final = Text("", "", "", "")

LABELS: Final = {
    "identity_level": ("身份核验等级", "identity level"),
    "bureau_score": ("征信评分", "credit bureau score"),
    "monthly_income": ("已证明的月收入", "proven monthly income"),
    "employment_months": ("现单位工作月数", "months with your employer"),
    "enquiries_30d": ("近 30 天征信查询次数", "credit enquiries in 30 days"),
    "on_time_streak_months": ("连续按时还款月数", "months in a row paid on time"),
    "payment_ratio_bp": ("还款占账单比例（万分比）", "paid share of bills (basis points)"),
    "dpd_now": ("当前逾期天数", "days past due"),
    "profile_completeness_bp": ("资料完整度（万分比）", "profile completeness (basis points)"),
}
"""What a customer calls each actionable fact: Chinese, English."""

OUTCOMES: Final = {
    Outcome.APPROVED: ("已调整", "changed"),
    Outcome.UNCHANGED: ("保持不变", "left as it is"),
    Outcome.DECLINED: ("未批准", "declined"),
    Outcome.REFERRED: ("转人工审批", "passed to a person"),
}


class Contribution(NamedTuple):
    """Points that one characteristic gave, and the most it can give."""

    characteristic: str
    value: int | None
    points: int
    points_max: int
    reason: str


class Finding(NamedTuple):
    """One rule that took part in the outcome, with the value it met; the fact is empty for time and growth."""

    path: str
    reason: str
    fact: str
    requirement: str
    value: int | None


class Advice(NamedTuple):
    """The smallest change of one fact that gives a better limit, and what would follow; limit in minor units."""

    fact: int
    current: int | None
    target: int
    limit_then_minor: int
    outcome_then: Outcome


class Explanation(NamedTuple):
    """Contributions, findings (weightiest first) and advice (nearest change first)."""

    contributions: tuple[Contribution, ...]
    findings: tuple[Finding, ...]
    advice: tuple[Advice, ...]


def explain(decision: Decision, policy: Policy, mode: Mode) -> Explanation:
    """Explain a recorded decision with the policy version and the mode that made it."""
    if decision.kind is Kind.IMPORT:
        return Explanation((), (), ())
    standing = recorded_standing(decision)
    moment = Moment(decision.decided_us, decision.business_day)

    def judge(changed: Standing) -> Verdict:
        return judge_in(mode, decision.kind, decision.account_id, policy.product, changed, policy, moment).verdict

    verdict = judge(standing)
    values = characteristic_values(standing, policy, moment)
    return Explanation(
        contributions(policy, values, standing.profile.values, verdict.points),
        findings(verdict, values),
        () if verdict.new_limit_minor > standing.limit_minor else advice(judge, standing, policy, moment),
    )


def characteristic_values(standing: Standing, policy: Policy, moment: Moment) -> list[int | None]:
    """Give the values that rules saw: stale facts blank, utilisation last."""
    values, _ = policy.usable(standing.profile.values, standing.profile.observed_us, moment.now_us)
    values.append(utilisation_bp(standing.limit_minor, standing.exposure_minor))
    return values


def contributions(policy: Policy, values: Values, stored: Values, points: tuple[int, ...]) -> tuple[Contribution, ...]:
    """Give each characteristic's points on usable values, and what speaks for them; empty where nothing was scored."""
    if not points:
        return ()
    return tuple(
        Contribution(
            CHARACTERISTICS[line.fact].name, values[line.fact], given, line.points_max,
            scorecard.told(line, values, stored).reason,
        )
        for line, given in zip(policy.scorecard, points, strict=True)
    )  # fmt: skip


def findings(verdict: Verdict, values: list[int | None]) -> tuple[Finding, ...]:
    """Give the grounds of a verdict with the values they met."""
    return tuple(
        Finding(
            ground.path,
            ground.reason,
            "" if ground.fact == NO_FACT else CHARACTERISTICS[ground.fact].name,
            ground.requirement,
            None if ground.fact == NO_FACT else values[ground.fact],
        )
        for ground in verdict.grounds
    )


def advice(
    judge: Callable[[Standing], Verdict], standing: Standing, policy: Policy, moment: Moment
) -> tuple[Advice, ...]:
    """Find for each actionable fact the smallest change that gives a better limit, nearest first.

    A directed fact never lowers a limit as it gets better (the laws of the policy's validation), so the turning point
    is found by bisection, at most 50 evaluations a fact. A mode that refers cases to people may break that order: the
    advice still comes true then, but a nearer value may, too.
    """
    declared = {fact_rule.fact for fact_rule in policy.facts}
    limit_now = judge(standing).new_limit_minor
    found = []
    for fact in sorted(declared):
        definition = FACTS[fact]
        if not definition.actionable or definition.better is Better.NEITHER:
            continue

        def verdict_at(value: int, fact: int = fact) -> Verdict:
            profile = merge(standing.profile, ((fact, value),), moment.now_us)
            return judge(standing._replace(profile=profile))

        current = standing.profile.values[fact]
        rises = definition.better is Better.HIGHER
        worst, best = (definition.lowest, definition.highest) if rises else (definition.highest, definition.lowest)
        start = worst if current is None else current
        target = _turning_point(lambda value: verdict_at(value).new_limit_minor > limit_now, start, best)
        if target is not None:
            then = verdict_at(target)
            found.append(Advice(fact, current, target, then.new_limit_minor, then.outcome))
    return tuple(sorted(found, key=_distance))


def _turning_point(improves: Callable[[int], bool], start: int, best: int) -> int | None:
    """Give the value nearest to the start from which on things improve, none where the best doesn't."""
    if not improves(best):
        return None
    if improves(start):
        return start
    step = 1 if best > start else -1
    failing, working = 0, abs(best - start)
    while working - failing > 1:
        middle = (failing + working) // 2
        if improves(start + step * middle):
            working = middle
        else:
            failing = middle
    return start + step * working


def _distance(found: Advice) -> tuple[int, int]:
    definition = FACTS[found.fact]
    start = found.current
    if start is None:
        start = definition.lowest if definition.better is Better.HIGHER else definition.highest
    scale = max(start, 1) if found.fact in MONEY_FACTS else definition.highest - definition.lowest
    return abs(found.target - start) * BASIS_POINTS // scale, found.fact


def advice_texts(found: Advice, currency: str) -> tuple[str, str]:
    """Write advice for the customer: Chinese, English."""
    label_zh, label_en = LABELS[FACTS[found.fact].name]
    target, limit = _shown(found.fact, found.target, currency), display(found.limit_then_minor, currency)
    if found.current is None:
        return (
            f"若{label_zh}为 {target}，其他条件不变，额度将为 {limit}。",
            f"With {label_en} at {target}, everything else equal, your limit would be {limit}.",
        )
    current = _shown(found.fact, found.current, currency)
    return (
        f"若{label_zh}由 {current} 变为 {target}，其他条件不变，额度将为 {limit}。",
        f"With {label_en} at {target} instead of {current}, everything else equal, your limit would be {limit}.",
    )


def _shown(fact: int, value: int, currency: str) -> str:
    return display(value, currency) if fact in MONEY_FACTS else str(value)


def summaries(decision: Decision, policy: Policy, currency: str, given: tuple[Advice, ...]) -> tuple[str, str]:
    """Write the whole explanation for the customer: Chinese, English."""
    outcome_zh, outcome_en = OUTCOMES[decision.outcome]
    old, new = display(decision.old_limit_minor, currency), display(decision.new_limit_minor, currency)
    texts = [policy.texts.get(reason, NO_TEXT) for reason in decision.reasons]
    spoken = [advice_texts(piece, currency) for piece in given]
    moved = decision.old_limit_minor != decision.new_limit_minor
    change_zh = f"额度由 {old} 变为 {new}" if moved else f"额度为 {new}"
    change_en = f"The limit went from {old} to {new}" if moved else f"The limit is {new}"
    parts_zh = [f"结果：{outcome_zh}。{change_zh}。", *(text.zh for text in texts)]
    parts_en = [f"Outcome: {outcome_en}. {change_en}.", *(text.en for text in texts)]
    parts_zh += [text.advice_zh for text in texts if text.advice_zh] + [zh for zh, _ in spoken]
    parts_en += [text.advice_en for text in texts if text.advice_en] + [en for _, en in spoken]
    # Two reasons may give the same advice; once is enough.
    parts_zh, parts_en = list(dict.fromkeys(parts_zh)), list(dict.fromkeys(parts_en))
    return "".join(parts_zh), " ".join(parts_en)
