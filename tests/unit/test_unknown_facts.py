"""The reference policies tell of no value where none is known, and versions of before decide as published."""

import pytest

from service.domain.decision import Ask, Decided, Decision, Kind, Outcome, Standing
from service.domain.errors import InvalidRequest
from service.domain.explain import explain
from service.domain.facts import FACTS, INDEX, NEVER_OBSERVED, Profile
from service.domain.judge import judge
from service.domain.mode import NORMAL
from service.domain.policy import Policy
from service.engine.desks.policies import PolicyDesk, PolicyOrder
from service.engine.replay import difference_of
from service.policies import compiler
from service.storage.memory.store import MemoryStore
from tests.builders import (
    DAY_US,
    GOOD_FACTS,
    INSTALMENT,
    NOW,
    NOW_US,
    REFERENCE,
    Bench,
    StillClock,
    command,
    document,
    news,
    policy,
    read_policy,
    standing,
)

OF_BEFORE = {
    "reference-2026-1": "bbbe56cf63ac8088242697f8302a2aedddf894132b8ed78247c49505b5ebcb66",
    "instalment-2026-1": "686bf54a1c94fdff1430b4cce50458416afb8166568fc30353109816b676ec97",
}
"""Versions that stores of before were seeded with, and the content hashes that they recorded."""
KINDS = (Kind.ASSIGN, Kind.RAISE, Kind.REVIEW, Kind.TEMPORARY)


def _without(name: str, age_days: int | None, **facts: int) -> Standing:
    """Give a standing of which one fact is missing (None) or so many days old."""
    fact, known = INDEX[name], standing(**facts)
    values, observed = list(known.profile.values), list(known.profile.observed_us)
    if age_days is None:
        values[fact] = None
    observed[fact] = NEVER_OBSERVED if age_days is None else NOW_US - age_days * DAY_US
    asked = Ask(10_000, NOW_US + DAY_US, is_ordered=False)
    return known._replace(profile=Profile(tuple(values), tuple(observed)), asked=asked)


def _codes(kind: Kind, stands: Standing, rules: Policy) -> list[str]:
    if kind is Kind.ASSIGN:
        stands = stands._replace(limit_minor=0)
    return [ground.reason for ground in judge(kind, stands, rules, NOW).grounds]


def _codes_of_values(rules: Policy, version: str) -> set[str]:
    parsed = compiler.parse(document(version))
    rules_of = (*parsed.knock_outs, *parsed.raise_.eligibility, *parsed.reduce.triggers, *parsed.refer.rules)
    assert rules.version == version
    return {rule.reason for rule in rules_of} | {line.reason for line in parsed.scorecard}


@pytest.mark.parametrize("version", [REFERENCE, INSTALMENT])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("age_days", [None, 5_000], ids=["missing", "stale"])
@pytest.mark.parametrize("name", [fact.name for fact in FACTS])
def test_a_good_customer_of_whom_one_fact_is_not_known_is_told_of_no_value(
    version: str, kind: Kind, age_days: int | None, name: str
) -> None:
    rules = policy(version)

    told = _codes(kind, _without(name, age_days, age_years=30), rules)

    assert not set(told) & _codes_of_values(rules, version)
    for code in told:
        assert rules.texts[code].zh
        assert rules.texts[code].en


@pytest.mark.parametrize(
    ("name", "missing", "stale"),
    [
        ("dpd_now", "PAYMENTS_UNKNOWN", "PAYMENTS_OLD"),
        ("on_time_streak_months", "ON_TIME_STREAK_UNKNOWN", "ON_TIME_STREAK_OLD"),
        ("payment_ratio_bp", "PAYMENT_RATIO_UNKNOWN", "PAYMENT_RATIO_OLD"),
        ("enquiries_30d", "ENQUIRIES_UNKNOWN", "ENQUIRIES_OLD"),
        ("monthly_income", "INCOME_UNKNOWN", "INCOME_OLD"),
        ("bureau_score", "BUREAU_SCORE_UNKNOWN", "BUREAU_SCORE_OLD"),
        ("identity_level", "IDENTITY_UNKNOWN", "IDENTITY_OLD"),
    ],
)
def test_a_raise_that_rests_on_what_is_not_known_says_so(name: str, missing: str, stale: str) -> None:
    assert _codes(Kind.RAISE, _without(name, None), policy()) == [missing]
    assert _codes(Kind.RAISE, _without(name, 5_000), policy()) == [stale]


def test_a_fact_of_each_absence_is_told_of_beside_the_other_and_beside_a_value() -> None:
    stands = _without("enquiries_30d", 31, on_time_streak_months=2)
    values = list(stands.profile.values)
    values[INDEX["dpd_now"]] = None
    stands = stands._replace(profile=stands.profile._replace(values=tuple(values)))

    assert _codes(Kind.RAISE, stands, policy()) == ["PAYMENTS_UNKNOWN", "ON_TIME_STREAK_SHORT", "ENQUIRIES_OLD"]


