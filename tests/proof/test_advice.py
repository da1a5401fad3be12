"""Advice comes true: apply the change, everything else equal, and the promised limit follows; less does not do."""

from hypothesis import assume, given

from service.domain.decision import Kind, Standing
from service.domain.explain import Advice, advice, explain
from service.domain.facts import FACTS, Better, merge
from service.domain.judge import judge
from service.domain.mode import NORMAL
from service.domain.policy import Policy
from tests.builders import NOW, NOW_US, command, policy, standing
from tests.proof.strategies import examples, policies, standings
from tests.proof.test_laws import KINDS, _run


@examples(25)
@given(policies(), standings(), KINDS)
def test_applied_advice_gives_the_promised_limit_and_a_smaller_change_does_not(
    rules: Policy, where: Standing, kind: Kind
) -> None:
    now = judge(kind, where, rules, NOW)
    given_advice = advice(lambda changed: judge(kind, changed, rules, NOW), where, rules, NOW)
    assume(given_advice)

    for piece in given_advice:
        definition = FACTS[piece.fact]
        applied = where._replace(profile=merge(where.profile, ((piece.fact, piece.target),), NOW_US))
        then = judge(kind, applied, rules, NOW)
        assert (then.new_limit_minor, then.outcome) == (piece.limit_then_minor, piece.outcome_then)
        assert then.new_limit_minor > now.new_limit_minor
        assert definition.actionable
        back = -1 if definition.better is Better.HIGHER else 1
        start = piece.current
        worst = definition.lowest if definition.better is Better.HIGHER else definition.highest
        if piece.target != (worst if start is None else start):
            less = where._replace(profile=merge(where.profile, ((piece.fact, piece.target + back),), NOW_US))
            assert judge(kind, less, rules, NOW).new_limit_minor <= now.new_limit_minor


def _advice_of_a_raise(where: Standing) -> tuple[Advice, ...]:
    return advice(lambda changed: judge(Kind.RAISE, changed, policy(), NOW), where, policy(), NOW)


def test_advice_names_the_bound_of_the_rule_that_refused() -> None:
    found = _advice_of_a_raise(standing(on_time_streak_months=1))

    assert [(FACTS[piece.fact].name, piece.target) for piece in found] == [("on_time_streak_months", 3)]


def test_two_rules_that_refuse_leave_nothing_that_one_change_could_mend() -> None:
    assert _advice_of_a_raise(standing(on_time_streak_months=1, dpd_now=5)) == ()


def test_contributions_add_up_to_the_recorded_score() -> None:
    _, decisions = _run(policy(), [(Kind.ASSIGN, command().news, 0), (Kind.RAISE, (), 30)])

    for decision in decisions:
        explanation = explain(decision, policy(), NORMAL)
        assert sum(piece.points for piece in explanation.contributions) == sum(decision.points)
        assert explanation.findings
