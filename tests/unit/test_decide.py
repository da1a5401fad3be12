"""What a decision comes to, rule by rule, with the reference policy."""

import pytest

from service.domain import errors
from service.domain.account import NEVER, Growth, Movement, Status
from service.domain.decide import decide
from service.domain.decision import Kind, Outcome
from service.domain.facts import INDEX, NEVER_OBSERVED, NOTHING_KNOWN, Profile, merge
from service.domain.judge import judge
from service.domain.mode import NORMAL
from tests.builders import DAY_US, GOOD_FACTS, NOW, NOW_US, TODAY, account, command, news, policy, standing


def test_a_good_applicant_gets_a_multiple_of_income_as_first_limit() -> None:
    after, decision = decide(command(), account(0, status=Status.APPLICANT, version=0), policy(), NORMAL, NOW)

    assert decision.outcome is Outcome.APPROVED
    assert decision.new_limit_minor == 3 * GOOD_FACTS["monthly_income"]
    assert decision.reasons == ("LIMIT_ASSIGNED",)
    assert (after.limit_minor, after.status, after.version) == (decision.new_limit_minor, Status.ACTIVE, 1)


def test_a_knocked_out_applicant_stays_an_applicant_and_is_owed_a_notice() -> None:
    asked = command(news=news(**{**GOOD_FACTS, "dpd_now": 1}))
    after, decision = decide(asked, account(0, status=Status.APPLICANT, version=0), policy(), NORMAL, NOW)

    assert decision.outcome is Outcome.DECLINED
    assert decision.reasons == ("PAST_DUE_NOW",)
    assert decision.notice_day == TODAY + 30
    assert (after.limit_minor, after.status) == (0, Status.APPLICANT)


def test_a_raise_takes_the_step_of_the_band() -> None:
    verdict = judge(Kind.RAISE, standing(1_000_000), policy(), NOW)

    assert verdict.outcome is Outcome.APPROVED
    assert verdict.new_limit_minor == 1_020_000


@pytest.mark.parametrize(
    ("fact", "value", "reason"),
    [
        ("dpd_now", 1, "PAST_DUE_NOW"),
        ("on_time_streak_months", 2, "ON_TIME_STREAK_SHORT"),
        ("payment_ratio_bp", 499, "PAYS_LITTLE_OF_BILL"),
        ("enquiries_30d", 8, "MANY_ENQUIRIES"),
        ("misuse_flags", 1, "MISUSE_FOUND"),
        ("bureau_score", 449, "BUREAU_SCORE_LOW"),
    ],
)
def test_a_raise_is_refused_at_the_bound_of_a_rule_and_granted_beside_it(fact: str, value: int, reason: str) -> None:
    better = value + 1 if fact in ("on_time_streak_months", "payment_ratio_bp", "bureau_score") else value - 1

    refused = judge(Kind.RAISE, standing(**{fact: value}), policy(), NOW)
    granted = judge(Kind.RAISE, standing(**{fact: better}), policy(), NOW)

    assert (refused.outcome, refused.grounds[0].reason) == (Outcome.DECLINED, reason)
    assert granted.outcome is Outcome.APPROVED


def test_many_enquiries_short_of_a_knock_out_refer_a_first_limit_to_a_person() -> None:
    assert judge(Kind.ASSIGN, standing(0, enquiries_30d=10), policy(), NOW).outcome is Outcome.REFERRED


@pytest.mark.parametrize(
    ("growth", "reason"),
    [
        (Growth(0, 0, 0, TODAY, NEVER), "WAIT_AFTER_RAISE"),
        (Growth(0, 0, 0, NEVER, TODAY - 29), "WAIT_AFTER_CUT"),
        (Growth(0, 2_000_000, 0, TODAY - 1, NEVER), "CAP_PER_30_DAYS"),
    ],
)
def test_cool_downs_and_caps_hold_a_raise_back(growth: Growth, reason: str) -> None:
    verdict = judge(Kind.RAISE, standing()._replace(growth=growth), policy(), NOW)

    assert (verdict.outcome, verdict.grounds[0].reason) == (Outcome.DECLINED, reason)


def test_a_raise_is_cut_short_by_the_room_that_a_cap_leaves_and_says_so() -> None:
    growth = Growth(0, 1_990_000, 0, TODAY - 1, NEVER)

    verdict = judge(Kind.RAISE, standing()._replace(growth=growth), policy(), NOW)

    assert verdict.new_limit_minor == 1_010_000
    assert [ground.reason for ground in verdict.grounds] == ["LIMIT_RAISED", "CAP_PER_30_DAYS"]


def test_the_heaviest_trigger_cuts_and_all_that_fired_are_named() -> None:
    verdict = judge(Kind.REDUCE, standing(dpd_now=60), policy(), NOW)

    assert verdict.new_limit_minor == 500_000
    assert [ground.reason for ground in verdict.grounds] == ["PAST_DUE_60", "PAST_DUE_30"]
    assert verdict.notice_days == 3


def test_a_cut_stops_at_what_is_owed_and_at_the_floor() -> None:
    owing = judge(Kind.REDUCE, standing(1_000_000, 800_500, dpd_now=60), policy(), NOW)
    small = judge(Kind.REDUCE, standing(60_000, dpd_now=60), policy(), NOW)
    at_floor = judge(Kind.REDUCE, standing(50_000, dpd_now=60), policy(), NOW)

    assert owing.new_limit_minor == 801_000
    assert small.new_limit_minor == 50_000
    assert (at_floor.outcome, at_floor.grounds[0].reason) == (Outcome.UNCHANGED, "FLOOR_REACHED")


