"""Playbooks are safe: each holds the sense it claims, alone and beside every other, whatever the policy.

Goal: an on-call engineer can do no harm with a released playbook. Method: random policies, standings and parameters;
the outcome with the playbook is held against the outcome without it, both in the company of another random playbook.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.domain import errors
from service.domain.account import NEVER, Growth
from service.domain.decide import judge_in, principal_reasons
from service.domain.decision import Criticality, Kind, Outcome, Standing, Verdict
from service.domain.facts import INDEX, NOTHING_KNOWN, merge
from service.domain.mode import (
    EVERYBODY,
    NORMAL,
    FactRange,
    Judgement,
    Measure,
    Mode,
    Scope,
    admit,
    composed,
    covers,
    overlap,
    turned_away,
)
from service.domain.playbook import Playbook, Request, Safer
from service.domain.policy import Policy
from tests.builders import NOW, NOW_US, PLAYBOOKS, policy, profile, standing
from tests.proof.strategies import examples, policies, standings

EVERY = [pytest.param(playbook, id=playbook.title) for playbook in PLAYBOOKS.all()]
TRANSFORMS = [
    playbook for playbook in PLAYBOOKS.all() if playbook.choose_policy or playbook.adjust_facts or playbook.constrain
]
KINDS = st.sampled_from((Kind.ASSIGN, Kind.RAISE, Kind.RAISE, Kind.REDUCE, Kind.REVIEW))
NAMED = "named"


def _parameters(playbook: Playbook) -> st.SearchStrategy[Any]:
    drawn = {
        one.name: st.just(NAMED) if one.is_policy else st.integers(one.lowest, one.highest)
        for one in playbook.parameters
    }
    return st.fixed_dictionaries(drawn).map(lambda values: playbook.make_parameters(**values))


def _measure(playbook: Playbook, number: int, parameters: Any, scope: Scope = EVERYBODY) -> Measure:
    return Measure(f"A{number}@{playbook.title}", number, scope, parameters, playbook)


def _go_together(one: Playbook, other: Playbook) -> bool:
    return one.name != other.name and other.name not in one.conflicts


@st.composite
def _worlds(draw: st.DrawFn, playbook: Playbook) -> tuple[Kind, Standing, Policy, Policy, list[Measure], Measure]:
    """Draw a case, the policy that decides and the one that parameters name, the company, and the playbook itself."""
    kind = draw(KINDS)
    standing = draw(standings())
    if kind is Kind.ASSIGN:
        standing = Standing(0, 0, standing.profile, Growth(0, 0, 0, NEVER, NEVER))
    base, named = draw(policies()), replace(draw(policies()), version=NAMED)
    others = [other for other in TRANSFORMS if _go_together(playbook, other)]
    company = draw(st.lists(st.sampled_from(others), max_size=2, unique_by=lambda one: one.name))
    assume(all(_go_together(one, other) for one in company for other in company if one is not other))
    numbers = draw(st.permutations(range(1, 4)))
    beside = [_measure(one, number, draw(_parameters(one))) for one, number in zip(company, numbers, strict=False)]
    return kind, standing, base, named, beside, _measure(playbook, numbers[2], draw(_parameters(playbook)))


def _judged(mode: Mode, kind: Kind, standing: Standing, policy: Policy) -> Judgement:
    return judge_in(mode, kind, "a-1", "revolving", standing, policy, NOW)


def _holds(safer: Safer, limit: int, with_it: Verdict, without: Verdict, by_named: Verdict) -> bool:
    """Claim that an outcome is no less safe in a playbook's sense."""
    move, move_without = with_it.new_limit_minor - limit, without.new_limit_minor - limit
    return {
        Safer.NO_MOVE: move == 0,
        Safer.NO_CUT: move >= 0,
        Safer.NO_RAISE: move <= 0,
        Safer.LESS_GROWTH: move <= move_without and move >= min(move_without, 0),
        Safer.LESS_MOVEMENT: move * move_without >= 0 and abs(move) <= abs(move_without),
        Safer.NAMED_POLICY: with_it == by_named,
        Safer.LESS_WORK: with_it == without,
        Safer.NO_WRITE: with_it == without,
    }[safer]


