"""The laws of DESIGN 5, over random policies, standings and sequences of decisions."""

from contextlib import suppress

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from service.domain.account import NO_GROWTH, Account, Status, opened
from service.domain.book import Book, key_of
from service.domain.decide import decide, principal_reasons
from service.domain.decision import (
    Ask,
    Decision,
    Kind,
    Moment,
    Outcome,
    Standing,
    Verdict,
    limit_after_minor,
    recorded_standing,
)
from service.domain.errors import HoldlineError
from service.domain.facts import FACTS, INDEX, NOTHING_KNOWN, Better, merge
from service.domain.judge import judge
from service.domain.mode import NORMAL
from service.domain.money import share
from service.domain.policy import REASONS_MAX, Policy
from tests.builders import DAY_US, NOW, NOW_US, TODAY, command, policy
from tests.proof.strategies import (
    AllReached,
    best_news,
    examples,
    news,
    policies,
    standings,
    that_only_growth_caps_hold,
)

LAWS = examples(150)
KINDS = st.sampled_from((Kind.ASSIGN, Kind.RAISE, Kind.REDUCE, Kind.REVIEW))


def _fitting(standing: Standing, kind: Kind) -> Standing:
    """Give a standing that an account can have when this is asked: an applicant has no limit and owes nothing."""
    return standing._replace(limit_minor=0, exposure_minor=0) if kind is Kind.ASSIGN else standing


@given(policies(), standings(), KINDS)
def test_a_raise_never_lowers_a_cut_never_raises_and_only_approval_moves(
    rules: Policy, standing: Standing, kind: Kind
) -> None:
    standing = _fitting(standing, kind)
    verdict = judge(kind, standing, rules, NOW)

    if kind in (Kind.ASSIGN, Kind.RAISE):
        assert verdict.new_limit_minor >= standing.limit_minor
    if kind is Kind.REDUCE:
        assert verdict.new_limit_minor <= standing.limit_minor
    if verdict.outcome is not Outcome.APPROVED:
        assert verdict.new_limit_minor == standing.limit_minor
    elif kind is not Kind.ASSIGN:
        assert verdict.new_limit_minor != standing.limit_minor


def _reached(kind: Kind, verdict: Verdict) -> str:
    """Name what a verdict is an example of."""
    if kind is Kind.RAISE and verdict.outcome is Outcome.APPROVED:
        return "raise cut short by a cap" if len(verdict.grounds) > 1 else "raise approved"
    return f"{kind.name.lower()} {verdict.outcome.name.lower()}"


def test_the_drawn_world_reaches_what_the_laws_are_about() -> None:
    wanted = {"raise referred", "raise cut short by a cap", "assign approved", "reduce approved"}
    reached: set[str] = set()

    @settings(max_examples=100, phases=[Phase.generate], derandomize=True, database=None, report_multiple_bugs=False)
    @given(policies(), st.lists(standings(), min_size=5, max_size=5), st.integers(10_000, 1_000_000))
    def draw(rules: Policy, drawn: list[Standing], limit: int) -> None:
        # A policy takes far longer to draw than a standing; one is of a customer whom only caps can hold.
        best = Standing(limit, 0, merge(NOTHING_KNOWN, best_news(), NOW_US), NO_GROWTH)
        reached.update(
            _reached(kind, judge(kind, _fitting(standing, kind), rules, NOW))
            for kind in (Kind.ASSIGN, Kind.RAISE, Kind.REDUCE)
            for standing in (*drawn, best)
        )
        if reached >= wanted:
            raise AllReached

    with suppress(AllReached):
        draw()

    assert reached >= wanted


@LAWS
@given(policies(), standings(), st.sampled_from((Kind.REDUCE, Kind.REDUCE, Kind.REVIEW)))
def test_a_limit_is_never_below_zero_nor_cut_below_exposure_or_floor(
    rules: Policy, standing: Standing, kind: Kind
) -> None:
    standing = _fitting(standing, kind)
    verdict = judge(kind, standing, rules, NOW)

    assert verdict.new_limit_minor >= 0
    if verdict.new_limit_minor < standing.limit_minor:
        assert verdict.new_limit_minor >= max(standing.exposure_minor, rules.reduces.floor_minor)


@given(policies(), standings(), KINDS)
def test_every_outcome_has_one_to_four_reasons_with_texts_and_the_score_is_the_sum(
    rules: Policy, standing: Standing, kind: Kind
) -> None:
    standing = _fitting(standing, kind)
    verdict = judge(kind, standing, rules, NOW)
    reasons = principal_reasons(verdict.grounds)

    assert 1 <= len(reasons) <= REASONS_MAX
    assert len(set(reasons)) == len(reasons)
    assert all(rules.texts[reason].zh and rules.texts[reason].en for reason in reasons)
    if verdict.points:
        assert len(verdict.points) == len(rules.scorecard)


