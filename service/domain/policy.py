"""A policy, compiled: the rules that decide, resolved to fact indices, bounds and grounds.

Promises that everything a decision can come from is a `Ground`, with a place in the document and a reason code, so
every outcome can be explained. Leaves reading and checking documents to `service.policies.document`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, TypeAlias, TypeVar

from service.domain.facts import CHARACTERISTICS

DAY_US: Final = 86_400_000_000

NO_FACT: Final = -1
"""Fact index of a ground that tests no fact: time, growth, amounts."""

REASONS_MAX: Final = 4
"""Most principal reasons of an outcome (Regulation B commentary, 12 CFR 1002.9(b)(2)-1)."""


class Ground(NamedTuple):
    """What an outcome can rest on: where it stands in the document, its reason code, the fact it tests."""

    path: str
    reason: str
    fact: int
    requirement: str
    """What the rule asks for, in English, for engineers and examiners."""


class Rule(NamedTuple):
    """A claim about one fact: it holds while lowest <= value <= highest; a missing fact makes it false."""

    ground: Ground
    fact: int
    lowest: int
    highest: int


class Trigger(NamedTuple):
    """A cut of the limit by a ratio (basis points) while its rule holds."""

    rule: Rule
    cut_bp: int
    notice_days: int


class Treatment(Enum):
    """What a missing or stale fact means for a first limit or a raise."""

    USE = "use"
    """Stale only: take the old value."""
    SCORE = "score"
    """Missing points in the scorecard; no other effect."""
    REFER = "refer"
    """A person decides."""
    DECLINE = "decline"
    """No first limit and no raise."""


class Absence(NamedTuple):
    """What an outcome rests on where a fact is not known: nothing was ever told, or what was told is too old."""

    missing: Ground
    stale: Ground


class FactRule(NamedTuple):
    """How old a fact may be, and what follows when it is missing or older."""

    fact: int
    max_age_us: int
    when_missing: Treatment
    when_stale: Treatment
    absence: Absence


class Characteristic(NamedTuple):
    """One line of the scorecard: `points[i]` for the i-th bin, bins parted at `bounds` (a bound opens its bin)."""

    ground: Ground
    fact: int
    bounds: tuple[int, ...]
    points: tuple[int, ...]
    missing_points: int
    points_max: int
    absence: Absence
    """What speaks for the points that are lost where the fact is not known."""


class Step(NamedTuple):
    """A raise: a share of the limit (basis points), at least and at most so much (minor units)."""

    share_bp: int
    minimum_minor: int
    maximum_minor: int


class Band(NamedTuple):
    """A score band: multiples of monthly income by income column (basis points), and its raise, if any."""

    name: str
    from_score: int
    multiples_bp: tuple[int, ...]
    step: Step | None


class BaseLimit(NamedTuple):
    """Bounds of a first limit (minor units) and the lower ends of the income columns."""

    income_from_minor: tuple[int, ...]
    minimum_minor: int
    maximum_minor: int
    ground_minimum: Ground
    ground_maximum: Ground
    absence: Absence | None
    """An income that is not known; None in a document of before, where the bounds that this leaves speak for it."""


class Cap(NamedTuple):
    """A bound on growth: minor units, or basis points where the name of the field says so."""

    bound: int
    ground: Ground


@dataclass(frozen=True, slots=True)
class Caps:
    """Growth caps; a raise takes the least room that any of them leaves."""

    portfolio_per_day_minor: int | None
    """Most that a product's limits are raised by on one business day, all accounts together; None for no budget."""

    per_decision: Cap
    per_decision_bp: Cap
    per_day: Cap
    per_window: Cap
    absolute: Cap
    debt_to_income_bp: Cap
    automatic: Cap
    grounds: tuple[Ground, ...]
    """The grounds of the seven caps on a raise, in the order above."""


Found = TypeVar("Found")
Values: TypeAlias = Sequence[int | None]
Sift: TypeAlias = Callable[[Values], tuple[Found, ...]]
"""Gives what stands for the rules that fire on usable values, in the policy's order."""
Unmet: TypeAlias = Callable[[Values, Values], tuple[Ground, ...]]
"""Gives the grounds of the rules that do not hold on usable values; the stored ones tell missing from stale."""
Points: TypeAlias = Callable[[Values], tuple[int, ...]]
Usable: TypeAlias = Callable[[Values, Sequence[int], int], tuple[list[int | None], tuple[FactRule, ...]]]
"""Gives the values that rules may use, stale ones blanked, and the fact rules that are broken (now in microseconds)."""


@dataclass(frozen=True, slots=True)
class Raises:
    """When a raise is due and how long after the last one or a cut it waits (business days)."""

    after_raise_days: int
    after_cut_days: int
    ground_after_raise: Ground
    ground_after_cut: Ground


