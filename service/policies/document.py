"""The policy document as analysts write it: YAML, typed, every part with unit and range.

Promises the shape: unknown keys, wrong types and values out of range are found here, all at once, each with its path.
What only makes sense across parts is checked in `service.policies.checks`. Amounts are in minor units of the
document's currency, ratios in basis points (1/10,000), times in days.
"""

import json
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.domain.money import MINOR_MAX
from service.domain.policy import Treatment

Minor = Annotated[int, Field(ge=0, le=MINOR_MAX, strict=True)]
Ratio = Annotated[int, Field(ge=0, le=10_000, strict=True)]
Multiple = Annotated[int, Field(ge=0, le=1_000_000, strict=True)]
Days = Annotated[int, Field(ge=0, le=36_500, strict=True)]
Points = Annotated[int, Field(ge=-10_000, le=10_000, strict=True)]
Value = Annotated[int, Field(ge=0, le=MINOR_MAX, strict=True)]
Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,47}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
ABSENCE_REASONS: Final = ("missing_reason", "stale_reason", "reason")
"""The fields of a fact that say what its absence is called."""
Sentence = Annotated[str, Field(min_length=1, max_length=500)]


class Part(BaseModel):
    """A part of the document; it takes no keys but its own and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Bilingual(Part):
    """A text in Chinese and English."""

    zh: Sentence
    en: Sentence


class FactPart(Part):
    """How old a fact may be, and what follows when it is missing or older."""

    max_age_days: Annotated[Days, Field(description="older counts as stale, in days")]
    when_missing: Annotated[
        Treatment, Field(description="score: missing points only; refer: a person decides; decline: no raise")
    ]
    when_stale: Annotated[Treatment, Field(description="as when_missing, or use: take the old value")]
    missing_reason: Annotated[
        Code | None, Field(description="reason code where it was never told; of no value: we do not know it")
    ] = None
    stale_reason: Annotated[
        Code | None, Field(description="reason code where it is older; needed unless when_stale is use")
    ] = None
    reason: Annotated[
        Code | None, Field(description="in place of both: one reason code for either absence, told of no value")
    ] = None
    lawful_use: Annotated[
        Sentence | None, Field(description="age only: the law that allows its use and what it is used for")
    ] = None

    @property
    def tells(self) -> bool:
        """Whether its absence has reasons of its own everywhere; before 2026-2 only where it was asked for."""
        return self.missing_reason is not None


class RulePart(Part):
    """A threshold on one fact, inclusive; at least one of the two bounds."""

    reason: Code
    fact: Annotated[Name, Field(description="a declared fact, or utilisation_bp")]
    at_least: Value | None = None
    at_most: Value | None = None


class KnockOutPart(RulePart):
    """No first limit or raise while the rule holds."""

    applies_to: Annotated[tuple[Literal["assign", "raise"], ...], Field(min_length=1, max_length=2)]


class TriggerPart(RulePart):
    """A cut while the rule holds."""

    cut_bp: Annotated[int, Field(ge=1, le=10_000, strict=True, description="share of the limit, in basis points")]
    notice_days: Annotated[Days, Field(description="the customer is told within so many days")]


class BinPart(Part):
    """Points for values below a bound; the last bin has no bound."""

    points: Points
    below: Value | None = None


class CharacteristicPart(Part):
    """One line of the scorecard."""

    fact: Annotated[Name, Field(description="a declared fact, or utilisation_bp")]
    reason: Annotated[Code, Field(description="reason code when it costs the customer points")]
    missing_points: Points
    bins: Annotated[tuple[BinPart, ...], Field(min_length=2, max_length=32)]


class StepPart(Part):
    """A raise: a share of the limit, at least and at most so much."""

    share_bp: Ratio
    minimum_minor: Minor
    maximum_minor: Minor


class BandPart(Part):
    """A score band: what it allows."""

    name: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{0,7}$")]
    from_score: Annotated[int, Field(ge=-100_000, le=100_000, strict=True)]
    income_multiples_bp: Annotated[
        tuple[Multiple, ...],
        Field(min_length=1, max_length=16, description="multiple of monthly income by column, 0: no limit"),
    ]
    daily_step: Annotated[StepPart | None, Field(description="the raise it allows, none where absent")] = None


class BaseLimitPart(Part):
    """The first limit: columns of the matrix and its bounds."""

    income_from_minor: Annotated[
        tuple[Minor, ...], Field(min_length=1, max_length=16, description="lower end of each column, first 0")
    ]
    minimum_minor: Annotated[Minor, Field(description="a smaller one is declined")]
    maximum_minor: Minor


class RaisePart(Part):
    """When a raise is due."""

    eligibility: Annotated[tuple[RulePart, ...], Field(max_length=64, description="all must hold")]
    wait_after_raise_days: Days
    wait_after_cut_days: Days


class ReducePart(Part):
    """When the limit is cut, and what holds a cut back."""

    triggers: Annotated[tuple[TriggerPart, ...], Field(max_length=64)]
    floor_minor: Annotated[Minor, Field(description="no cut goes below")]
    most_per_day_bp: Annotated[Ratio, Field(description="share of the day's opening limit")]
    cool_down_days: Annotated[Days, Field(description="no second cut within so many days")]
    may_cut_below_exposure: bool = False


class CapsPart(Part):
    """Bounds on growth; each raise keeps within all of them."""

    per_decision_minor: Minor
    per_decision_bp: Annotated[Ratio, Field(description="share of the limit")]
    per_day_minor: Minor
    per_30_days_minor: Annotated[Minor, Field(description="over 30 business days, today included")]
    absolute_minor: Annotated[Minor, Field(description="the greatest limit")]
    debt_to_income_bp: Annotated[Multiple, Field(description="greatest limit over monthly income")]
    portfolio_per_day_minor: Annotated[
        Minor | None, Field(description="all raises of the product on one business day together; none where absent")
    ] = None


class TemporaryPart(Part):
    """How much more may be owed for a while; none is offered where this part is absent."""

    maximum_minor: Minor
    share_bp: Annotated[Ratio, Field(description="of the limit")]
    days_max: Annotated[int, Field(ge=1, le=366, strict=True)]
    notice_days: Annotated[int, Field(ge=1, le=30, strict=True, description="told so long before its end")]


class ReferPart(Part):
    """What goes to a person instead of being approved."""

    rules: Annotated[tuple[RulePart, ...], Field(max_length=64)]
    automatic_up_to_minor: Annotated[Minor, Field(description="limits above are for a person")]


class RoundingPart(Part):
    """How limits are rounded: raises and first limits down, cuts up."""

    unit_minor: Annotated[int, Field(ge=1, le=MINOR_MAX, strict=True)]


class AdverseActionPart(Part):
    """Within how many days a customer is told of a refusal or cut (30 in 12 CFR 1002.9(a)(1))."""

    notice_days: Annotated[int, Field(ge=0, le=30, strict=True)]


class TextPart(Bilingual):
    """What the customer reads for a reason code, and what he can do about it."""

    advice_zh: Annotated[str, Field(max_length=500, description="a step, never a promise of what follows")] = ""
    advice_en: Annotated[str, Field(max_length=500, description="a step, never a promise of what follows")] = ""


class PolicyDocument(Part):
    """One version of the rules for one product in one currency."""

    policy: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="the version's name")]
    product: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,32}$")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")]
    title: Bilingual
    facts: Annotated[dict[str, FactPart], Field(min_length=1)]
    knock_outs: Annotated[tuple[KnockOutPart, ...], Field(max_length=64, description="weightiest first")]
    scorecard: Annotated[tuple[CharacteristicPart, ...], Field(min_length=1, max_length=64)]
    bands: Annotated[tuple[BandPart, ...], Field(min_length=1, max_length=32, description="best first")]
    base_limit: BaseLimitPart
    raise_: Annotated[RaisePart, Field(alias="raise")]
    reduce: ReducePart
    caps: CapsPart
    temporary: TemporaryPart | None = None
    refer: ReferPart
    rounding: RoundingPart
    adverse_action: AdverseActionPart
    texts: dict[Code, TextPart]


def json_schema() -> str:
    """Give the JSON Schema of the document, for editors."""
    schema = PolicyDocument.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Holdline policy"
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
