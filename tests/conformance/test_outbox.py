"""Notices in the outbox, on every store: which outcomes lead to one, in which order, and what becomes of them."""

import pytest

from service.domain import errors
from service.domain.decision import Ask, Decided, Kind
from service.domain.notice import TOPIC
from service.domain.watch import Message, MessageState
from service.engine.execute import transaction
from service.engine.ports.store import NUMBER_MAX
from tests.builders import DAY_US, NOW_US, Bench, command, draw, news

WAITING, DELIVERED, DEAD = MessageState.WAITING, MessageState.DELIVERED, MessageState.DEAD


def _kinds(bench: Bench, now_us: int = NOW_US) -> list[str]:
    return [one.body for one in bench.store.outbox.due(TOPIC, now_us, 100)]


def _all(bench: Bench) -> list[Message]:
    return bench.store.outbox.messages(TOPIC, (WAITING,), NUMBER_MAX, 100)[::-1]


def _settle(bench: Bench, message: Message, state: MessageState, due_us: int = NOW_US) -> None:
    with transaction(bench.store, bench.control):
        bench.store.outbox.update(message.sequence, due_us, message.attempts + 1, state)


def test_each_outcome_that_a_customer_should_hear_of_leaves_a_notice_about_its_record(bench: Bench) -> None:
    (made,) = bench.execute(command())
    bench.execute(command(Kind.RAISE, request_id="r-2"))
    bench.execute(command(Kind.RAISE, request_id="r-3"))
    bench.execute(command(Kind.REVIEW, request_id="r-4", news=news(dpd_now=0)))
    bench.execute(draw(amount_minor=10**9))
    bench.execute(command(Kind.REDUCE, request_id="r-5", news=news(dpd_now=61)))
    bench.execute(command())

    assert isinstance(made, Decided)
    assert _kinds(bench) == ["limit_assigned", "limit_raised", "raise_declined", "draw_declined", "limit_cut"]
    (first, *_) = _all(bench)
    assert (first.account_id, first.record) == ("a-1", made.decision.number)
    assert [one.body for one in bench.store.outbox.of_records([made.decision.number])] == ["limit_assigned"]


def test_the_end_of_a_temporary_raise_is_told_beforehand_unless_it_is_taken_back(bench: Bench) -> None:
    bench.execute(command())

    def ask(days: int, request_id: str) -> None:
        asked = Ask(100_000, NOW_US + days * DAY_US, is_ordered=False)
        bench.execute(command(Kind.TEMPORARY, request_id=request_id, asked=asked))

    ask(10, "t-1")
    assert _kinds(bench) == ["limit_assigned", "temporary_granted"]
    assert _kinds(bench, NOW_US + 7 * DAY_US)[2:] == ["temporary_ends"]

    ask(20, "t-2")
    assert _kinds(bench, NOW_US + 7 * DAY_US)[2:] == ["temporary_granted"]
    assert _kinds(bench, NOW_US + 17 * DAY_US)[3:] == ["temporary_ends"]

    bench.execute(command(Kind.REDUCE, request_id="r-2", news=news(dpd_now=61)))
    assert "temporary_ends" not in _kinds(bench, NOW_US + 30 * DAY_US)


def test_an_end_that_a_cut_of_the_same_batch_takes_back_is_never_told(bench: Bench) -> None:
    bench.execute(command())
    asked = Ask(100_000, NOW_US + 10 * DAY_US, is_ordered=False)

    bench.execute(
        command(Kind.TEMPORARY, request_id="t-1", asked=asked),
        command(Kind.REDUCE, request_id="r-2", news=news(dpd_now=61)),
    )

    assert _kinds(bench, NOW_US + 30 * DAY_US) == ["limit_assigned", "temporary_granted", "limit_cut"]


def test_what_failed_holds_back_what_follows_on_its_account_only(bench: Bench) -> None:
    for name in ("a-1", "a-2"):
        bench.execute(
            command(request_id=name, account_id=name), command(Kind.RAISE, request_id=f"{name}-2", account_id=name)
        )
    first = _all(bench)[0]
    _settle(bench, first, WAITING, NOW_US + DAY_US)

    assert [one.account_id for one in bench.store.outbox.due(TOPIC, NOW_US, 100)] == ["a-2", "a-2"]
    later = bench.store.outbox.due(TOPIC, NOW_US + DAY_US, 100)
    assert [one.account_id for one in later] == ["a-2", "a-2", "a-1"]

    _settle(bench, first, DELIVERED)
    assert [one.account_id for one in bench.store.outbox.due(TOPIC, NOW_US, 100)] == ["a-1", "a-2", "a-2"]


def test_dead_messages_are_told_again_once_and_the_living_are_left_alone(bench: Bench) -> None:
    bench.execute(command(), command(Kind.RAISE, request_id="r-2"))
    dead, living = _all(bench)
    _settle(bench, dead, DEAD)
    with transaction(bench.store, bench.control):
        first = bench.store.outbox.redrive([dead.sequence, living.sequence, 10**6], NOW_US)
        second = bench.store.outbox.redrive([dead.sequence], NOW_US)

    assert (first, second) == (1, 0)
    again = next(one for one in _all(bench) if one.sequence == dead.sequence)
    assert (again.attempts, again.state, again.due_us) == (0, WAITING, NOW_US)


def test_old_messages_of_the_named_states_are_forgotten_a_few_at_a_time(bench: Bench) -> None:
    bench.execute(command(), *(command(Kind.RAISE, request_id=f"r-{n}") for n in range(2, 5)))
    for message in _all(bench)[:3]:
        _settle(bench, message, DELIVERED)
    with transaction(bench.store, bench.control):
        young = bench.store.outbox.purge((WAITING, DELIVERED), NOW_US, 0, 2)
        first = bench.store.outbox.purge((DELIVERED, DEAD), NOW_US + 1, 0, 2)
        left = len(bench.store.outbox.messages(TOPIC, (DELIVERED,), NUMBER_MAX, 9))
        second = bench.store.outbox.purge((DELIVERED, DEAD), NOW_US + 1, first, 9)

    assert (young, second, left) == (0, 0, 1)
    assert first > 0
    assert bench.store.outbox.messages(TOPIC, (DELIVERED,), NUMBER_MAX, 9) == []
    assert len(_all(bench)) == 1


def test_a_notice_of_what_was_rolled_back_is_gone(bench: Bench) -> None:
    def fail() -> None:
        with transaction(bench.store, bench.control):
            bench.store.outbox.send(TOPIC, "info", "limit_raised", NOW_US)
            raise errors.StoreUnavailable(kind="test")

    with pytest.raises(errors.StoreUnavailable):
        fail()

    assert _all(bench) == []
