"""A reason names what bound: without the bounds that a verdict names, the same standing comes out otherwise.

Over random policies and standings of every kind. A bound is taken away by setting it, and nothing else, so that it holds
nothing any more. Where several are named, each of them is enough by itself for what came out, so they are taken away
together; that none of them is idle is tested by taking away all but one.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from service.domain.account import UNBOUNDED
from service.domain.decision import Ask, Kind, Outcome, Standing, Verdict
from service.domain.facts import INDEX
from service.domain.judge import judge
from service.domain.money import BASIS_POINTS
from service.domain.policy import NO_FACT, Ground, Policy, Rule, Step, Trigger
from tests.builders import DAY_US, NOW, NOW_US
from tests.proof.strategies import (
    AMOUNTS,
    AllReached,
    best_news,
    examples,
    policies,
    standings,
    that_only_growth_caps_hold,
)

FAR = 10**18
KINDS = st.sampled_from((Kind.ASSIGN, Kind.RAISE, Kind.RAISE, Kind.REDUCE, Kind.REVIEW, Kind.TEMPORARY, Kind.APPEAL))
Change = Callable[[Policy, Standing], tuple[Policy, Standing]]
INCOME = INDEX["monthly_income"]


def _cap(name: str) -> Change:
    def loosened(rules: Policy, where: Standing) -> tuple[Policy, Standing]:
        caps: Any = replace(rules.caps, **{name: getattr(rules.caps, name)._replace(bound=FAR)})
        return replace(rules, caps=caps), where

    return loosened


def _part(part: str, **said: object) -> Change:
    def loosened(rules: Policy, where: Standing) -> tuple[Policy, Standing]:
        old: Any = getattr(rules, part)
        new = old._replace(**said) if hasattr(old, "_replace") else replace(old, **said)
        return replace(rules, **{part: new}), where

    return loosened


def _comes_to_a_unit(rules: Policy, where: Standing) -> tuple[Policy, Standing]:
    """Let the step of each band, and what is asked, come to a rounding unit."""
    unit = rules.unit_minor
    bands = tuple(
        band._replace(step=band.step and band.step._replace(minimum_minor=unit, maximum_minor=FAR))
        for band in rules.bands
    )
    asked = where.asked and where.asked._replace(asked_minor=max(where.asked.asked_minor, _least(rules, where)))
    return replace(rules, bands=bands), where._replace(asked=asked)


def _least(rules: Policy, where: Standing) -> int:
    """Give the least that can be asked: a unit more, or the next limit that is a multiple of it."""
    assert where.asked is not None
    if where.asked.until_us:
        return rules.unit_minor
    return where.limit_minor - where.limit_minor % rules.unit_minor + rules.unit_minor


def _cuts_all(rules: Policy, where: Standing) -> tuple[Policy, Standing]:
    fired = rules.fired
    return replace(rules, fired=lambda values: tuple(one._replace(cut_bp=BASIS_POINTS) for one in fired(values))), where


def _budget(rules: Policy, where: Standing) -> tuple[Policy, Standing]:
    return rules, where._replace(growth=where.growth._replace(portfolio_room_minor=UNBOUNDED))


LOOSENED: dict[tuple[str, str], Change] = {
    ("caps.per_decision_minor", "CAP_PER_DECISION"): _cap("per_decision"),
    ("caps.per_decision_bp", "CAP_PER_DECISION"): _cap("per_decision_bp"),
    ("caps.per_day_minor", "CAP_PER_DAY"): _cap("per_day"),
    ("caps.per_30_days_minor", "CAP_PER_30_DAYS"): _cap("per_window"),
    ("caps.absolute_minor", "CAP_ABSOLUTE"): _cap("absolute"),
    ("caps.debt_to_income_bp", "CAP_DEBT_TO_INCOME"): _cap("debt_to_income_bp"),
    ("refer.automatic_up_to_minor", "CAP_AUTOMATIC"): _cap("automatic"),
    ("caps.portfolio_per_day_minor", "CAP_PORTFOLIO"): _budget,
    ("base_limit.minimum_minor", "BELOW_LEAST_LIMIT"): _part("base_limit", minimum_minor=0),
    ("base_limit.maximum_minor", "GREATEST_FIRST_LIMIT"): _part("base_limit", maximum_minor=FAR),
    ("raise.wait_after_raise_days", "WAIT_AFTER_RAISE"): _part("raises", after_raise_days=0),
    ("raise.wait_after_cut_days", "WAIT_AFTER_CUT"): _part("raises", after_cut_days=0),
    ("reduce.floor_minor", "FLOOR_REACHED"): _part("reduces", floor_minor=0),
    ("reduce.most_per_day_bp", "CUT_ENOUGH_TODAY"): _part("reduces", most_per_day_bp=FAR),
    ("reduce.cool_down_days", "CUT_LATELY"): _part("reduces", cool_down_days=0),
    ("reduce.may_cut_below_exposure", "EXPOSURE_REACHED"): _part("reduces", may_cut_below_exposure=True),
    ("temporary.maximum_minor", "TEMPORARY_TOO_MUCH"): _part("temporary", maximum_minor=FAR, share_bp=FAR),
    ("temporary.days_max", "TEMPORARY_TOO_LONG"): _part("temporary", days_max=FAR),
    ("rounding.unit_minor", "STEP_TOO_SMALL"): _comes_to_a_unit,
    ("rounding.unit_minor", "AMOUNT_TOO_SMALL"): _comes_to_a_unit,
    ("rounding.unit_minor", "CUT_TOO_SMALL"): _cuts_all,
}  # fmt: skip
"""How each bound is taken away, by where it stands and its reason."""
BUDGET = ("caps.portfolio_per_day_minor", "CAP_PORTFOLIO")
LEAST = ("base_limit.minimum_minor", "BELOW_LEAST_LIMIT")
LIMITS = [
    change for (path, _), change in LOOSENED.items() if path.startswith(("caps.", "refer.", "base_limit.max", "temp"))
]


def _named(verdict: Verdict) -> list[tuple[str, str]]:
    return list(dict.fromkeys(ground[:2] for ground in verdict.grounds if ground[:2] in LOOSENED))


def _without(changes: list[Change], kind: Kind, rules: Policy, where: Standing) -> tuple[Outcome, int]:
    rules, where = reduce(lambda so_far, change: change(*so_far), changes, (rules, where))
    verdict = judge(kind, where, rules, NOW)
    return verdict.outcome, verdict.new_limit_minor


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Kind, Standing]:
    """Draw a kind and a standing that an account can have when it is asked."""
    kind, where = draw(KINDS), draw(standings())
    if kind is Kind.ASSIGN:
        where = where._replace(limit_minor=0, exposure_minor=0, growth=where.growth._replace(temporary_minor=0))
    limit = where.limit_minor
    if draw(st.integers(0, 2)):
        # Nothing but the bounds holds the best customer.
        values = list(where.profile.values)
        observed = list(where.profile.observed_us)
        for fact, value in best_news():
            values[fact], observed[fact] = value, NOW_US
        where = where._replace(profile=where.profile._replace(values=tuple(values), observed_us=tuple(observed)))
    if kind is Kind.TEMPORARY:
        extra = draw(st.integers(1, 99) | st.integers(1, 3_000) | AMOUNTS.map(lambda amount: amount + 1))
        until_us = NOW_US + draw(st.integers(1, 90)) * DAY_US
        where = where._replace(asked=Ask(extra, until_us, draw(st.booleans())))
    if kind is Kind.APPEAL:
        asked = limit + draw(st.integers(1, 99) | st.integers(1, 3_000) | AMOUNTS.map(lambda amount: amount + 1))
        where = where._replace(asked=Ask(asked, 0, draw(st.booleans())))
    room = draw(st.just(UNBOUNDED) | st.integers(0, 5_000))
    return kind, where._replace(growth=where.growth._replace(portfolio_room_minor=room))


def _is_possible(case: tuple[Kind, Standing]) -> bool:
    """Claim that a bound's absence could matter: there is something to take shares of, and not more raised today."""
    kind, where = case
    if kind is Kind.ASSIGN:
        return True
    return 0 < where.limit_minor >= where.growth.raised_today_minor and bool(where.profile.values[INCOME])


