"""Random policies, standings and news: valid by construction, wild within that."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from service.domain.account import NEVER, Growth
from service.domain.decision import Standing
from service.domain.facts import FACTS, INDEX, NEVER_OBSERVED, Better, Definition, Profile
from service.domain.money import BASIS_POINTS
from service.domain.policy import BUILT_IN_REASONS, Policy, Step
from service.policies import compiler
from service.policies.checks import PASSING
from service.policies.document import PolicyDocument
from tests.builders import DAY_US, NOW_US, TODAY

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


def examples(count: int, **more: Any) -> settings:
    """Draw so many examples, or twenty times as many in `make torture`."""
    return settings(max_examples=count * (20 if THOROUGH else 1), deadline=None, **more)


NAMES = [fact.name for fact in FACTS if fact.name != "age_years"]
AMOUNTS = st.integers(0, 5_000_000)
CAPS = st.integers(0, 6_000) | AMOUNTS
"""Small enough, half of the time, to bind on the steps drawn below."""


@cache
def _values(fact: Definition) -> st.SearchStrategy[int]:
    highest = 3_000_000 if fact.unit == "minor units" else fact.highest
    return st.integers(fact.lowest, highest) | st.integers(fact.lowest, min(fact.lowest + 70, highest))


@st.composite
def _rule(draw: st.DrawFn, names: list[str], *, is_adverse: bool) -> dict[str, Any]:
    fact = FACTS[INDEX[draw(st.sampled_from(names))]]
    value = draw(_values(fact))
    good_is_up = fact.better is Better.HIGHER or (fact.better is Better.NEITHER and draw(st.booleans()))
    bound = "at_most" if good_is_up is is_adverse else "at_least"
    return {"reason": f"OF_{fact.name.upper()}", "fact": fact.name, bound: value}


@st.composite
def _characteristic(draw: st.DrawFn, name: str) -> dict[str, Any]:
    fact = FACTS[INDEX[name]]
    highest = 3_000_000 if fact.unit == "minor units" else fact.highest
    bounds = sorted(draw(st.sets(st.integers(fact.lowest + 1, highest), min_size=1, max_size=4)))
    points = draw(st.lists(st.integers(-50, 100), min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    if fact.better is not Better.NEITHER:
        points.sort(reverse=fact.better is Better.LOWER)
    bins: list[dict[str, Any]] = [
        {"points": given, "below": bound} for given, bound in zip(points, bounds, strict=False)
    ]
    return {
        "fact": name, "reason": f"OF_{name.upper()}", "bins": [*bins, {"points": points[-1]}],
        "missing_points": draw(st.integers(-50, max(points))),
    }  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a valid policy document."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=8, unique=True))
    # Limits rest on income, so every document declares it.
    names = list(dict.fromkeys([*names, "monthly_income"]))
    scorecard = [draw(_characteristic(name)) for name in draw(st.permutations(names))[: draw(st.integers(1, 6))]]
    least = sum(min(line["missing_points"], *(part["points"] for part in line["bins"])) for line in scorecard)
    greatest = sum(max(part["points"] for part in line["bins"]) for line in scorecard)
    froms = sorted(draw(st.sets(st.integers(least, greatest), min_size=1, max_size=4)) | {least}, reverse=True)
    columns = sorted({0, *draw(st.sets(st.integers(1, 3_000_000), max_size=2))})
    rows = _descending(draw, len(froms), len(columns))
    step = {"share_bp": draw(st.integers(0, 2_000)), "minimum_minor": draw(st.integers(0, 2_000))}
    step["maximum_minor"] = step["minimum_minor"] + draw(st.integers(0, 5_000))
    stepped = draw(st.integers(1, len(froms)))
    unit = draw(st.sampled_from((1, 1, 100)))
    absolute = draw(st.just(10_000_000) | st.integers(unit, 10_000_000))
    maximum = draw(st.integers(unit, absolute))
    made: dict[str, Any] = {
        "policy": "random", "product": "revolving", "currency": "CNY", "title": {"zh": "随机", "en": "random"},
        "facts": {name: _fact_part(draw, name) for name in names},
        "knock_outs": [
            {**draw(_rule(names, is_adverse=True)), "applies_to": draw(st.sampled_from((["assign"], ["raise"], ["assign", "raise"])))}
            for _ in range(draw(st.sampled_from((0, 0, 1, 3))))
        ],
        "scorecard": scorecard,
        "bands": [
            {
                "name": f"B{position}", "from_score": start, "income_multiples_bp": rows[position],
                **({"daily_step": step} if position < stepped else {}),
            }
            for position, start in enumerate(froms)
        ],
        "base_limit": {
            "income_from_minor": columns, "minimum_minor": draw(st.integers(unit, maximum)), "maximum_minor": maximum,
        },
        "raise": {
            "eligibility": [draw(_rule(names, is_adverse=False)) for _ in range(draw(st.integers(0, 2)))],
            "wait_after_raise_days": draw(st.just(0) | st.integers(0, 3)), "wait_after_cut_days": draw(st.integers(0, 40)),
        },
        "reduce": {
            "triggers": [
                {**draw(_rule(names, is_adverse=True)), "cut_bp": draw(st.integers(1, 10_000)), "notice_days": draw(st.integers(0, 30))}
                for _ in range(draw(st.integers(0, 3)))
            ],
            "floor_minor": draw(st.integers(0, 500_000)), "most_per_day_bp": draw(st.just(10_000) | st.integers(0, 10_000)),
            "cool_down_days": draw(st.just(0) | st.integers(0, 40)),
        },
        "caps": {
            "per_decision_minor": draw(CAPS), "per_decision_bp": draw(st.just(10_000) | st.integers(0, 10_000)),
            "per_day_minor": draw(CAPS), "per_30_days_minor": draw(CAPS), "absolute_minor": absolute,
            "debt_to_income_bp": draw(st.just(1_000_000) | st.integers(0, 100_000)),
        },
        "temporary": {
            "maximum_minor": draw(CAPS), "share_bp": draw(st.just(10_000) | st.integers(0, 10_000)),
            "days_max": draw(st.integers(1, 60)), "notice_days": 1,
        },
        "refer": {
            "rules": [draw(_rule(names, is_adverse=True)) for _ in range(draw(st.integers(0, 2)))],
            "automatic_up_to_minor": draw(st.just(10_000_000) | st.integers(0, 10_000_000)),
        },
        "rounding": {"unit_minor": unit}, "adverse_action": {"notice_days": 30},
    }  # fmt: skip
    used = {*_reasons(made), *BUILT_IN_REASONS}
    return {**made, "texts": {code: {"zh": code, "en": code} for code in sorted(used)}}


def _reasons(node: Any) -> Iterator[str]:
    """Give every reason code of a document's part."""
    if isinstance(node, list):
        for part in node:
            yield from _reasons(part)
    elif isinstance(node, dict):
        yield from (code for field, code in node.items() if field.endswith("reason"))
        for part in node.values():
            yield from _reasons(part)