def test_a_score_that_is_low_for_want_of_knowledge_says_what_is_wanting() -> None:
    nobody = standing(0)._replace(profile=_only(identity_level=2, bureau_score=460, monthly_income=1_200_000))

    refused = judge(Kind.ASSIGN, nobody, policy(), NOW)

    assert refused.outcome is Outcome.DECLINED
    told = [ground.reason for ground in refused.grounds if ground.fact != INDEX["bureau_score"]]
    assert told[:4] == [
        "LATE_MONTHS_UNKNOWN",
        "LATE_LAST_YEAR_UNKNOWN",
        "PAYMENT_RATIO_UNKNOWN",
        "ON_TIME_STREAK_UNKNOWN",
    ]


def _only(**facts: int) -> Profile:
    whole = standing(**facts).profile
    stated = {INDEX[name] for name in facts}
    return Profile(
        tuple(value if fact in stated else None for fact, value in enumerate(whole.values)),
        tuple(since if fact in stated else NEVER_OBSERVED for fact, since in enumerate(whole.observed_us)),
    )


@pytest.mark.parametrize(("age_days", "code"), [(None, "INCOME_UNKNOWN"), (366, "INCOME_OLD")])
@pytest.mark.parametrize("kind", [Kind.ASSIGN, Kind.RAISE])
def test_an_income_that_is_not_known_is_not_called_low(kind: Kind, age_days: int | None, code: str) -> None:
    scored = document().replace(
        "monthly_income: {max_age_days: 365, when_missing: decline, when_stale: refer",
        "monthly_income: {max_age_days: 365, when_missing: score, when_stale: score",
    )
    rules = compiler.compile_text(scored).policy

    assert _codes(kind, _without("monthly_income", age_days), rules) == [code]


def test_an_income_that_is_not_known_comes_first_where_the_band_asks_for_more_of_it() -> None:
    asking = document().replace("max_age_days: 365, when_missing: decline", "max_age_days: 365, when_missing: score")
    for row in ("[15000, 20000, 30000]", "[10000, 15000, 20000]", "[5000, 7500, 10000]"):
        asking = asking.replace(row, f"[0, {row.partition(', ')[2]}")
    rules = compiler.compile_text(asking).policy

    codes = _codes(Kind.ASSIGN, _without("monthly_income", None, bureau_score=500), rules)

    assert codes[:2] == ["INCOME_UNKNOWN", "BUREAU_SCORE_LOW"]


@pytest.mark.parametrize("version", OF_BEFORE)
def test_a_version_of_before_compiles_with_the_hash_it_was_recorded_with_though_it_is_refused_anew(
    version: str,
) -> None:
    assert compiler.compile_stored(document(version)).content_hash == OF_BEFORE[version]
    with pytest.raises(InvalidRequest) as caught:
        compiler.compile_text(document(version))
    assert "document.facts.late_months_12m.reason" in {one.field for one in caught.value.violations}


@pytest.mark.parametrize("version", [REFERENCE, INSTALMENT, *OF_BEFORE])
def test_what_is_asked_of_new_versions_is_asked_of_no_stored_one(version: str) -> None:
    stored = compiler.compile_stored(document(version))

    assert stored.policy.version == version


@pytest.mark.parametrize(
    ("kind", "name", "codes"),
    [
        (Kind.RAISE, "enquiries_30d", ["MANY_ENQUIRIES"]),
        (Kind.RAISE, "on_time_streak_months", ["ON_TIME_STREAK_SHORT"]),
        (Kind.RAISE, "monthly_income", ["INCOME_UNPROVEN"]),
        (Kind.RAISE, "identity_level", ["IDENTITY_UNPROVEN"]),
        (Kind.ASSIGN, "monthly_income", ["INCOME_UNPROVEN"]),
    ],
)
def test_a_version_of_before_says_what_it_said(kind: Kind, name: str, codes: list[str]) -> None:
    before = policy("reference-2026-1")

    assert _codes(kind, _without(name, None), before) == codes


def test_a_scorecard_of_before_says_what_it_said() -> None:
    nobody = standing(0)._replace(profile=_only(identity_level=2, bureau_score=460, monthly_income=1_200_000))

    assert _codes(Kind.ASSIGN, nobody, policy("reference-2026-1"))[:4] == [
        "BUREAU_SCORE_LOW", "LATE_OFTEN_LAST_YEAR", "LATE_LAST_YEAR", "PAYS_LITTLE_OF_BILL",
    ]  # fmt: skip


def _order(action: str, version: str) -> PolicyOrder:
    return PolicyOrder(
        action, f"tests/{action}-{version}", version.encode(), "tests", version=version, document=document(version)
    )


def _read_stored(document: str, *, is_new: bool = False) -> tuple[Policy, str]:
    """Compile a document as if nothing more were asked of new ones."""
    del is_new
    return read_policy(document)