@given(policies(), standings(), st.sampled_from((Kind.ASSIGN, Kind.RAISE, Kind.REDUCE, Kind.REVIEW)), st.data())
def test_a_better_value_of_a_directed_fact_never_gives_a_lower_limit(
    rules: Policy, standing: Standing, kind: Kind, data: st.DataObject
) -> None:
    directed = [fact for fact in FACTS if fact.better is not Better.NEITHER]
    fact = data.draw(st.sampled_from(directed))
    index = INDEX[fact.name]
    values = sorted(data.draw(st.tuples(*[st.integers(fact.lowest, min(fact.highest, 3_000_000))] * 2)))
    worse, better = values if fact.better is Better.HIGHER else reversed(values)

    standing = _fitting(standing, kind)
    limits = [
        judge(kind, standing._replace(profile=merge(standing.profile, ((index, value),), NOW_US)), rules, NOW)
        for value in (worse, better)
    ]

    assert limits[0].new_limit_minor <= limits[1].new_limit_minor


GOOD_NEWS = st.just(best_news())
STEPS = st.lists(
    st.tuples(
        st.sampled_from((Kind.RAISE, Kind.RAISE, Kind.REVIEW, Kind.REDUCE, Kind.ASSIGN)),
        GOOD_NEWS | GOOD_NEWS | news(),
        st.integers(0, 40),
    ),
    min_size=4,
    max_size=25,
).map(lambda steps: [(Kind.ASSIGN, best_news(), 0), *steps])