TREATMENTS = st.sampled_from(("score", "refer", "decline"))


def _fact_part(draw: st.DrawFn, name: str) -> dict[str, Any]:
    when_stale = draw(TREATMENTS if name in PASSING else TREATMENTS | st.just("use"))
    return {
        "max_age_days": draw(st.just(3_650) | st.integers(0, 60)), "when_missing": draw(TREATMENTS),
        "when_stale": when_stale, "missing_reason": f"NO_{name.upper()}",
        **({} if when_stale == "use" else {"stale_reason": f"OLD_{name.upper()}"}),
    }  # fmt: skip


def _descending(draw: st.DrawFn, rows: int, columns: int) -> list[list[int]]:
    """Draw a matrix that rises along each row and falls down each column, positive in the first row."""
    base = [sorted(draw(st.lists(st.integers(1, 60_000), min_size=columns, max_size=columns)))]
    for _ in range(rows - 1):
        share = draw(st.integers(0, 100))
        base.append([value * share // 100 for value in base[-1]])
    return base


def policies() -> st.SearchStrategy[Policy]:
    """Draw a compiled policy."""
    return documents().map(
        lambda document: compiler.compile_document(PolicyDocument.model_validate_json(json.dumps(document))).policy
    )


def that_only_growth_caps_hold(rules: Policy) -> Policy:
    """Let every account be raised by as much as the caps on growth leave."""
    wide = rules.caps
    caps = replace(
        wide,
        per_decision=wide.per_decision._replace(bound=2_000),
        per_decision_bp=wide.per_decision_bp._replace(bound=BASIS_POINTS),
        per_day=wide.per_day._replace(bound=3_000),
        per_window=wide.per_window._replace(bound=5_000),
        debt_to_income_bp=wide.debt_to_income_bp._replace(bound=1_000_000),
        automatic=wide.automatic._replace(bound=wide.absolute.bound),
    )
    bands = tuple(band._replace(step=Step(0, 1_500, 1_500)) for band in rules.bands)
    waits = replace(rules.raises, after_raise_days=0, after_cut_days=0)
    nothing: Any = lambda *_: ()  # noqa: E731 - of each kind of rule.
    return replace(
        rules, caps=caps, bands=bands, raises=waits, knocked_out_of_raise=nothing, ineligible=nothing,
        referred=nothing, fired=nothing, unit_minor=1,
    )  # fmt: skip


@cache
def _fact(fact: Definition, best: int, *, is_good: bool) -> st.SearchStrategy[int | None]:
    """Draw a fact, missing among others; mostly at its best for a good customer, so that raises are reached."""
    drawn = _values(fact) | _values(fact) | st.none()
    return st.just(best) | st.just(best) | st.just(best) | drawn if is_good else drawn


# A strategy that is put together anew for each draw is validated anew, which takes as long as the draw.
AGES = st.just(0) | st.integers(0, 70)
RAISED_TODAY = st.just(0) | st.integers(0, 5_000)
TEMPORARY = st.just(0) | AMOUNTS
DAYS = st.just(NEVER) | st.integers(TODAY - 40, TODAY)


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    """Draw where an account may stand, facts missing and stale among them."""
    best = dict(best_news())
    is_good = draw(st.booleans())
    values: tuple[int | None, ...] = tuple(
        draw(_fact(fact, best[index], is_good=is_good)) for index, fact in enumerate(FACTS)
    )
    observed = tuple(NEVER_OBSERVED if value is None else NOW_US - draw(AGES) * DAY_US for value in values)
    limit = draw(AMOUNTS)
    owed = draw(st.integers(0, 5_000_000) | st.integers(0, limit) | st.just(limit - limit // 10))
    raised_today = draw(RAISED_TODAY)
    extra = draw(TEMPORARY)
    window = raised_today + draw(st.integers(0, 6_000))
    growth = Growth(raised_today, window, 0, draw(DAYS), draw(DAYS), temporary_minor=extra)
    return Standing(limit, owed, Profile(values, observed), growth)


def best_news() -> tuple[tuple[int, int], ...]:
    """Give news with every fact at its best, so that what follows is up to the policy's caps."""
    return tuple(
        (index, min(fact.highest, 3_000_000) if fact.better is Better.HIGHER else fact.lowest)
        for index, fact in enumerate(FACTS)
    )


@st.composite
def news(draw: st.DrawFn) -> tuple[tuple[int, int], ...]:
    """Draw news about a few facts."""
    indices = draw(st.lists(st.integers(0, len(FACTS) - 1), max_size=5, unique=True))
    return tuple((index, draw(_values(FACTS[index]))) for index in sorted(indices))


class AllReached(Exception):
    """Nothing is left that drawn cases are to reach: ends a run whose draws take long."""
