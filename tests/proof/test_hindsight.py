"""Appeals with corrected facts beside a twin world in which the facts were right at once.

Goal: correcting facts gives what deciding rightly would have given by now, and never more. Method: the same calls on two
stores, in one with a wrong fact whose refusals and cuts are appealed at random moments, in the other without it.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.case import CaseState, Resolution, VoiceKind
from service.domain.decision import Ask, Decided, Decision, Kind, Outcome
from service.domain.errors import HoldlineError
from service.engine.desks.feedback import FeedbackDesk, Said, Word
from service.engine.desks.feedback_reads import CaseAnswer
from service.engine.desks.policies import PolicyOrder
from service.storage.memory.store import MemoryStore
from tests.builders import DAY_US, GOOD_FACTS, Bench, command, document, news
from tests.proof.strategies import examples

WRONG = {
    "refused": {"dpd_now": 5},
    "cut": {"dpd_now": 61},
    "knocked out": {"misuse_flags": 1},
    "asked": {"enquiries_30d": 12},
}
RIGHT = {"dpd_now": 0, "misuse_flags": 0, "enquiries_30d": 1}


class World:
    """One account on a store of its own."""

    def __init__(self, *policy_changes: tuple[str, str], room_minor: int = 10**12) -> None:
        self.bench = Bench(MemoryStore(lambda: 0))
        self.desk = FeedbackDesk(
            self.bench.store, self.bench.control, self.bench.clock, self.bench.brake, DAY_US, {"CNY": room_minor}
        )
        if policy_changes:
            self.promote(*policy_changes)
        self.calls = 0
        self.adverse: list[Decision] = []

    def promote(self, *policy_changes: tuple[str, str]) -> None:
        """Put a policy in force that differs from the reference."""
        text = document().replace("policy: reference", "policy: changed")
        for old, new in policy_changes:
            assert old in text
            text = text.replace(old, new)
        version = text.partition("policy: ")[2].partition("\n")[0]
        for action in ("publish", "promote"):
            self.bench.policies.change(PolicyOrder(action, f"tests/{action}", b"", "tests", version, document=text))

    def decide(self, kind: Kind, **facts: int) -> Decision | HoldlineError:
        self.calls += 1
        given = {**GOOD_FACTS, **facts} if kind is Kind.ASSIGN else facts
        (made,) = self.bench.execute(command(kind, request_id=f"r-{self.calls}", news=news(**given)))
        if isinstance(made, HoldlineError):
            return made
        assert isinstance(made, Decided)
        decision = made.decision
        is_cut = decision.new_limit_minor < decision.old_limit_minor
        if is_cut or decision.outcome in (Outcome.DECLINED, Outcome.REFERRED):
            self.adverse.append(decision)
        return decision

    def appeal(self, decision: Decision, **facts: int) -> CaseAnswer:
        return self.desk.appeal(self.said(decision, **facts))

    @staticmethod
    def said(decision: Decision, **facts: int) -> Said:
        key = f"care/appeal-{decision.number}"
        return Said(VoiceKind.APPEAL, key, b"", "care", "a-1", decision.number, "wrong", news=news(**facts))

    def next_day(self, days: int) -> None:
        self.bench.clock.time_us += days * DAY_US

    @property
    def limit(self) -> int:
        account = self.bench.store.account("a-1")
        return account.limit_minor if account is not None else 0

    @property
    def course(self) -> tuple[object, ...]:
        account = self.bench.store.account("a-1")
        assert account is not None
        return account.last_raise_day, account.last_cut_day, account.movements


TIGHT: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("wait_after_raise_days: 1", "wait_after_raise_days: 3"),),
    (("per_30_days_minor: 2000000", "per_30_days_minor: 70000"),),
)
"""Changes of the reference policy: none, longer waits, a cap that the second raise meets."""
KINDS = st.sampled_from((Kind.RAISE, Kind.RAISE, Kind.REVIEW, Kind.REDUCE))
STEPS = st.lists(st.one_of(st.tuples(st.just("decide"), KINDS), st.tuples(st.just("days"), st.integers(1, 12)), st.just(("appeal", None))), max_size=25)  # fmt: skip


def _is_for_age(decision: Decision) -> bool:
    """Claim that a fact was too old: then the twin is refused as well, and fresh facts are news to both."""
    return any(reason.endswith("_OLD") for reason in decision.reasons)


@given(st.sampled_from(sorted(WRONG)), STEPS, st.data())
@examples(60)
def test_whenever_one_wrong_fact_is_appealed_nobody_has_more_than_in_the_twin(
    name: str, steps: list[tuple[str, object]], data: st.DataObject
) -> None:
    rules = data.draw(st.sampled_from(TIGHT))
    wrong, twin = World(*rules), World(*rules)
    right = {fact: RIGHT[fact] for fact in WRONG[name]}
    if data.draw(st.booleans()):
        wrong.decide(Kind.ASSIGN, **WRONG[name])
        twin.decide(Kind.ASSIGN)
    else:
        for world in (wrong, twin):
            world.decide(Kind.ASSIGN)
            # The wrong observation is stated once, with a review in the twin that finds the right one.
        wrong.decide(Kind.REVIEW, **WRONG[name])
        twin.decide(Kind.REVIEW, **right)

    for step, said in [*steps, ("appeal", None)]:
        if step == "days":
            for world in (wrong, twin):
                world.next_day(said)  # type: ignore[arg-type]  # days come with a number.
        elif step == "decide":
            for world in (wrong, twin):
                world.decide(said)  # type: ignore[arg-type]  # decisions come with a kind.
        elif found := [one for one in wrong.adverse if not _is_for_age(one)]:
            refused = data.draw(st.sampled_from(found))
            wrong.adverse.remove(refused)
            wrong.appeal(refused, **right)
        assert wrong.limit <= twin.limit


@given(st.sampled_from(sorted(WRONG)), st.lists(st.tuples(KINDS, st.integers(0, 12)), min_size=1, max_size=12))
@examples(60)
def test_when_all_is_appealed_and_granted_the_limit_is_the_twins(name: str, asked: list[tuple[Kind, int]]) -> None:
    wrong, twin = World(), World()
    right = {fact: RIGHT[fact] for fact in WRONG[name]}
    for world in (wrong, twin):
        world.decide(Kind.ASSIGN)
    for kind, days in asked:
        wrong.decide(kind, **WRONG[name])
        twin.decide(kind, **right)
        for world in (wrong, twin):
            world.next_day(days)
    for decision in reversed(wrong.adverse):
        wrong.appeal(decision, **right)

    assert wrong.limit <= twin.limit
    if all(kind is Kind.RAISE for kind, _ in asked):
        # What a review or cut that came to nothing has stated can't be appealed, and still speaks against a raise today.
        assert wrong.limit == twin.limit


def test_a_cut_an_appeal_and_a_raise_come_to_what_the_twin_has() -> None:
    wrong, twin = World(), World()
    for world in (wrong, twin):
        world.decide(Kind.ASSIGN)
    cut = wrong.decide(Kind.REDUCE, dpd_now=61)
    twin.decide(Kind.REDUCE, dpd_now=0)
    assert isinstance(cut, Decision)

    appealed = wrong.appeal(cut, dpd_now=0)
    raised = [world.decide(Kind.RAISE) for world in (wrong, twin)]

    assert appealed.case.state is CaseState.OVERTURNED
    assert all(isinstance(one, Decision) and one.outcome is Outcome.APPROVED for one in raised)
    assert (wrong.limit, wrong.course) == (twin.limit, twin.course)


def test_refused_asked_again_and_approved_the_old_refusal_gives_nothing_more() -> None:
    world = World()
    refused = world.decide(Kind.ASSIGN, dpd_now=5)
    approved = world.decide(Kind.ASSIGN)
    assert isinstance(refused, Decision)
    assert isinstance(approved, Decision)

    told = world.appeal(refused, dpd_now=0)

    assert (refused.outcome, approved.outcome) == (Outcome.DECLINED, Outcome.APPROVED)
    assert world.limit == approved.new_limit_minor
    assert (told.case.state, told.case.suggested_minor) == (CaseState.OPEN, 0)


def test_a_first_limit_that_corrected_facts_give_is_no_growth() -> None:
    wrong, twin = World(), World()
    refused = wrong.decide(Kind.ASSIGN, dpd_now=5)
    twin.decide(Kind.ASSIGN)
    assert isinstance(refused, Decision)
    wrong.appeal(refused, dpd_now=0)
    assert (wrong.limit, wrong.course) == (twin.limit, twin.course)

    for world in (wrong, twin):
        world.decide(Kind.RAISE)
    assert (wrong.limit, wrong.course) == (twin.limit, twin.course)


def test_a_raise_after_a_first_limit_that_corrected_facts_gave_uses_up_room_in_the_next_appeal() -> None:
    capped = ("per_30_days_minor: 2000000", "per_30_days_minor: 70000")
    wrong, twin = World(capped), World(capped)
    refused = wrong.decide(Kind.ASSIGN, enquiries_30d=12)
    twin.decide(Kind.ASSIGN)
    assert isinstance(refused, Decision)
    wrong.appeal(refused, enquiries_30d=1)
    for world in (wrong, twin):
        world.decide(Kind.RAISE)
    capped_raise = wrong.decide(Kind.RAISE)
    assert isinstance(capped_raise, Decision)

    told = wrong.appeal(capped_raise, enquiries_30d=1)

    assert (told.case.state, told.case.suggested_minor) == (CaseState.OPEN, 0)
    assert (wrong.limit, wrong.course) == (twin.limit, twin.course)


def test_who_is_past_due_or_misusing_today_waits_for_a_person() -> None:
    for today in ({"dpd_now": 3}, {"misuse_flags": 1}, {"bureau_score": 380}):
        world = World()
        world.decide(Kind.ASSIGN)
        refused = world.decide(Kind.RAISE, enquiries_30d=12)
        assert isinstance(refused, Decision)
        before = world.limit
        world.next_day(1)
        world.decide(Kind.RAISE, **today)
        told = world.appeal(refused, enquiries_30d=1)

        assert told.case.state is CaseState.OPEN
        assert told.case.suggested_minor > before
        assert world.limit <= before


def test_a_correction_of_what_was_learned_since_does_not_undo_it() -> None:
    world = World()
    world.decide(Kind.ASSIGN)
    refused = world.decide(Kind.RAISE, enquiries_30d=12)
    assert isinstance(refused, Decision)
    world.next_day(3)
    world.decide(Kind.REVIEW, enquiries_30d=4)
    world.appeal(refused, enquiries_30d=1)
    account = world.bench.store.account("a-1")

    assert account is not None
    assert dict(enumerate(account.profile.values))[4] == 4


def test_a_fact_that_was_put_right_grows_stale_as_if_it_had_been_right_at_once() -> None:
    wrong, twin = World(), World()
    refused = wrong.decide(Kind.ASSIGN, enquiries_30d=12)
    twin.decide(Kind.ASSIGN)
    assert isinstance(refused, Decision)
    for world in (wrong, twin):
        world.next_day(31)
    wrong.appeal(refused, enquiries_30d=1)
    raised = [world.decide(Kind.RAISE) for world in (wrong, twin)]

    assert all(isinstance(one, Decision) for one in raised)
    assert (wrong.limit, raised[0].reasons) == (twin.limit, raised[1].reasons)  # type: ignore[union-attr]  # see above.


@pytest.mark.parametrize("room_minor", [0, 10**12])
def test_what_is_suggested_and_given_keeps_within_the_greatest_limits_of_today(room_minor: int) -> None:
    first, temporary = World(room_minor=room_minor), World(room_minor=room_minor)
    refused_first = first.decide(Kind.ASSIGN, dpd_now=5)
    first.promote(("  maximum_minor: 20000000", "  maximum_minor: 3000000"))
    temporary.decide(Kind.ASSIGN)
    refused_raise = temporary.decide(Kind.RAISE, dpd_now=5)
    temporary.promote(
        ("absolute_minor: 50000000", "absolute_minor: 3640000"),
        ("  maximum_minor: 20000000", "  maximum_minor: 3640000"),
    )
    asked = Ask(10_000, temporary.bench.clock.time_us + DAY_US, is_ordered=True)
    temporary.bench.execute(command(Kind.TEMPORARY, request_id="t", asked=asked, asked_currency="CNY"))
    assert isinstance(refused_first, Decision)
    assert isinstance(refused_raise, Decision)

    told = [first.appeal(refused_first, dpd_now=0), temporary.appeal(refused_raise, dpd_now=0)]

    assert [one.case.suggested_minor for one in told] == [3_000_000, 3_630_000]
    if room_minor:
        assert [first.limit, temporary.limit] == [3_000_000, 3_630_000]
        made = [world.bench.store.account_decisions("a-1", 0, 1)[0].decision for world in (first, temporary)]
        assert [one.reasons for one in made] == [
            ("APPEAL_OVERTURNED", "GREATEST_FIRST_LIMIT"), ("APPEAL_OVERTURNED", "CAP_ABSOLUTE")
        ]  # fmt: skip
    else:
        assert {one.case.state for one in told} == {CaseState.OPEN}


def test_many_small_words_of_one_person_are_one_big_one() -> None:
    world = World(room_minor=100_000)
    world.decide(Kind.ASSIGN)
    refusals = [world.decide(Kind.RAISE, dpd_now=5) for _ in range(4)]
    before = world.limit
    states = []
    for number, refused in enumerate(refusals):
        assert isinstance(refused, Decision)
        told = world.desk.appeal(world.said(refused))
        limit = world.limit + 40_000
        word = Word(f"rita/w-{number}", b"", "rita", told.case.number, Resolution.OVERTURN, limit, "CNY", "goodwill")
        states.append(world.desk.resolve(word).case.state)

    assert states == [CaseState.OVERTURNED] * 2 + [CaseState.AWAITING_SECOND] * 2
    assert world.limit == before + 80_000


def test_what_the_days_budget_no_longer_holds_is_for_a_person() -> None:
    budgeted = ("  absolute_minor: 50000000", "  absolute_minor: 50000000\n  portfolio_per_day_minor: 200000")
    text = ("texts:\n", "texts:\n  CAP_PORTFOLIO: {zh: 今天的总预算已用完。, en: The day's budget is used up.}\n")
    states = []
    for others in (0, 3):
        world = World(budgeted, text)
        world.decide(Kind.ASSIGN)
        refused = world.decide(Kind.RAISE, dpd_now=5)
        assert isinstance(refused, Decision)
        for number in range(others):
            name = f"b-{number}"
            opening, asking = (
                command(kind, request_id=f"{name}/{kind}", account_id=name) for kind in (Kind.ASSIGN, Kind.RAISE)
            )
            world.bench.execute(opening, asking)
        states.append(world.appeal(refused, dpd_now=0).case.state)

    assert states == [CaseState.OVERTURNED, CaseState.OPEN]
