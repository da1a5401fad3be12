"""What a decision comes to, rule by rule, with the reference policy."""

from dataclasses import replace

import pytest

from service.domain import errors
from service.domain.account import NEVER, Growth, Movement, Status, Temporary, limit_in_force
from service.domain.decide import decide
from service.domain.decision import Ask, Kind, Outcome, Verdict
from service.domain.facts import INDEX, NEVER_OBSERVED, NOTHING_KNOWN, Profile, merge
from service.domain.judge import judge
from service.domain.mode import NORMAL
from service.domain.policy import Step
from tests.builders import DAY_US, GOOD_FACTS, NOW, NOW_US, TODAY, account, command, document, news, policy, standing


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
        "BUREAU_SCORE_LOW", "LATE_MONTHS", "PAST_DUE_LAST_YEAR",
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


def test_a_raise_that_counts_for_a_past_day_keeps_within_the_window_that_ends_there() -> None:
    spent = account(movements=(Movement(TODAY - 45, 2_000_000, 0),), last_raise_day=TODAY - 45)
    today, _ = decide(command(Kind.RAISE, request_id="today"), spent, policy(), NORMAL, NOW)
    past = TODAY - 31
    then = command(Kind.RAISE, request_id="then", business_day=past)

    _, decision = decide(then, today, policy(), NORMAL, NOW._replace(business_day=past, today=TODAY))

    assert decision.reasons == ("CAP_PER_30_DAYS",)


def test_the_instalment_policy_decides_in_its_own_currency() -> None:
    verdict = judge(Kind.ASSIGN, standing(0, monthly_income=200_000), policy("instalment-2026-2"), NOW)

    assert verdict.new_limit_minor == 300_000


def test_a_raise_that_is_refused_for_want_of_a_fact_says_so_and_claims_nothing() -> None:
    nothing_of_payments = merge(NOTHING_KNOWN, news(**{k: v for k, v in GOOD_FACTS.items() if k != "dpd_now"}), NOW_US)

    verdict = judge(Kind.RAISE, standing()._replace(profile=nothing_of_payments), policy(), NOW)

    assert [ground.reason for ground in verdict.grounds] == ["PAYMENTS_UNKNOWN"]


def _reasons(verdict: Verdict) -> list[str]:
    return [ground.reason for ground in verdict.grounds]


def _for_a_while(
    extra_minor: int, *, is_ordered: bool, limit_minor: int = 1_000_000, days: int = 1, **facts: int
) -> Verdict:
    asked = Ask(extra_minor, NOW_US + days * DAY_US, is_ordered)
    return judge(Kind.TEMPORARY, standing(limit_minor, **facts)._replace(asked=asked), policy(), NOW)


def test_caps_on_what_may_be_owed_count_the_temporary_raise_in_force() -> None:
    where = standing(1_000_000)
    full = where._replace(growth=where.growth._replace(temporary_minor=49_000_000))
    nearly = where._replace(growth=where.growth._replace(temporary_minor=8_595_000))

    assert _reasons(judge(Kind.RAISE, full, policy(), NOW))[-1] == "CAP_ABSOLUTE"
    raised = judge(Kind.RAISE, nearly, policy(), NOW)
    assert (raised.new_limit_minor, _reasons(raised)) == (1_005_000, ["LIMIT_RAISED", "CAP_DEBT_TO_INCOME"])


@pytest.mark.parametrize("is_ordered", [False, True])
def test_an_amount_below_the_rounding_unit_is_told_so_and_not_of_a_bound_far_away(is_ordered: bool) -> None:
    assert _reasons(_for_a_while(999, is_ordered=is_ordered)) == ["AMOUNT_TOO_SMALL"]
    assert _for_a_while(1_000, is_ordered=is_ordered).new_limit_minor == 1_001_000


def test_a_step_below_the_rounding_unit_is_told_so() -> None:
    rules = policy()
    small = replace(rules, bands=tuple(band._replace(step=band.step and Step(0, 900, 900)) for band in rules.bands))

    assert _reasons(judge(Kind.RAISE, standing(), small, NOW)) == ["STEP_TOO_SMALL"]


def test_all_bounds_that_hold_as_tightly_are_named_and_one_that_rounding_makes_idle_is_not() -> None:
    tight = standing()._replace(growth=Growth(190_000, 1_990_000, 0, NEVER, NEVER))
    idle = standing(8_020_000)._replace(growth=Growth(0, 1_839_800, 0, NEVER, NEVER))

    assert _reasons(judge(Kind.RAISE, tight, policy(), NOW)) == ["LIMIT_RAISED", "CAP_PER_DAY", "CAP_PER_30_DAYS"]
    assert _reasons(judge(Kind.RAISE, idle, policy(), NOW)) == ["LIMIT_RAISED"]