@pytest.mark.parametrize("playbook", EVERY)
def test_an_outcome_is_never_less_safe_than_without_the_playbook(playbook: Playbook) -> None:
    @examples(40)
    @given(_worlds(playbook))
    def holds(world: tuple[Kind, Standing, Policy, Policy, list[Measure], Measure]) -> None:
        kind, standing, base, named, beside, own = world
        versions = {NAMED: named}
        without = _judged(composed(beside, versions), kind, standing, base)
        by_named = _judged(composed(beside, versions), kind, standing, named)
        with_it = _judged(composed([*beside, own], versions), kind, standing, base)

        assert _holds(playbook.safer, standing.limit_minor, with_it.verdict, without.verdict, by_named.verdict)
        assert own.name in with_it.activations
        _keeps_the_laws(kind, standing, with_it)

    holds()


def _keeps_the_laws(kind: Kind, standing: Standing, judgement: Judgement) -> None:
    """Hold an outcome in a mode against the laws that every mode keeps."""
    verdict, policy, _ = judgement
    if kind in (Kind.ASSIGN, Kind.RAISE):
        assert verdict.new_limit_minor >= standing.limit_minor
    if kind is Kind.REDUCE:
        assert verdict.new_limit_minor <= standing.limit_minor
    assert verdict.new_limit_minor >= 0
    if verdict.new_limit_minor < standing.limit_minor:
        assert verdict.new_limit_minor >= standing.exposure_minor
    assert (verdict.outcome is Outcome.APPROVED) >= (verdict.new_limit_minor != standing.limit_minor)
    if kind is not Kind.ASSIGN:
        assert (verdict.outcome is Outcome.APPROVED) == (verdict.new_limit_minor != standing.limit_minor)
    reasons = principal_reasons(verdict.grounds)
    texts = {**PLAYBOOKS.texts(), **policy.texts}
    assert reasons
    assert all(texts[reason].zh and texts[reason].en for reason in reasons)
    assert not verdict.points or len(verdict.points) == len(policy.scorecard)


@given(st.permutations(range(len(TRANSFORMS))), policies(), standings(), KINDS)
def test_the_order_of_composition_is_that_of_precedence_whatever_came_first(
    order: list[int], rules: Policy, standing: Standing, kind: Kind
) -> None:
    measures = [
        _measure(one, number + 1, one.make_parameters(**{p.name: p.default or NAMED for p in one.parameters}))
        for number, one in enumerate(TRANSFORMS)
    ]
    standing = Standing(0, 0, *standing[2:]) if kind is Kind.ASSIGN else standing
    named = {NAMED: replace(rules, version=NAMED)}

    one = composed(measures, named)
    other = composed([measures[place] for place in order], named)

    assert one == other
    assert _judged(one, kind, standing, rules) == _judged(other, kind, standing, rules)
    assert [m.playbook.precedence for m in one.measures] == sorted(m.playbook.precedence for m in one.measures)


def test_a_modes_name_stands_for_its_activations_and_no_others() -> None:
    hold, freeze = PLAYBOOKS.find("hold_last_known_good"), PLAYBOOKS.find("freeze_raises")
    one = _measure(hold, 1, hold.make_parameters())
    other = _measure(freeze, 2, freeze.make_parameters())
    renewed = _measure(hold, 3, hold.make_parameters())
    rebuilt = one._replace(playbook=hold._replace(content_hash="0" * 64))

    names = {composed(measures, {}).mode_id for measures in ([one], [other], [one, other], [renewed], [rebuilt], [])}

    assert len(names) == 6
    assert composed([], {}) is NORMAL


SHEDS = PLAYBOOKS.find("shed_low_priority")
READ_ONLY = PLAYBOOKS.find("read_only")