def _store_of_before() -> MemoryStore:
    """Give a store that was seeded before an absence had reasons of its own."""
    bench = Bench(MemoryStore(StillClock().now_us))
    lenient = PolicyDesk(bench.store, bench.control, _read_stored)
    for version in OF_BEFORE:
        for action in ("publish", "promote"):
            lenient.change(_order(action, version))
    store = bench.store
    assert isinstance(store, MemoryStore)
    return store


def _decision(bench: Bench, kind: Kind, request_id: str, **facts: int) -> Decision:
    (answer,) = bench.execute(command(kind, request_id=request_id, news=news(**facts)))
    assert isinstance(answer, Decided)
    return answer.decision


def test_a_store_of_before_decides_explains_and_replays_as_published() -> None:
    bench = Bench(store := _store_of_before())
    _decision(bench, Kind.ASSIGN, "r-1", identity_level=2, bureau_score=780, monthly_income=1_200_000,
              late_months_12m=0, dpd_max_12m=0, payment_ratio_bp=9_000)  # fmt: skip

    refused = _decision(bench, Kind.RAISE, "r-2", on_time_streak_months=2)
    explanation = explain(refused, bench.desk.policy(refused.policy_version), NORMAL)

    assert refused.policy_version == "reference-2026-1"
    assert refused.reasons == ("PAYMENTS_UNKNOWN", "ON_TIME_STREAK_SHORT", "MANY_ENQUIRIES")
    assert [finding.reason for finding in explanation.findings] == list(refused.reasons)
    assert difference_of(refused, store, bench.control) == ""


def test_what_was_published_before_is_the_same_content_still_and_is_refused_where_it_is_not_there() -> None:
    before = Bench(_store_of_before())
    new = Bench(MemoryStore(StillClock().now_us))
    again = _order("publish", "reference-2026-1")._replace(key="tests/again")

    answered = before.policies.change(again)

    assert (answered.record.version, answered.replayed) == ("reference-2026-1", True)
    with pytest.raises(InvalidRequest):
        new.policies.change(again)
    with pytest.raises(InvalidRequest):
        before.policies.change(
            again._replace(key="tests/other", document=again.document.replace("share_bp: 200", "share_bp: 100"))
        )


def test_facts_that_a_playbook_sets_aside_are_not_called_unknown_and_those_that_are_unknown_are() -> None:
    bench = Bench(store := MemoryStore(StillClock().now_us))
    _decision(bench, Kind.ASSIGN, "r-1", **{**GOOD_FACTS, "bureau_score": 780})
    bench.order("activate", "k", playbook="static_scorecard")

    known = _decision(bench, Kind.RAISE, "r-2")
    (other,) = bench.execute(
        command(
            account_id="a-2", request_id="r-3", news=news(identity_level=2, bureau_score=460, monthly_income=900_000)
        )
    )

    assert known.reasons == ("BEHAVIOUR_DATA_SET_ASIDE",)
    assert isinstance(other, Decided)
    assert "LATE_MONTHS_UNKNOWN" in other.decision.reasons
    assert "BEHAVIOUR_DATA_SET_ASIDE" not in other.decision.reasons
    assert difference_of(known, store, bench.control) == ""


@pytest.mark.parametrize(
    ("limit", "enquiries", "limit_then"),
    [(1_000_000, 14, 1_000_000), (1_000_000, 15, 900_000), (1_000_000, 40, 900_000), (52_000, 15, 50_000)],
    ids=["not yet", "at the bound", "beyond", "down to the floor"],
)
@pytest.mark.parametrize("kind", [Kind.REDUCE, Kind.REVIEW])
def test_frequent_applications_cut_the_limit_with_their_reason_a_notice_and_a_floor(
    kind: Kind, limit: int, enquiries: int, limit_then: int
) -> None:
    verdict = judge(kind, standing(limit, enquiries_30d=enquiries), policy(), NOW)

    assert verdict.new_limit_minor == limit_then
    if limit_then < limit:
        assert [ground.reason for ground in verdict.grounds] == ["FREQUENT_APPLICATIONS"]
        assert verdict.notice_days == 15
    assert policy().texts["FREQUENT_APPLICATIONS"].advice_en


def test_frequent_applications_never_cut_below_what_is_owed_nor_when_they_are_not_known() -> None:
    owing = judge(Kind.REDUCE, standing(1_000_000, 950_000, enquiries_30d=20), policy(), NOW)
    unknown = judge(Kind.REDUCE, _without("enquiries_30d", None), policy(), NOW)
    old = judge(Kind.REDUCE, _without("enquiries_30d", 31, enquiries_30d=20), policy(), NOW)

    assert owing.new_limit_minor == 950_000
    assert {verdict.outcome for verdict in (unknown, old)} == {Outcome.UNCHANGED}