def test_a_wait_is_told_with_the_cap_that_would_hold_the_raise_after_it() -> None:
    waits = Growth(0, 2_000_000, 0, TODAY, NEVER)

    assert _reasons(judge(Kind.RAISE, standing()._replace(growth=waits), policy(), NOW)) == [
        "WAIT_AFTER_RAISE", "CAP_PER_30_DAYS",
    ]  # fmt: skip


def test_what_holds_a_cut_is_the_floor_what_is_owed_the_day_or_the_step_each_by_its_own_reason() -> None:
    rules, late = policy(), {"late_months_12m": 5}
    cut_today = standing(1_000_000, dpd_now=60)._replace(growth=Growth(0, 0, 1_000_000, NEVER, TODAY))

    assert _reasons(judge(Kind.REDUCE, standing(50_000, dpd_now=60), rules, NOW)) == ["FLOOR_REACHED"]
    assert _reasons(judge(Kind.REDUCE, standing(80_000, 80_000, dpd_now=60), rules, NOW)) == ["EXPOSURE_REACHED"]
    assert _reasons(judge(Kind.REDUCE, standing(50_000, 50_000, dpd_now=60), rules, NOW)) == [
        "FLOOR_REACHED", "EXPOSURE_REACHED",
    ]  # fmt: skip
    assert _reasons(judge(Kind.REDUCE, cut_today, rules, NOW)) == ["CUT_ENOUGH_TODAY"]
    fine = replace(rules, reduces=replace(rules.reduces, floor_minor=0))
    assert _reasons(judge(Kind.REDUCE, standing(6_000, **late), fine, NOW)) == ["CUT_TOO_SMALL"]


def test_a_temporary_raise_by_rule_keeps_within_every_cap_and_one_by_order_within_the_greatest_limit() -> None:
    rich = {"monthly_income": 100_000_000}

    assert _for_a_while(900_000, is_ordered=False, limit_minor=9_000_000).new_limit_minor == 9_600_000
    by_rule = _for_a_while(900_000, is_ordered=False, limit_minor=29_900_000, **rich)
    by_order = _for_a_while(900_000_000, is_ordered=True, limit_minor=29_900_000)
    assert (by_rule.new_limit_minor, _reasons(by_rule)) == (30_000_000, ["TEMPORARY_GRANTED", "CAP_AUTOMATIC"])
    assert (by_order.new_limit_minor, _reasons(by_order)) == (50_000_000, ["TEMPORARY_ORDERED", "CAP_ABSOLUTE"])


def test_an_appeal_is_growth_and_leaves_no_more_owed_than_the_greatest_limit() -> None:
    known = account(temporary=Temporary(40_000_000, NOW_US + DAY_US))
    won = command(Kind.APPEAL, asked=Ask(20_000_000, 0, is_ordered=True))

    after, decision = decide(won, known, policy(), NORMAL, NOW, 1)
    again, later = decide(command(Kind.RAISE, request_id="r-2"), after, policy(), NORMAL, NOW, 2)

    assert decision.reasons == ("APPEAL_OVERTURNED", "CAP_ABSOLUTE")
    assert limit_in_force(after) == 50_000_000
    assert again.limit_minor == after.limit_minor == 10_000_000
    assert later.growth.raised_window_minor == 9_000_000
    assert later.reasons[0] == "WAIT_AFTER_RAISE"
    assert "CAP_PER_DAY" in later.reasons


def test_a_first_limit_that_an_appeal_gives_is_no_growth() -> None:
    applicant = account()._replace(limit_minor=0, status=Status.APPLICANT)
    won = command(Kind.APPEAL, asked=Ask(3_600_000, 0, is_ordered=True))

    after, _ = decide(won, applicant, policy(), NORMAL, NOW, 1)

    assert (after.limit_minor, after.movements, after.last_raise_day) == (3_600_000, (), NEVER)


def test_what_corrected_facts_settle_keeps_within_the_caps_of_a_machine() -> None:
    where = standing(3_600_000, monthly_income=600_000)._replace(asked=Ask(7_200_000, 0, is_ordered=False))
    first = standing(0, monthly_income=9_000_000)._replace(asked=Ask(36_000_000, 0, is_ordered=False))

    assert judge(Kind.APPEAL, where, policy(), NOW).new_limit_minor == 4_800_000
    given = judge(Kind.APPEAL, first, policy(), NOW)
    assert (given.new_limit_minor, _reasons(given)) == (20_000_000, ["APPEAL_OVERTURNED", "GREATEST_FIRST_LIMIT"])


@pytest.mark.parametrize("reason", ["STEP_TOO_SMALL", "AMOUNT_TOO_SMALL", "CUT_TOO_SMALL", "EXPOSURE_REACHED"])
def test_reasons_that_stored_policies_have_no_text_for_are_told_all_the_same(reason: str) -> None:
    assert reason not in document()
    assert policy().texts[reason].zh
    assert policy().texts[reason].en
