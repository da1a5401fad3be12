"""Previews: what they count, how they sample, and that they read page by page."""

from typing import Any

from service.domain.decision import Kind
from service.domain.mode import EVERYBODY
from service.domain.money import MINOR_MAX, SUM_MAX
from service.engine import preview as previews
from service.storage.memory.store import MemoryStore
from tests.builders import NOW_US, PLAYBOOKS, Bench, command, policy


def _preview(bench: Bench, playbook: str, count: int) -> previews.Preview:
    from service.domain.activation import requested

    found = PLAYBOOKS.find(playbook)
    candidate = requested(0, found, {}, EVERYBODY, 1, "", "", "", NOW_US, is_break_glass=True, is_forced=False)
    return previews.preview(
        previews.newest(bench.store, count), found, EVERYBODY,
        lambda names: bench.control.recorded_mode(bench.store, names, candidate), lambda _: policy(),
    )  # fmt: skip


def test_a_preview_counts_transitions_and_money_and_refusals() -> None:
    bench = Bench(MemoryStore(lambda: NOW_US))
    bench.execute(*(command(request_id=f"{n}", account_id=f"a-{n}") for n in range(3)))
    bench.execute(command(Kind.RAISE, request_id="r", account_id="a-0"))

    frozen = _preview(bench, "freeze_raises", 10)
    closed = _preview(bench, "read_only", 10)

    assert (frozen.decisions, frozen.covered, frozen.changed) == (4, 4, 4)
    assert dict(frozen.transitions) == {(Kind.ASSIGN, 1, 4): 3, (Kind.RAISE, 1, 2): 1}
    assert frozen.money["CNY"].raised_was == 3 * 3_600_000 + 72_000
    assert frozen.money["CNY"].raised_would_be == 0
    assert {sample.reasons for sample in frozen.samples} == {("RAISE_KEPT_FOR_LATER",)}
    assert {(sample.outcome, sample.reasons, sample.refusal) for sample in closed.samples} == {
        (0, (), "MODE_READ_ONLY")
    }
    assert closed.note


def test_a_preview_on_top_of_what_was_in_force_keeps_it() -> None:
    bench = Bench(MemoryStore(lambda: NOW_US))
    bench.order("activate", "k", playbook="freeze_raises")
    bench.execute(command())
    bench.order("end", "e", number=1)

    assert _preview(bench, "cap_growth", 10).changed == 0


def test_pages_give_the_newest_first_each_once_and_no_more_than_asked() -> None:
    bench = Bench(MemoryStore(lambda: NOW_US))
    for batch in range(3):
        bench.execute(*(command(request_id=f"{batch}-{n}", account_id=f"{batch}-{n}") for n in range(900)))

    numbers = [one.decision.number for one in previews.newest(bench.store, 2_500)]

    assert len(numbers) == 2_500
    assert numbers == sorted(set(numbers), reverse=True)
    assert len(list(previews.newest(bench.store, 9_999))) == 2_700
    assert list(previews.newest(bench.store, 0)) == []


def test_samples_are_spread_over_all_that_changed() -> None:
    for offered in (0, 1, 9, 10, 11, 25, 1_000, 12_345):
        spread = previews.Spread()
        for place in range(offered):
            spread.offer(previews.Changed(place, "CNY", 1, place, ()))  # type: ignore[arg-type]  # a place stands for a decision.

        places = [one.limit_minor for one in spread.samples()]

        assert len(places) == len(set(places))
        assert len(places) == min(offered, 10)
        assert not places or places[0] == 0
        assert offered < 25 or places[-1] >= offered * 0.4


def test_sums_beyond_what_the_contract_can_say_are_given_as_the_greatest() -> None:
    bench = Bench(MemoryStore(lambda: NOW_US))
    bench.execute(command())
    (made,) = previews.newest(bench.store, 1)
    absurd = made._replace(decision=made.decision._replace(kind=Kind.IMPORT, new_limit_minor=MINOR_MAX))

    found = previews.preview([absurd] * 10_000, PLAYBOOKS.find("freeze_raises"), EVERYBODY, _never, _never)

    assert found.money["CNY"].raised_was == found.money["CNY"].raised_would_be == SUM_MAX


def _never(_: object) -> Any:
    raise AssertionError("an import is not decided again")
