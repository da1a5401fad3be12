"""`make simulate SEEDS=1000`: run seeds, print what was explored, and the seed of each failure."""

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import structlog

from tests.simulation.disk import simulated_disk
from tests.simulation.world import simulate, template_store


def main() -> int:
    """Run the simulation; gives 1 where a promise broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument(
        "--first", type=int, default=0, help="The first seed; a failure is reproduced by its seed alone."
    )
    parser.add_argument("--mutations", action="store_true", help="Break the engine on purpose, and see it caught.")
    chosen = parser.parse_args()
    # Failures are what a simulation makes by the thousand; what it finds it prints.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if chosen.mutations:
        from tests.simulation.mutations import table

        return table(chosen.seeds)
    began = time.monotonic()
    states: set[bytes] = set()
    faults: Counter[str] = Counter()
    broken = []
    with tempfile.TemporaryDirectory() as name, simulated_disk() as drive:
        template = template_store(Path(name))
        for seed in range(chosen.first, chosen.first + chosen.seeds):
            outcome = simulate(seed, drive, template)
            states |= outcome.states
            faults += outcome.faults
            if outcome.broken:
                broken.append(seed)
                print(f"seed {seed}, digest {outcome.digest}: {outcome.broken}")
    print(
        f"{chosen.seeds} seeds in {time.monotonic() - began:.0f} s: {len(states):,} different states, {len(broken)} broken"
    )
    for fault, count in faults.most_common():
        print(f"  {count:>7,} {fault}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