@dataclass(frozen=True, slots=True)
class Reduces:
    """What holds a cut back."""

    floor_minor: int
    most_per_day_bp: int
    cool_down_days: int
    may_cut_below_exposure: bool
    ground_floor: Ground
    ground_day: Ground
    ground_cool_down: Ground


class TemporaryRules(NamedTuple):
    """How much more may be owed for a while, and how long: minor units, basis points of the limit, days."""

    maximum_minor: int
    share_bp: int
    days_max: int
    notice_days: int
    """So many days before its end the customer is told."""
    ground_amount: Ground
    ground_days: Ground


class Text(NamedTuple):
    """What the customer reads for a reason code."""

    zh: str
    en: str
    advice_zh: str
    advice_en: str


@dataclass(frozen=True, slots=True)
class Policy:
    """One immutable version of the rules for one product in one currency."""

    version: str
    product: str
    currency: str
    facts: tuple[FactRule, ...]
    scorecard: tuple[Characteristic, ...]
    usable: Usable
    points: Points
    """Points of each characteristic, in the scorecard's order; the score is their sum."""
    knocked_out_of_first: Sift[Ground]
    knocked_out_of_raise: Sift[Ground]
    ineligible: Unmet
    """The eligibility rules of a raise that do not hold."""
    fired: Sift[Trigger]
    referred: Sift[Ground]
    bands: tuple[Band, ...]
    """Best first; the last one starts at or below the least possible score."""
    base_limit: BaseLimit
    raises: Raises
    reduces: Reduces
    caps: Caps
    unit_minor: int
    notice_days: int
    """Within how many days the customer is told of an adverse action, where no trigger asks for less."""
    texts: dict[str, Text]
    temporary: TemporaryRules | None
    """None where the policy offers no temporary raise."""


ASSIGNED: Final = Ground("base_limit", "LIMIT_ASSIGNED", NO_FACT, "every rule for a first limit holds")
RAISED: Final = Ground("raise", "LIMIT_RAISED", NO_FACT, "every rule for a raise holds")
NOTHING_DUE: Final = Ground("reduce.triggers", "NOTHING_DUE", NO_FACT, "no trigger fires")
LIMIT_USED: Final = Ground("", "LIMIT_USED", NO_FACT, "the draw is within what is available")
PORTFOLIO: Final = Ground("caps.portfolio_per_day_minor", "CAP_PORTFOLIO", NO_FACT, "the day's budget has room")
LATER_DECIDED: Final = Ground("", "LATER_DATE_DECIDED", NO_FACT, "no later business date was decided before it")
TEMPORARY_GRANTED: Final = Ground("temporary", "TEMPORARY_GRANTED", NO_FACT, "every rule for a temporary raise holds")
TEMPORARY_ORDERED: Final = Ground("", "TEMPORARY_ORDERED", NO_FACT, "ordered by a person of the lender")
APPEAL_OVERTURNED: Final = Ground("", "APPEAL_OVERTURNED", NO_FACT, "an appeal was overturned")
TEMPORARY_NOT_OFFERED: Final = Ground("temporary", "TEMPORARY_NOT_OFFERED", NO_FACT, "the policy offers it")
IMPORTED: Final = Ground("", "LIMIT_IMPORTED", NO_FACT, "taken over as it was")
STEP_TOO_SMALL: Final = Ground("rounding.unit_minor", "STEP_TOO_SMALL", NO_FACT, "the band's step comes to a unit")
AMOUNT_TOO_SMALL: Final = Ground("rounding.unit_minor", "AMOUNT_TOO_SMALL", NO_FACT, "what is asked comes to a unit")
CUT_TOO_SMALL: Final = Ground("rounding.unit_minor", "CUT_TOO_SMALL", NO_FACT, "the cut comes to a unit")
EXPOSURE_REACHED: Final = Ground(
    "reduce.may_cut_below_exposure", "EXPOSURE_REACHED", NO_FACT, "no cut below what is owed"
)  # fmt: skip

BUILT_IN_REASONS: Final = (
    "LIMIT_ASSIGNED", "LIMIT_RAISED", "NOTHING_DUE", "LIMIT_IMPORTED",
    "BELOW_LEAST_LIMIT", "GREATEST_FIRST_LIMIT",
    "CAP_PER_DECISION", "CAP_PER_DAY", "CAP_PER_30_DAYS", "CAP_ABSOLUTE", "CAP_DEBT_TO_INCOME", "CAP_AUTOMATIC",
    "WAIT_AFTER_RAISE", "WAIT_AFTER_CUT", "FLOOR_REACHED", "CUT_ENOUGH_TODAY", "CUT_LATELY",
)  # fmt: skip
"""Reason codes that every policy needs texts for, beside its own."""

