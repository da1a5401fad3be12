"""Scenarios and schedules of load tests.

Goal: what a scenario says is what is sent, however slow the server. Method: schedules are drawn without a clock.
"""

from itertools import pairwise
from pathlib import Path

import pytest

from loadtests import scenario
from loadtests.capacity import lower_bound
from loadtests.journal import Entry, Journal, Knowledge, read, seal_of
from loadtests.scenario import Arrivals, BadScenario, Phase, Rpc, Scenario
from loadtests.schedule import arrivals, rate_of, recorded_day, written_day


def _scenario(**phase: object) -> Scenario:
    phases = ({"name": "one", "seconds": 10, "per_second": 100, **phase},)
    return Scenario.model_validate({"name": "test", "about": "a test", "phases": phases})


@pytest.mark.parametrize("name", sorted(scenario.shipped()))
def test_every_shipped_scenario_loads(name: str) -> None:
    assert scenario.load(name).name == name


@pytest.mark.parametrize("kind", list(Arrivals))
def test_as_many_calls_arrive_as_the_rate_says(kind: Arrivals) -> None:
    planned = _scenario(arrivals=kind, seconds=60, from_per_second=20)
    rate = rate_of(planned.phases[0])
    expected = sum(rate(step / 100) / 100 for step in range(6_000))

    found = [one.at for one in arrivals(planned, seed=7)]

    assert found == sorted(found)
    assert all(0 < at < 60 for at in found)
    assert abs(len(found) - expected) <= max(0.05 * expected, 5)


def test_equal_seeds_give_equal_schedules_and_others_do_not() -> None:
    planned = _scenario(arrivals="poisson")

    assert list(arrivals(planned, 1)) == list(arrivals(planned, 1)) != list(arrivals(planned, 2))


def test_a_spike_is_so_many_times_the_rate_in_the_middle_third() -> None:
    found = [one.at for one in arrivals(_scenario(arrivals="spike", seconds=30, factor=10), 1)]
    before, within, after = (sum(start <= at < start + 10 for at in found) for start in (0, 10, 20))

    assert abs(within / before - 10) < 0.5
    assert abs(within / after - 10) < 0.5


def test_constant_arrivals_are_evenly_apart() -> None:
    found = [one.at for one in arrivals(_scenario(arrivals="constant"), 1)]

    assert all(abs(second - first - 0.01) < 1e-6 for first, second in pairwise(found))


def test_stretches_that_take_turns_are_one_phase() -> None:
    turns = [{"name": name, "seconds": 2, "per_second": rate} for name, rate in (("a", 10), ("b", 20), ("a", 10))]
    planned = Scenario.model_validate({"name": "test", "about": "a test", "phases": turns})

    found = list(arrivals(planned, 1))

    assert {one.phase for one in found if 2 <= one.at < 4} == {planned.names.index("b")}
    assert {one.phase for one in found if not 2 <= one.at < 4} == {planned.names.index("a")}
    assert (planned.names, planned.seconds_of("a"), planned.seconds_of("b")) == (("a", "b"), 4, 2)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"phases": []}, "phases"),
        ({"phases": [{"name": "a", "seconds": 1, "per_second": 1, "of_capacity": 1}]}, "either per_second or of_capacity"),
        ({"mix": {"decide_everything": 1}}, "mix"),
        ({"surprise": 1}, "surprise"),
        ({"disturbances": [{"at": 99, "what": "kill"}]}, "comes after the end"),
        ({"objectives": [{"phase": "nowhere", "ok_share_min": 1}]}, "nowhere"),
        ({"objectives": [{"percentile": 99}]}, "exactly one"),
        ({"objectives": [{"ms_max": 5}]}, "go together"),
        ({"phases": [{"name": "a", "seconds": 3600, "per_second": 90000}]}, "calls"),
        ({"phases": [{"name": "a", "seconds": 1, "per_second": rate} for rate in (1, 2)]}, "differ in length alone: a"),
        (
            {
                "phases": [{"name": name, "seconds": 1, "per_second": 1} for name in ("a", "b", "a")],
                "objectives": [{"phase": "a", "recovers_seconds_max": 1}],
            },
            "a phase that comes once",
        ),
    ],
)  # fmt: skip
def test_a_scenario_that_cannot_be_run_is_refused_with_the_reason(
    tmp_path: Path, said: dict[str, object], told: str
) -> None:
    import yaml

    base = {"name": "bad", "about": "bad", "phases": [{"name": "a", "seconds": 1, "per_second": 1}]}
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump({**base, **said}))

    with pytest.raises(BadScenario, match=told):
        scenario.load(str(file))


def test_an_unknown_name_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(BadScenario, match="steady"):
        scenario.load("no-such-scenario")


def test_multiples_of_a_capacity_become_rates() -> None:
    planned = Scenario(name="x", about="x", phases=(Phase(name="a", seconds=1, of_capacity=2.5),))

    assert planned.needs_capacity
    assert planned.at_capacity(400).phases[0].per_second == 1_000
    assert not planned.at_capacity(400).needs_capacity


def test_a_journal_is_read_as_written_and_a_torn_end_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    entries = [
        Entry(Rpc.DECIDE, Knowledge.ACKNOWLEDGED, f"k-{number}", b"12345678", b"body" * number) for number in range(9)
    ]
    journal = Journal(file)
    for entry in entries:
        journal.enter(entry)
    journal.close()

    assert list(read(file)) == entries
    file.write_bytes(file.read_bytes()[:-3])
    assert list(read(file)) == entries[:-1]


@pytest.mark.parametrize(("rpc", "marker"), [(Rpc.DECIDE, b"\x18\x01"), (Rpc.AUTHORIZE, b"\x10\x01")])
def test_a_replay_has_the_seal_of_the_answer_that_it_repeats(rpc: Rpc, marker: bytes) -> None:
    first, again = seal_of(rpc, b"answer", "0"), seal_of(rpc, b"answer" + marker, "0")

    assert first == (again[0], False)
    assert again[1]
    assert seal_of(rpc, b"another", "0")[0] != first[0]


@pytest.mark.parametrize(("held", "runs", "bound"), [(5, 5, 0.631), (4, 5, 0.416), (0, 5, 0.0), (20, 20, 0.891)])
def test_a_capacity_says_how_sure_it_is(held: int, runs: int, bound: float) -> None:
    # Clopper and Pearson's bounds as their tables have them: for all of n it is (1 - confidence) ** (1 / n).
    assert abs(lower_bound(held, runs, 0.9) - bound) < 0.001


def test_a_recorded_day_is_what_came_in_each_of_its_slots(tmp_path: Path) -> None:
    hour = 3_600_000_000
    times = [hour * 100 + 1, *[hour * 101 + 5] * 3, *[hour * 103 + 9] * 2, hour * 104]
    file = tmp_path / "day.csv"
    file.write_text(written_day(times, 4 * hour, 4), encoding="utf-8")

    assert recorded_day(str(file)) == [1.0, 3.0, 0.0, 3.0]
