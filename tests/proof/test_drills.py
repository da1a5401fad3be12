"""Drills: each incident is noticed, answered and stopped within its bound, counted in decisions.

Goal: promise 4, rehearsed. Method: each scenario with guards and a scripted on-call; then one in which nobody acts, which
shows that a drill can fail, and one on a copy of a store, which must stay as it is.
"""

from pathlib import Path

import pytest

from service import population
from service.domain.decision import Kind
from service.drill import skipped_shard
from service.drill.rehearsal import Rehearsed
from service.drill.scenarios import SCENARIOS
from service.drill.stage import rehearsing
from service.drill.traffic import pairs
from service.storage.verify import verify
from tests.builders import Bench, command, sqlite

REACTION = 300
"""Decisions from the first alert until on-call acts: half a minute at ten a second."""


def _rehearsed(name: str, reaction: int = REACTION, source: str = "") -> Rehearsed:
    with rehearsing(source, seed=2026) as rehearsal:
        return rehearsal.run(SCENARIOS[name], reaction, lambda _: None)


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_incident_is_noticed_answered_and_stopped_within_its_bound(name: str) -> None:
    found = _rehearsed(name)

    hurt_before, favoured_before = found.customers(is_before=True)
    assert found.is_passed, found.events
    assert found.false_alarms == 0
    assert 0 <= found.detected <= found.activated
    assert 0 < found.stopped <= found.scenario.decisions_max
    assert hurt_before + favoured_before > 0
    assert all(harm.decision <= found.stopped for harm in found.harms)
    assert {event.what for event in found.events} >= {"injected", "detected", "previewed", "activated", "harm stopped"}


def test_an_incident_that_nobody_answers_goes_on_and_the_drill_fails() -> None:
    found = _rehearsed("clock-jumped", reaction=10_000)

    assert not found.is_passed
    assert (found.activated, found.stopped) == (-1, -1)
    assert found.detected > 0
    assert found.customers(is_before=True)[1] > 100


def test_a_skipped_shard_is_found_by_the_closing_and_made_good_with_one_order() -> None:
    found = skipped_shard.rehearse("", 2026, lambda _: None)

    assert found.is_passed, found.events
    assert len(found.owed) > 100
    assert [event.what for event in found.events] == ["injected", "run ended", "detected", "made good"]


def test_a_drill_on_a_copy_leaves_the_store_as_it_is(tmp_path: Path) -> None:
    bench = Bench(sqlite(tmp_path / "holdline.db"))
    for customer in population.synthetic(300, seed=1):
        bench.execute(
            command(
                Kind.IMPORT, request_id=customer.account_id, account_id=customer.account_id, product="revolving",
                import_limit_minor=customer.limit_minor, import_outstanding_minor=customer.outstanding_minor,
                import_currency="CNY", news=pairs(customer.facts),
            )
        )  # fmt: skip
    bench.order("activate", "k", playbook="freeze_raises", ttl_seconds=86_400)
    bench.store.close()
    before = (tmp_path / "holdline.db").read_bytes()

    found = _rehearsed("clock-jumped", source=f"sqlite:///{tmp_path / 'holdline.db'}")

    assert found.detected > 0
    assert (tmp_path / "holdline.db").read_bytes() == before
    store = sqlite(tmp_path / "holdline.db", read_only=True)
    assert verify(store).faults == ()
    assert [one.title for one in store.playbooks.activations_newest(1 << 62, 9)] == ["A1@freeze_raises/v1"]
