"""`make torture`, its second half: every scenario in which something goes wrong, one after another, on loopback.

Promises an end within the scenarios' own times, and 1 where any promise was broken or an objective missed.
"""

import sys
import time
from pathlib import Path

from rich.console import Console

from loadtests import conductor, live, report, scenario

OUT = Path("load-results")


def main() -> int:
    """Run them all; gives the exit code."""
    outcomes: dict[str, str] = {}
    for name in scenario.shipped():
        planned = scenario.load(name)
        if (not planned.disturbances and not planned.needs_capacity) or name == "soak":
            continue
        began = time.monotonic()
        result = conductor.run(planned, "", lambda _: None)
        report.write(OUT, result, None)
        live.summary(result)
        outcomes[name] = f"{result['outcome']}, {time.monotonic() - began:.0f} s"
    for name, outcome in outcomes.items():
        Console().print(f"{name:18} {outcome}", highlight=False)
    return 0 if all(outcome.startswith("passed") for outcome in outcomes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