DEFAULT_TEXTS: Final = {
    "LIMIT_USED": Text(
        "可用额度不足以支付本次金额。", "What is left of your limit is less than this amount.",
        "偿还部分欠款，或选择较小的金额。", "Pay back part of what you owe, or choose a smaller amount.",
    ),
    "CAP_PORTFOLIO": Text(
        "今天的提额总量已用完，您明天将优先获得提额。", "Today's raises are all given out; you come first tomorrow.",
        "明天无需申请，系统会优先为您提额。", "You need do nothing; tomorrow's raises begin with you.",
    ),
    "LATER_DATE_DECIDED": Text(
        "该日的提额处理晚于其后日期，为避免多给，未提额或少提额。",
        "The raises of this date were decided after those of a later date, so it gives less or nothing.",
        "您无需申请，以后的日期照常评估。", "You need do nothing; the dates to come are decided as always.",
    ),
    "TEMPORARY_GRANTED": Text(
        "您的额度已临时提高，到期后自动恢复。", "Your limit is raised for a while and falls back by itself.", "", "",
    ),
    "APPEAL_RECEIVED": Text(
        "我们已收到您的申诉，会尽快答复。", "We have your appeal and will answer it soon.", "", "",
    ),
    "APPEAL_UPHELD": Text(
        "经人工复核，原决定维持不变。", "A person looked at it again; the decision stands.", "", "",
    ),
    "APPEAL_OVERTURNED": Text(
        "经复核，原决定已更改。", "It was looked at again, and the decision was changed.", "", "",
    ),
    "TEMPORARY_ENDS": Text(
        "您的临时额度即将到期，到期后恢复为原额度。",
        "Your temporary raise ends soon; your limit is then what it was before.",
        "如已使用临时额度，请留意还款。",
        "If you have used it, mind that what is above your limit has to be paid back.",
    ),
    "TEMPORARY_ORDERED": Text(
        "客服为您临时提高了额度，到期后自动恢复。",
        "A member of staff raised your limit for a while; it falls back by itself.", "", "",
    ),
    "TEMPORARY_NOT_OFFERED": Text(
        "该产品不提供临时提额。", "This product has no temporary raises.",
        "您可以申请固定额度提升。", "You can ask for a lasting raise.",
    ),
    "TEMPORARY_TOO_MUCH": Text(
        "临时额度超过上限。", "A temporary raise can't be greater.",
        "选择较小的金额。", "Choose a smaller amount.",
    ),
    "TEMPORARY_TOO_LONG": Text(
        "临时额度的期限过长。", "A temporary raise can't last so long.", "选择较短的期限。", "Choose an earlier end.",
    ),
    "STEP_TOO_SMALL": Text(
        "额度按固定单位调整，本次可提高的金额不足一个单位。",
        "Limits move in whole steps, and the raise comes to less than one.", "", "",
    ),
    "AMOUNT_TOO_SMALL": Text(
        "额度按固定单位调整，所申请的金额不足一个单位。",
        "Limits move in whole steps, and the amount is less than one.",
        "选择较大的金额。", "Choose a greater amount.",
    ),
    "CUT_TOO_SMALL": Text(
        "额度按固定单位调整，本次应降低的金额不足一个单位，额度保持不变。",
        "Limits move in whole steps, and the cut comes to less than one; your limit stays as it is.", "", "",
    ),
    "EXPOSURE_REACHED": Text(
        "您的额度不会降至低于已用额度，本次保持不变。",
        "Your limit is not cut below what you owe; it stays as it is.", "", "",
    ),
}  # fmt: skip
"""Texts of reason codes that a policy may word itself and need not."""


def treatment(fact_rule: FactRule, value: int | None) -> Treatment:
    """Give what a broken fact rule asks for, by whether the stored value is missing or stale."""
    return fact_rule.when_missing if value is None else fact_rule.when_stale


def unknown(absence: Absence, stored: int | None) -> Ground:
    """Give the ground of a fact that is not known, by its stored value: none is missing, an unusable one stale."""
    return absence.missing if stored is None else absence.stale


def requirement(fact: int, lowest: int, highest: int) -> str:
    """Write a range that a rule asks for, for engineers: "dpd_now at most 0"."""
    definition = CHARACTERISTICS[fact]
    if lowest <= definition.lowest:
        return f"{definition.name} at most {highest}"
    if highest >= definition.highest:
        return f"{definition.name} at least {lowest}"
    return f"{definition.name} from {lowest} to {highest}"


def avoidance(fact: int, lowest: int, highest: int) -> str:
    """Write what avoids a rule that counts against the customer while it holds: "dpd_now below 1"."""
    definition = CHARACTERISTICS[fact]
    if highest >= definition.highest:
        return f"{definition.name} below {lowest}"
    if lowest <= definition.lowest:
        return f"{definition.name} above {highest}"
    return f"{definition.name} not from {lowest} to {highest}"