def _run(rules: Policy, steps: list[tuple[Kind, tuple[tuple[int, int], ...], int]]) -> tuple[Account, list[Decision]]:
    """Decide a sequence, hours apart, and give the account and its decisions."""
    book = Book({"a-1": opened("a-1", rules.product, rules.currency)}, {}, {}, {}, 0)
    hours = 0
    for number, (kind, facts, pause) in enumerate(steps):
        hours += pause
        moment = Moment(NOW_US + hours * 3_600_000_000, TODAY + hours // 24)
        asked = command(kind, request_id=str(number), news=facts, product="")
        try:
            number_of = book.next_number(moment.now_us)
            after, decision = decide(asked, book.accounts["a-1"], rules, NORMAL, moment, number_of)
        except HoldlineError:
            continue
        book.enter(key_of("tests", str(number)), after, decision)
    return book.accounts["a-1"], [decision for _, decision in book.decisions]


@LAWS
@given(policies(), STEPS)
def test_growth_caps_hold_over_any_sequence(
    rules: Policy, steps: list[tuple[Kind, tuple[tuple[int, int], ...], int]]
) -> None:
    _, decisions = _run(rules, steps)
    raises = [
        (made.business_day, made.new_limit_minor - made.old_limit_minor)
        for made in decisions
        if made.kind is not Kind.ASSIGN and made.new_limit_minor > made.old_limit_minor
    ]

    for day, amount in raises:
        assert amount <= rules.caps.per_decision.bound
        assert sum(other for when, other in raises if when == day) <= rules.caps.per_day.bound
        window = sum(other for when, other in raises if day - 30 < when <= day)
        assert window <= rules.caps.per_window.bound
    for made in decisions:
        if made.new_limit_minor > made.old_limit_minor:
            assert made.new_limit_minor <= rules.caps.absolute.bound
            assert made.new_limit_minor <= rules.caps.automatic.bound


@given(policies(), STEPS)
def test_a_sequence_leaves_the_account_at_its_last_decision_and_each_replays_bit_by_bit(
    rules: Policy, steps: list[tuple[Kind, tuple[tuple[int, int], ...], int]]
) -> None:
    account, decisions = _run(rules, steps)

    assert account.held_minor + account.outstanding_minor == 0
    assert account.version == len(decisions)
    for before, made in zip(decisions, decisions[1:], strict=False):
        assert (made.previous, made.old_limit_minor) == (before.number, before.new_limit_minor)
    if decisions:
        assert account.limit_minor == decisions[-1].new_limit_minor
        assert (account.status is Status.ACTIVE) == any(made.outcome is Outcome.APPROVED for made in decisions)
    for made in decisions:
        again = judge(made.kind, recorded_standing(made), rules, Moment(made.decided_us, made.business_day))
        assert (again.outcome, again.new_limit_minor, again.points, principal_reasons(again.grounds)) == (
            made.outcome, made.new_limit_minor, made.points, made.reasons,
        )  # fmt: skip


HOUR_US = 3_600_000_000
ASKED = st.integers(1, 3_000) | st.integers(1, 12_000_000)
WAYS = st.tuples(
    st.sampled_from((Kind.RAISE, Kind.RAISE, Kind.REVIEW, Kind.REDUCE, Kind.TEMPORARY, Kind.TEMPORARY, Kind.APPEAL)),
    GOOD_NEWS | GOOD_NEWS | GOOD_NEWS | news(),
    st.integers(0, 60) | st.integers(-30 * 24, 60 * 24),
    ASKED,
    st.integers(1, 40),
    st.booleans(),
)
"""A kind, news, a pause in hours (a clock may be set back), and for what asks: amount, days, whether a person orders."""


def _granted(
    rules: Policy, ways: list[tuple[Kind, tuple[tuple[int, int], ...], int, int, int, bool]]
) -> list[Decision]:
    """Decide a sequence of all kinds on one account, from its first limit on."""
    account = opened("a-1", rules.product, rules.currency)
    hours = 0
    made: list[Decision] = []
    for number, (kind, facts, pause, amount, days, is_ordered) in enumerate(
        [(Kind.ASSIGN, best_news(), 0, 0, 0, False), *ways]
    ):
        hours += pause
        moment = Moment(NOW_US + hours * HOUR_US, TODAY + hours // 24)
        asked = None
        if kind is Kind.TEMPORARY:
            asked = Ask(amount, moment.now_us + days * DAY_US, is_ordered)
        if kind is Kind.APPEAL:
            asked = Ask(account.limit_minor + amount, 0, is_ordered)
        said = command(kind, request_id=str(number), news=facts, product="", asked=asked)
        try:
            account, decision = decide(said, account, rules, NORMAL, moment, number + 1)
        except HoldlineError:
            continue
        made.append(decision)
    return made


@LAWS
@given(policies() | policies().map(that_only_growth_caps_hold), st.lists(WAYS, min_size=6, max_size=30))
def test_growth_caps_hold_over_any_sequence_of_all_kinds_and_count_everything_that_may_be_owed(
    rules: Policy, ways: list[tuple[Kind, tuple[tuple[int, int], ...], int, int, int, bool]]
) -> None:
    caps, grown = rules.caps, list[tuple[int, int]]()
    was_active = False
    for made in _granted(rules, ways):
        before_minor = made.old_limit_minor + made.growth.temporary_minor
        more = made.new_limit_minor - made.old_limit_minor
        is_person = made.asked is not None and made.asked.is_ordered
        if made.outcome is Outcome.APPROVED and limit_after_minor(made) > before_minor:
            assert limit_after_minor(made) <= caps.absolute.bound
            if not is_person:
                assert limit_after_minor(made) <= caps.automatic.bound
            if not is_person and made.kind is not Kind.ASSIGN:
                assert limit_after_minor(made) <= share(_income(made, rules), caps.debt_to_income_bp.bound)
        if made.kind is Kind.TEMPORARY and more and not is_person and rules.temporary is not None:
            assert more <= min(rules.temporary.maximum_minor, share(made.old_limit_minor, rules.temporary.share_bp))
        if was_active and made.kind is not Kind.TEMPORARY and more > 0:
            grown.append((made.business_day, more))
            day = made.business_day
            if made.kind is not Kind.APPEAL:
                assert sum(amount for when, amount in grown if when == day) <= caps.per_day.bound
                assert sum(amount for when, amount in grown if when > day - 30) <= caps.per_window.bound
                assert more <= min(caps.per_decision.bound, share(made.old_limit_minor, caps.per_decision_bp.bound))
        was_active = made.status is Status.ACTIVE


def _income(made: Decision, rules: Policy) -> int:
    """Give the income that a decision could use, in minor units; 0 where it was missing or stale."""
    values, _ = rules.usable(made.profile.values, made.profile.observed_us, made.decided_us)
    return values[INDEX["monthly_income"]] or 0


def test_the_reference_policy_rewards_patience_up_to_the_window_cap() -> None:
    steps: list[tuple[Kind, tuple[tuple[int, int], ...], int]] = [(Kind.ASSIGN, command().news, 0)]
    steps += [(Kind.RAISE, command().news, 24)] * 60

    account, decisions = _run(policy(), steps)

    assert sum(made.outcome is Outcome.APPROVED for made in decisions) > 20
    assert account.limit_minor <= 8 * 1_200_000