def _with_small_steps(rules: Policy) -> Policy:
    bands = tuple(band._replace(step=band.step and Step(0, 40, 40)) for band in rules.bands)
    return replace(rules, bands=bands, unit_minor=100)


def _with_long_waits(rules: Policy) -> Policy:
    return replace(
        rules, raises=replace(rules.raises, after_raise_days=20, after_cut_days=20), ineligible=lambda _, __: ()
    )


@st.composite
def _that_cut(draw: st.DrawFn) -> Policy:
    """Draw a policy of which one trigger always fires."""
    rules = draw(policies())
    rule = Rule(Ground("reduce.triggers[0]", "ALWAYS", NO_FACT, ""), 0, 0, FAR)
    trigger = Trigger(rule, draw(st.integers(1, 60) | st.integers(1, BASIS_POINTS)), 0)
    bounds = replace(
        rules.reduces, most_per_day_bp=draw(st.integers(0, 60) | st.integers(0, BASIS_POINTS)),
        cool_down_days=draw(st.sampled_from((0, 60))), floor_minor=draw(st.just(0) | AMOUNTS),
    )  # fmt: skip
    unit = draw(st.sampled_from((1, 1_000, 100_000)))
    return replace(rules, fired=lambda _: (trigger,), reduces=bounds, unit_minor=unit)


