"""What is not known is called unknown, and known long ago called old, whatever the policy and whoever asks."""

from hypothesis import given
from hypothesis import strategies as st

from service.domain.decision import Ask, Kind, Standing
from service.domain.explain import contributions, findings
from service.domain.facts import FACTS, INDEX, UTILISATION
from service.domain.judge import judge
from service.domain.policy import NO_FACT, Policy
from tests.builders import DAY_US, NOW, NOW_US
from tests.proof.strategies import examples, policies, standings

INCOME = INDEX["monthly_income"]
OF_INCOME = {"BELOW_LEAST_LIMIT", "CAP_DEBT_TO_INCOME"}
KINDS = (Kind.ASSIGN, Kind.RAISE, Kind.REDUCE, Kind.REVIEW, Kind.TEMPORARY)
LAWS = examples(100)


def _asked(standing: Standing, kind: Kind) -> Standing:
    """Give a standing that an account can have when this is asked."""
    if kind is Kind.ASSIGN:
        return standing._replace(limit_minor=0, exposure_minor=0)
    return (
        standing._replace(asked=Ask(10_000, NOW_US + DAY_US, is_ordered=False)) if kind is Kind.TEMPORARY else standing
    )


def _usable(rules: Policy, standing: Standing) -> list[int | None]:
    values, _ = rules.usable(standing.profile.values, standing.profile.observed_us, NOW_US)
    return [*values, 0]


def _absence(standing: Standing, fact: int) -> str:
    """Give the code of a random policy's absence of a fact."""
    return f"{'NO' if standing.profile.values[fact] is None else 'OLD'}_{FACTS[fact].name.upper()}"


@LAWS
@given(policies(), standings(), st.sampled_from(KINDS))
def test_no_outcome_tells_of_a_value_that_is_not_known_nor_calls_a_known_one_unknown(
    rules: Policy, standing: Standing, kind: Kind
) -> None:
    standing = _asked(standing, kind)
    values = _usable(rules, standing)
    verdict = judge(kind, standing, rules, NOW)

    assert all(
        finding.value is None for finding in findings(verdict, values) if finding.reason.startswith(("NO_", "OLD_"))
    )
    for ground in verdict.grounds:
        if ground.reason in OF_INCOME:
            assert values[INCOME] is not None
        elif ground.fact not in (NO_FACT, UTILISATION):
            is_known = values[ground.fact] is not None
            assert ground.reason.startswith("OF_") is is_known
            assert is_known or ground.reason == _absence(standing, ground.fact)


@LAWS
@given(policies(), standings())
def test_no_contribution_tells_of_a_value_that_is_not_known(rules: Policy, standing: Standing) -> None:
    values = _usable(rules, standing)

    found = contributions(rules, values, standing.profile.values, rules.points(values))

    for line, contribution in zip(rules.scorecard, found, strict=True):
        is_known = values[line.fact] is not None
        assert contribution.reason == (line.ground.reason if is_known else _absence(standing, line.fact))
