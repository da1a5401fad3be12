"""The deterministic simulation, in small: `make simulate SEEDS=1000` and its mutations run it at size.

Goal: whatever the network, the disk, the clock and the scheduler do, every promise holds; and the checks can fail.
Method: seeds drive everything; the same seed gives the same run to the last byte.
"""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.simulation.disk import Drive, simulated_disk
from tests.simulation.mutations import MUTATIONS, Mutation, caught
from tests.simulation.world import simulate, template_store

QUICK = (
    "skips the sync",
    "answers before the commit",
    "forgets keys",
    "captures twice what was held",
    "believes the machine's clock",
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
def drive() -> Iterator[Drive]:
    with simulated_disk() as found:
        yield found


@pytest.mark.parametrize("first", [1_000, 1_010])
def test_every_promise_holds_in_every_seed(drive: Drive, tmp_path: Path, first: int) -> None:
    template = template_store(tmp_path)
    outcomes = [simulate(seed, drive, template) for seed in range(first, first + 10)]

    assert [(one.seed, one.broken) for one in outcomes if one.broken] == []
    faults = sum((one.faults for one in outcomes), start=outcomes[0].faults)
    assert {"killed", "power cut", "dies in the middle of a commit", "write or sync fails"} <= faults.keys()
    assert {"frame lost", "frame doubled", "clock set back", "clock set ahead"} <= faults.keys()
    assert len(frozenset().union(*(one.states for one in outcomes))) > 500


def test_a_seed_gives_the_same_run_to_the_last_byte(drive: Drive, tmp_path: Path) -> None:
    template = template_store(tmp_path)
    first, again, other = (simulate(seed, drive, template) for seed in (7, 7, 8))

    assert first == again
    assert other.digest != first.digest


def test_a_seed_gives_the_same_run_in_another_process(drive: Drive, tmp_path: Path) -> None:
    here = simulate(7, drive, template_store(tmp_path)).digest
    code = (
        "import sys; from pathlib import Path; from tests.simulation.disk import simulated_disk\n"
        "from tests.simulation.world import simulate, template_store\n"
        "with simulated_disk() as drive: print(simulate(7, drive, template_store(Path(sys.argv[1]))).digest)"
    )
    (tmp_path / "there").mkdir()
    command = [sys.executable, "-c", code, str(tmp_path / "there")]
    there = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)

    assert there.stdout.splitlines()[-1] == here


@pytest.mark.parametrize("mutation", [one for one in MUTATIONS if one.name in QUICK], ids=lambda one: one.name)
def test_an_engine_that_breaks_a_promise_is_caught(mutation: Mutation) -> None:
    assert caught(mutation, 20) is not None


@pytest.mark.torture
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("mutation", [one for one in MUTATIONS if one.name not in QUICK], ids=lambda one: one.name)
def test_every_other_mutation_is_caught_too(mutation: Mutation) -> None:
    assert caught(mutation, 200) is not None