RULES = policies() | policies().map(_with_small_steps) | policies().map(_with_long_waits) | _that_cut()
RULES |= policies().map(that_only_growth_caps_hold)
CASES = st.lists(_cases().filter(_is_possible), min_size=6, max_size=6)
"""A policy takes far longer to draw than a case."""


@examples(60)
@given(RULES, CASES)
def test_without_the_bounds_that_are_named_it_comes_out_otherwise(
    rules: Policy, cases: list[tuple[Kind, Standing]]
) -> None:
    for kind, where in cases:
        _hold_to_what_is_named(rules, kind, where)


def _hold_to_what_is_named(rules: Policy, kind: Kind, where: Standing) -> None:
    verdict = judge(kind, where, rules, NOW)
    named = _named(verdict)
    came_out = verdict.outcome, verdict.new_limit_minor
    if BUDGET not in named:
        # The budget is asked last, for whom the rest leaves a raise: nobody waits in its queue without one.
        _, where = _budget(rules, where)

    if named:
        assert _without([LOOSENED[one] for one in named], kind, rules, where) != came_out
    for one in named if len(named) > 1 and LEAST not in named else ():
        assert _without([LOOSENED[other] for other in named if other != one], kind, rules, where) == came_out


@examples(40)
@given(RULES, CASES)
def test_where_no_bound_is_named_none_holds_what_is_given(rules: Policy, cases: list[tuple[Kind, Standing]]) -> None:
    for kind, where in cases:
        verdict = judge(kind, where, rules, NOW)
        if verdict.new_limit_minor > where.limit_minor and not _named(verdict):
            assert _without(LIMITS, kind, rules, where) == (verdict.outcome, verdict.new_limit_minor)


def test_the_drawn_world_reaches_every_bound() -> None:
    reached: set[tuple[str, str]] = set()

    @settings(
        max_examples=250, phases=[Phase.generate], derandomize=True, database=None, deadline=None,
        report_multiple_bugs=False,
    )  # fmt: skip
    @given(RULES, CASES)
    def draw(rules: Policy, cases: list[tuple[Kind, Standing]]) -> None:
        for kind, where in cases:
            reached.update(_named(judge(kind, where, rules, NOW)))
        if reached >= set(LOOSENED):
            raise AllReached

    with suppress(AllReached):
        draw()

    assert set(LOOSENED) - reached == set()