def test_a_second_cut_waits_for_the_cool_down() -> None:
    lately = standing(dpd_now=60)._replace(growth=Growth(0, 0, 0, NEVER, TODAY - 29))
    long_ago = standing(dpd_now=60)._replace(growth=Growth(0, 0, 0, NEVER, TODAY - 30))

    assert judge(Kind.REDUCE, lately, policy(), NOW).grounds[0].reason == "CUT_LATELY"
    assert judge(Kind.REDUCE, long_ago, policy(), NOW).outcome is Outcome.APPROVED


def test_a_review_picks_the_cut_else_the_raise_else_leaves_things_as_they_are() -> None:
    assert judge(Kind.REVIEW, standing(dpd_now=60), policy(), NOW).new_limit_minor < 1_000_000
    assert judge(Kind.REVIEW, standing(), policy(), NOW).new_limit_minor > 1_000_000
    refused = judge(Kind.REVIEW, standing(on_time_streak_months=0), policy(), NOW)
    assert (refused.outcome, refused.grounds[0].reason) == (Outcome.UNCHANGED, "ON_TIME_STREAK_SHORT")


def test_missing_facts_never_cut_and_do_as_the_policy_says_for_a_raise() -> None:
    nothing = standing()._replace(profile=Profile((None,) * 15, (NEVER_OBSERVED,) * 15))

    assert judge(Kind.REDUCE, nothing, policy(), NOW).outcome is Outcome.UNCHANGED
    assert judge(Kind.RAISE, nothing, policy(), NOW).outcome is Outcome.DECLINED
    assert judge(Kind.REVIEW, nothing, policy(), NOW).outcome is Outcome.UNCHANGED


def test_a_stale_bureau_score_is_referred_and_a_stale_delay_never_cuts() -> None:
    aged = standing(dpd_now=60)
    observed = list(aged.profile.observed_us)
    observed[INDEX["dpd_now"]] = NOW_US - 36 * DAY_US
    stale_delay = aged._replace(profile=aged.profile._replace(observed_us=tuple(observed)))
    good = standing()
    observed = list(good.profile.observed_us)
    observed[INDEX["bureau_score"]] = NOW_US - 91 * DAY_US
    stale_score = good._replace(profile=good.profile._replace(observed_us=tuple(observed)))

    assert judge(Kind.REDUCE, stale_delay, policy(), NOW).outcome is Outcome.UNCHANGED
    assert judge(Kind.RAISE, stale_score, policy(), NOW).outcome is Outcome.REFERRED


def test_a_score_too_low_is_explained_by_its_dearest_characteristics_never_by_itself() -> None:
    weak = standing(
        bureau_score=510, late_months_12m=4, dpd_max_12m=40, payment_ratio_bp=600, on_time_streak_months=3,
        employment_months=2, profile_completeness_bp=2_000,
    )  # fmt: skip

    verdict = judge(Kind.RAISE, weak, policy(), NOW)

    assert verdict.outcome is Outcome.DECLINED
    assert [ground.reason for ground in verdict.grounds][:3] == [
        "BUREAU_SCORE_LOW", "LATE_OFTEN_LAST_YEAR", "LATE_LAST_YEAR",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "asked", "error"),
    [
        (account(), command(Kind.ASSIGN), errors.AccountExists),
        (account(status=Status.APPLICANT), command(Kind.RAISE), errors.NoLimitAssigned),
        (account(status=Status.CLOSED), command(Kind.RAISE), errors.AccountClosed),
        (account(version=4), command(Kind.RAISE, expected_version=3), errors.VersionMismatch),
        (account(), command(Kind.RAISE, product="instalment"), errors.InvalidRequest),
        (account(), command(Kind.RAISE, news_currencies=((2, "EUR"),)), errors.InvalidRequest),
    ],
)
def test_what_the_state_of_an_account_rules_out_is_refused(before: object, asked: object, error: type) -> None:
    with pytest.raises(error):
        decide(asked, before, policy(), NORMAL, NOW)  # type: ignore[arg-type]  # parametrised.


def test_movements_that_no_day_to_be_run_can_ask_for_are_forgotten_but_the_last_raise() -> None:
    days = (TODAY - 90, TODAY - 80, TODAY - 61, TODAY - 60, TODAY - 30, TODAY - 29)
    old = account(movements=tuple(Movement(day, 500, 0) for day in days), last_raise_day=TODAY - 29)

    after, decision = decide(command(Kind.RAISE), old, policy(), NORMAL, NOW)

    assert decision.growth.raised_window_minor == 500
    assert [movement.day for movement in after.movements] == [*days[2:], TODAY]
    assert after.movements[-1] == Movement(TODAY, 20_000, 0)


def test_the_instalment_policy_decides_in_its_own_currency() -> None:
    verdict = judge(Kind.ASSIGN, standing(0, monthly_income=200_000), policy("instalment-2026-1"), NOW)

    assert verdict.new_limit_minor == 300_000


def test_a_raise_that_is_refused_for_want_of_a_fact_says_so_and_claims_nothing() -> None:
    nothing_of_payments = merge(NOTHING_KNOWN, news(**{k: v for k, v in GOOD_FACTS.items() if k != "dpd_now"}), NOW_US)

    verdict = judge(Kind.RAISE, standing()._replace(profile=nothing_of_payments), policy(), NOW)

    assert [ground.reason for ground in verdict.grounds] == ["PAYMENTS_UNKNOWN"]
