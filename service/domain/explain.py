"""Why a decision came out as it did, in words for the customer, with advice that was checked (`advice`).

Promises that contributions add up to the score, that findings are what the policy itself gave as grounds, and that no
sentence tells the customer to do what is not known to help.
"""

from typing import Final, NamedTuple

from service.domain import scorecard
from service.domain.account import utilisation_bp
from service.domain.advice import (
    NOTHING_KNOWN_EN,
    NOTHING_KNOWN_ZH,
    Advice,
    Question,
    advice_texts,
    advise,
)
from service.domain.decide import judge_in
from service.domain.decision import (
    Decision,
    Kind,
    Moment,
    Outcome,
    Standing,
    Verdict,
    is_adverse,
    is_cut,
    recorded_standing,
)
from service.domain.facts import CHARACTERISTICS
from service.domain.mode import Mode
from service.domain.money import display
from service.domain.policy import DAY_US, NO_FACT, Policy, Text, Values

NO_TEXT: Final = Text("", "", "", "")

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


class Explanation(NamedTuple):
    """Contributions, findings (weightiest first), and advice: None where there is none to give."""

    contributions: tuple[Contribution, ...]
    findings: tuple[Finding, ...]
    advice: Advice | None
    is_adverse: bool
    """Whether the customer was refused or cut, so that he is owed a word on what he can do."""


def explain(decision: Decision, policy: Policy, mode: Mode) -> Explanation:
    """Explain a recorded decision with the policy version and the mode that made it."""
    if decision.kind is Kind.IMPORT:
        return Explanation((), (), None, is_adverse=False)
    standing = recorded_standing(decision)
    moment = Moment(decision.decided_us, decision.business_day)

    def judge(kind: Kind, changed: Standing, when: Moment) -> Verdict:
        return judge_in(mode, kind, decision.account_id, policy.product, changed, policy, when).verdict

    verdict = judge(decision.kind, standing, moment)
    values = characteristic_values(standing, policy, moment)
    question = asked_again(decision)
    return Explanation(
        contributions(policy, values, standing.profile.values, verdict.points),
        findings(verdict, values),
        advise(judge, question, policy) if question is not None else None,
        is_adverse(decision),
    )


def asked_again(decision: Decision) -> Question | None:
    """Give what the customer can ask after a decision; None where it left nothing to ask for.

    A cut has been made: what can be got after it is a raise.
    """
    standing = recorded_standing(decision)
    moment = _next_asked(decision)
    is_later = moment.business_day != decision.business_day
    if is_cut(decision):
        growth = standing.growth._replace(
            cut_today_minor=standing.growth.cut_today_minor + decision.old_limit_minor - decision.new_limit_minor,
            last_cut_day=decision.business_day,
        )
        return Question(
            Kind.RAISE, standing._replace(limit_minor=decision.new_limit_minor, growth=growth), moment, is_later
        )
    if is_adverse(decision) or (decision.kind is Kind.REVIEW and decision.outcome is Outcome.UNCHANGED):
        return Question(decision.kind, standing, moment, is_later)
    return None


def _next_asked(decision: Decision) -> Moment:
    """Give when the customer can ask again at the earliest: he can't be told of a day that is over.

    A day that lies further back than any time zone does was decided on later, as a run of a past date does. The next
    day by UTC is then over nowhere.
    """
    utc_day = decision.decided_us // DAY_US
    if decision.business_day >= utc_day - 1:
        return Moment(decision.decided_us, decision.business_day)
    return Moment(decision.decided_us + DAY_US, utc_day + 1)


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


def steps(policy: Policy, explained: Explanation) -> tuple[Text, ...]:
    """Give the texts whose advice names a step of the verified set: of the rules that met a fact which is to change.

    A policy's free words on what to do are steps, never promises: whose fact is not in the set, or whose rule asks for
    no fact, is left out.
    """
    if explained.advice is None:
        return ()
    found = []
    if explained.advice.until_us:
        found += [policy.texts.get(finding.reason, NO_TEXT) for finding in explained.findings]
    for change in (*explained.advice.changes, *explained.advice.by_then):
        name = CHARACTERISTICS[change.fact].name
        reasons = [finding.reason for finding in explained.findings if finding.fact == name]
        reasons += [line.reason for line in explained.contributions if line.characteristic == name]
        texts = (policy.texts.get(reason, NO_TEXT) for reason in reasons)
        found.append(next((text for text in texts if text.advice_zh or text.advice_en), NO_TEXT))
    return tuple(dict.fromkeys(text for text in found if text is not NO_TEXT))


def advised(explained: Explanation, currency: str) -> tuple[str, str]:
    """Write what the customer can do, in one sentence: Chinese, English; empty where nothing went against him."""
    if explained.advice is not None:
        return advice_texts(explained.advice, currency)
    return (NOTHING_KNOWN_ZH, NOTHING_KNOWN_EN) if explained.is_adverse else ("", "")


def summaries(decision: Decision, policy: Policy, currency: str, explained: Explanation) -> tuple[str, str]:
    """Write the whole explanation for the customer: Chinese, English."""
    outcome_zh, outcome_en = OUTCOMES[decision.outcome]
    old, new = display(decision.old_limit_minor, currency), display(decision.new_limit_minor, currency)
    texts = [policy.texts.get(reason, NO_TEXT) for reason in decision.reasons]
    moved = decision.old_limit_minor != decision.new_limit_minor
    change_zh = f"额度由 {old} 变为 {new}" if moved else f"额度为 {new}"
    change_en = f"The limit went from {old} to {new}" if moved else f"The limit is {new}"
    to_do, (advised_zh, advised_en) = steps(policy, explained), advised(explained, currency)
    parts_zh = [f"结果：{outcome_zh}。{change_zh}。", *(text.zh for text in texts)]
    parts_en = [f"Outcome: {outcome_en}. {change_en}.", *(text.en for text in texts)]
    parts_zh += [*(text.advice_zh for text in to_do), advised_zh]
    parts_en += [*(text.advice_en for text in to_do), advised_en]
    # Two reasons may say the same; once is enough.
    return "".join(dict.fromkeys(parts_zh)), " ".join(part for part in dict.fromkeys(parts_en) if part)
