"""Advice comes true: who follows it, on its day, gets the outcome that it tells; nothing less would do.

Method: random policies and standings, and the customers of the real data where it is at hand; each piece of advice is
followed by other code than that which found it.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service import population
from service.domain.account import UNBOUNDED, WINDOW_DAYS, Account, Status, opened
from service.domain.advice import ACTIONABLE, CHANGES_MAX, Advice, Question, advice_texts, advise
from service.domain.decide import decide
from service.domain.decision import Ask, Decision, Kind, Moment, Outcome, Standing, Verdict, is_adverse
from service.domain.explain import explain, steps
from service.domain.facts import FACTS, INDEX, MONEY_FACTS, Better, merge
from service.domain.judge import judge
from service.domain.mode import NORMAL
from service.domain.policy import Policy
from tests.builders import (
    DAY_US,
    GOOD_FACTS,
    NOW,
    NOW_US,
    TODAY,
    account,
    command,
    news,
    policy,
    standing,
)
from tests.proof.strategies import examples, policies, standings
from tests.proof.test_laws import KINDS, _run

DATA = Path(__file__).parents[3] / "shared" / "data" / "credit_card_clients.csv.gz"
EVALUATIONS_MAX = 800


def _followed(rules: Policy, kind: Kind, where: Standing, found: Advice) -> Verdict:
    """Do what advice says, on its day, and ask again."""
    days = found.from_day - TODAY if found.from_day else 0
    then = Moment(NOW_US + days * DAY_US, TODAY + days)
    profile = where.profile
    if days:
        known, _ = rules.usable(profile.values, profile.observed_us, NOW_US)
        profile = merge(profile, tuple((fact, had) for fact, had in enumerate(known) if had is not None), then.now_us)
    told = tuple((change.fact, change.target) for change in (*found.changes, *found.by_then))
    where = where._replace(profile=merge(profile, told, then.now_us))
    if where.asked is not None:
        # The very last moment of the day that the words give, or as long as was asked for before.
        end_us = (found.until_us // DAY_US) * DAY_US - 1 if found.until_us else where.asked.until_us
        end_us += days * DAY_US if end_us <= then.now_us else 0
        assert end_us > then.now_us
        where = where._replace(asked=where.asked._replace(until_us=end_us))
    if days:
        window = 0 if days >= WINDOW_DAYS else where.growth.raised_window_minor
        growth = where.growth._replace(raised_today_minor=0, cut_today_minor=0, raised_window_minor=window)
        where = where._replace(growth=growth._replace(portfolio_room_minor=UNBOUNDED))
    return judge(kind, where, rules, then)


def _counted(rules: Policy, kind: Kind, where: Standing) -> tuple[Advice | None, int]:
    """Give advice, and how many evaluations it took."""
    asked: list[Kind] = []

    def judge_counted(what: Kind, changed: Standing, when: Moment) -> Verdict:
        asked.append(what)
        return judge(what, changed, rules, when)

    return advise(judge_counted, Question(kind, where, NOW), rules), len(asked)


@examples(40)
@given(policies(), standings(), KINDS)
def test_who_follows_advice_gets_what_it_tells_and_a_smaller_change_does_not_do(
    rules: Policy, where: Standing, kind: Kind
) -> None:
    where = where._replace(limit_minor=0, exposure_minor=0) if kind is Kind.ASSIGN else where
    now = judge(kind, where, rules, NOW)
    assume(now.new_limit_minor <= where.limit_minor)
    found, evaluations = _counted(rules, kind, where)
    assert evaluations <= EVALUATIONS_MAX
    assume(found is not None)
    assert found is not None

    then = _followed(rules, kind, where, found)
    assert (then.outcome, then.new_limit_minor) == (found.outcome_then, found.limit_then_minor)
    assert then.new_limit_minor > where.limit_minor
    assert len(found.changes) <= CHANGES_MAX
    for at, change in enumerate(found.changes):
        definition = FACTS[change.fact]
        assert change.fact in ACTIONABLE
        worst = definition.lowest if definition.better is Better.HIGHER else definition.highest
        stored = where.profile.values[change.fact]
        if change.target != (worst if stored is None else stored):
            back = change._replace(target=change.target + (-1 if definition.better is Better.HIGHER else 1))
            less = found._replace(changes=(*found.changes[:at], back, *found.changes[at + 1 :]))
            assert _followed(rules, kind, where, less).new_limit_minor <= where.limit_minor
    for fewer in combinations(found.changes, max(len(found.changes) - 1, 0)):
        if fewer != found.changes:
            assert _followed(rules, kind, where, found._replace(changes=fewer)).new_limit_minor <= where.limit_minor


def _customers() -> Iterator[population.Customer]:
    if DATA.exists():
        return population.credit_card_clients(DATA)
    return population.synthetic(3_000, 7)


def _asked(customer: population.Customer, rng: random.Random) -> tuple[Account, Kind, tuple[tuple[int, int], ...]]:
    """Let a customer ask; the data has no bureau score, income or identity, so that half of the time nobody knows them."""
    late = customer.facts["late_months_12m"]
    told = {
        "bureau_score": max(min(int(rng.gauss(700 - 45 * late, 60)), 900), 300),
        "monthly_income": int(customer.limit_minor * rng.uniform(0.15, 0.8)) // 100 * 100,
        "identity_level": rng.choices((1, 2, 3), (1, 6, 3))[0],
        "enquiries_30d": min(int(rng.expovariate(0.6)), 20),
        "employment_months": rng.randrange(240),
        "profile_completeness_bp": rng.randrange(4_000, 10_001),
    }
    facts = {**customer.facts, **{name: value for name, value in told.items() if rng.random() < 0.9}}
    kind = rng.choice((Kind.ASSIGN, Kind.RAISE, Kind.RAISE, Kind.REVIEW))
    account = opened("a-1", "revolving", "CNY")
    if kind is not Kind.ASSIGN:
        account = account._replace(
            status=Status.ACTIVE, limit_minor=customer.limit_minor, outstanding_minor=customer.outstanding_minor, version=1
        )  # fmt: skip
    return account, kind, tuple((INDEX[name], value) for name, value in facts.items())


def test_nine_in_ten_of_the_refused_are_told_a_way_that_comes_true_when_they_go_it() -> None:
    rng = random.Random(7)
    customers = list(_customers())
    ways: Counter[str] = Counter()
    for customer in rng.sample(customers, 900):
        account, kind, facts = _asked(customer, rng)
        after, decision = decide(command(kind, news=facts), account, policy(), NORMAL, NOW, 5)
        if not is_adverse(decision):
            continue
        found = explain(decision, policy(), NORMAL).advice
        if found is None:
            ways["none"] += 1
            continue
        ways["date" if found.from_day else "changes"] += 1
        then = _gone(after, kind if kind is not Kind.REVIEW else Kind.RAISE, found)
        assert then.outcome is Outcome.APPROVED
        assert then.new_limit_minor >= found.limit_then_minor > after.limit_minor

    assert ways["changes"] > 50
    assert ways["date"] > 50
    assert ways["none"] * 10 <= sum(ways.values())


def _gone(account: Account, kind: Kind, found: Advice) -> Decision:
    """Come back on the day that was told, with everything as it was told, and be decided on."""
    days = found.from_day - TODAY if found.from_day else 0
    told = {change.fact: change.target for change in (*found.changes, *found.by_then)}
    fresh = {fact: had for fact, had in enumerate(account.profile.values) if had is not None} if days else {}
    again = command(kind, request_id="again", product="", news=tuple({**fresh, **told}.items()))
    moment = Moment(NOW_US + days * DAY_US, TODAY + days)
    return decide(again, account, policy(), NORMAL, moment, 6)[1]


def _advice_of_a_raise(where: Standing) -> Advice | None:
    return _counted(policy(), Kind.RAISE, where)[0]


def test_advice_names_the_bound_of_the_rule_that_refused() -> None:
    found = _advice_of_a_raise(standing(on_time_streak_months=1))

    assert found is not None
    assert [(FACTS[one.fact].name, one.current, one.target) for one in found.changes] == [
        ("on_time_streak_months", 1, 3)
    ]
    assert found.from_day == 0


def test_two_rules_that_refuse_are_mended_by_two_changes_together() -> None:
    found = _advice_of_a_raise(standing(on_time_streak_months=1, dpd_now=5))

    assert found is not None
    assert {(FACTS[one.fact].name, one.target) for one in found.changes} == {
        ("dpd_now", 0),
        ("on_time_streak_months", 3),
    }


def test_a_wait_is_told_with_the_day_on_which_it_ends() -> None:
    where = standing()
    waits = where._replace(growth=where.growth._replace(last_cut_day=TODAY - 4))
    found = _advice_of_a_raise(waits)

    assert found is not None
    assert (found.changes, found.by_then, found.from_day) == ((), (), TODAY + 26)


@pytest.mark.parametrize("back", [2, 5, 40])
def test_who_was_refused_for_a_day_that_is_over_is_told_none_that_is_over(back: int) -> None:
    cut = account()._replace(last_cut_day=TODAY - back - 5)
    _, refused = decide(command(Kind.RAISE), cut, policy(), NORMAL, Moment(NOW_US, TODAY - back), 5)
    explained = explain(refused, policy(), NORMAL)
    found = explained.advice

    assert refused.reasons == ("WAIT_AFTER_CUT",)
    assert found is not None
    assert found.from_day > TODAY
    later = Moment(NOW_US + (found.from_day - TODAY) * DAY_US, found.from_day)
    asked = command(Kind.RAISE, news=news(**GOOD_FACTS))
    _, granted = decide(asked, cut, policy(), NORMAL, later, 6)
    assert granted.outcome is Outcome.APPROVED


def test_the_days_cap_is_told_with_tomorrow() -> None:
    where = standing()
    found = _advice_of_a_raise(where._replace(growth=where.growth._replace(raised_today_minor=200_000)))

    assert found is not None
    assert (found.changes, found.from_day) == ((), TODAY + 1)


def test_a_temporary_raise_asked_for_too_long_is_told_the_latest_end() -> None:
    where = standing()._replace(asked=Ask(50_000, NOW_US + 80 * DAY_US, is_ordered=False))
    found = _counted(policy(), Kind.TEMPORARY, where)[0]

    assert found is not None
    assert found.until_us == NOW_US + 45 * DAY_US
    assert _followed(policy(), Kind.TEMPORARY, where, found).outcome is Outcome.APPROVED


@examples(60)
@given(st.integers(1, DAY_US - 1), st.integers(46, 89))
def test_a_temporary_raise_that_ends_at_any_time_of_the_day_that_is_told_is_granted(time_us: int, days: int) -> None:
    where = standing()._replace(asked=Ask(50_000, NOW_US + days * DAY_US + time_us, is_ordered=False))
    found = _counted(policy(), Kind.TEMPORARY, where)[0]
    assert found is not None

    zh, en = advice_texts(found, "CNY")
    (day,) = set(re.findall(r"\d{4}-\d{2}-\d{2}", zh + en))
    end = datetime.combine(date.fromisoformat(day), time.max, UTC)
    latest = where._replace(asked=Ask(50_000, int(end.timestamp()) * 1_000_000 + 999_999, is_ordered=False))

    assert judge(Kind.TEMPORARY, latest, policy(), NOW).outcome is Outcome.APPROVED
    assert "UTC" in zh
    assert "UTC" in en


def test_a_temporary_raise_is_never_told_as_a_lasting_one_nor_with_an_end_that_is_over() -> None:
    asked = Ask(50_000, NOW_US + 10 * DAY_US, is_ordered=False)
    for facts in ({"dpd_now": 5}, {"dpd_max_12m": 100}):
        where = standing(**facts)._replace(asked=asked)
        found = _counted(policy(), Kind.TEMPORARY, where)[0]
        assert found is not None
        zh, en = advice_texts(found, "CNY")

        assert "your limit would be" not in en
        assert "额度将为" not in zh
        assert _followed(policy(), Kind.TEMPORARY, where, found).new_limit_minor == found.limit_then_minor


def test_who_can_do_nothing_is_told_so_and_not_to_do_something() -> None:
    account = opened("a-1", "revolving", "CNY")
    asked = command(Kind.ASSIGN, news=(*command().news, (INDEX["misuse_flags"], 1)))
    _, decision = decide(asked, account, policy(), NORMAL, NOW, 5)
    explained = explain(decision, policy(), NORMAL)

    assert explained.advice is None
    assert explained.is_adverse
    assert steps(policy(), explained) == ()


@examples(30)
@given(st.integers(1, 90), st.integers(0, 120), st.integers(0, 12))
def test_words_on_arrears_stand_only_where_paying_is_part_of_what_helps(dpd: int, worst: int, streak: int) -> None:
    account = opened("a-1", "revolving", "CNY")._replace(status=Status.ACTIVE, limit_minor=1_000_000, version=1)
    told = {"dpd_now": dpd, "dpd_max_12m": max(worst, dpd), "on_time_streak_months": streak}
    facts = dict(command().news) | {INDEX[name]: value for name, value in told.items()}
    _, decision = decide(command(Kind.RAISE, news=tuple(facts.items())), account, policy(), NORMAL, NOW, 5)
    explained = explain(decision, policy(), NORMAL)
    words = {text.advice_en for text in steps(policy(), explained)}
    found = explained.advice

    assert found is not None
    pays = any(FACTS[change.fact].name == "dpd_now" for change in (*found.changes, *found.by_then))
    assert ("Pay what is past due." in words) is pays
    assert all(change.fact not in MONEY_FACTS for change in found.changes)


def test_contributions_add_up_to_the_recorded_score() -> None:
    _, decisions = _run(policy(), [(Kind.ASSIGN, command().news, 0), (Kind.RAISE, (), 30)])

    for decision in decisions:
        explanation = explain(decision, policy(), NORMAL)
        assert sum(piece.points for piece in explanation.contributions) == sum(decision.points)
        assert explanation.findings