@given(st.sampled_from(list(Criticality)))
def test_admission_refuses_the_less_critical_first_and_read_only_refuses_all(level: Criticality) -> None:
    request = Request(level)
    shed = composed([_measure(SHEDS, 1, SHEDS.make_parameters())], {})
    closed = composed([_measure(READ_ONLY, 2, READ_ONLY.make_parameters())], {})

    refusal = turned_away(shed, request)

    assert isinstance(refusal, errors.Overloaded) == (level is Criticality.BATCH)
    if refusal is not None:
        assert refusal.metadata["activation_id"] == "A1"
        assert refusal.retry_after_ms == 5_000
    with pytest.raises(errors.ModeReadOnly):
        admit(closed, request, "a-1", "revolving", NOTHING_KNOWN)
    admit(NORMAL, request, "a-1", "revolving", NOTHING_KNOWN)


SCORE = INDEX["bureau_score"]


def test_a_scope_covers_its_product_segment_and_share_only() -> None:
    low = profile(bureau_score=500)

    assert covers(Scope("revolving", (), 10_000), "revolving", "a", low)
    assert not covers(Scope("instalment", (), 10_000), "revolving", "a", low)
    assert covers(Scope("", (FactRange(SCORE, 300, 500),), 10_000), "revolving", "a", low)
    assert not covers(Scope("", (FactRange(SCORE, 300, 499),), 10_000), "revolving", "a", low)
    assert not covers(Scope("", (FactRange(SCORE, 300, 900),), 10_000), "revolving", "a", NOTHING_KNOWN)
    places = [f"a-{number}" for number in range(4_000)]
    shares = [
        {name for name in places if covers(Scope("", (), share), "revolving", name, low)}
        for share in (0, 1_000, 5_000, 10_000)
    ]
    assert shares[0] < shares[1] < shares[2] < shares[3] == set(places)
    assert 320 < len(shares[1]) < 480
    assert 1_850 < len(shares[2]) < 2_150


def test_scopes_overlap_unless_product_or_segment_parts_them() -> None:
    young = Scope("", (FactRange(SCORE, 300, 500),), 10)
    old = Scope("", (FactRange(SCORE, 501, 900),), 10_000)
    other_fact = Scope("revolving", (FactRange(0, 0, 1),), 1)

    assert not overlap(young, old)
    assert overlap(young, other_fact)
    assert overlap(old, EVERYBODY)
    assert not overlap(Scope("a", (), 10_000), Scope("b", (), 10_000))
    assert overlap(Scope("a", (), 1), Scope("", (), 1))


def test_only_accounts_in_scope_are_held_and_only_they_name_the_activation() -> None:
    hold = PLAYBOOKS.find("hold_last_known_good")
    half = composed([_measure(hold, 1, hold.make_parameters(), Scope("", (FactRange(SCORE, 300, 600),), 10_000))], {})
    inside = _judged(half, Kind.RAISE, standing(bureau_score=600), policy())
    outside = _judged(half, Kind.RAISE, standing(bureau_score=720), policy())

    assert (inside.verdict.outcome, inside.activations) == (Outcome.UNCHANGED, ("A1@hold_last_known_good/v1",))
    assert (outside.verdict.outcome, outside.activations) == (Outcome.APPROVED, ())


def test_static_scorecard_lets_no_limit_move_on_behaviour_data_alone() -> None:
    static = PLAYBOOKS.find("static_scorecard")
    mode = composed([_measure(static, 1, static.make_parameters())], {})
    sick = standing(dpd_now=60)
    assert judge_in(NORMAL, Kind.REDUCE, "a-1", "revolving", sick, policy(), NOW).verdict.outcome is Outcome.APPROVED
    assert _judged(mode, Kind.REDUCE, sick, policy()).verdict.outcome is Outcome.UNCHANGED
    assert merge(sick.profile, (), NOW_US) == sick.profile
