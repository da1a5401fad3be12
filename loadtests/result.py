"""The result of a run: figures by phase and RPC, objectives met or not, and one verdict.

Promises that the verdict is never better than its worst part: a broken promise fails a run however fast it was, and a
generator that did not keep its schedule voids it.
"""

import statistics
from collections.abc import Callable, Iterator
from typing import Any, Final

from hdrh.histogram import HdrHistogram

from loadtests.journal import Knowledge
from loadtests.sampler import GENERATOR
from loadtests.scenario import DRAWS, Objective, Rpc, Scenario
from loadtests.tally import NO_ROOM, NOT_SENT, histogram

PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0, 99.9, 99.99)
SPECTRUM: Final = tuple(
    100 - 100 / 10 ** (step / 8) for step in range(1, 41)
)  # to 99.999 %, evenly on a logarithmic axis
"""Percentiles of the plots."""
RECOVERED_FACTOR: Final = 3
"""A second is as before where its p99 is within so many times the calm seconds' greatest, and few are refused."""
REFUSED_SHARE: Final = 0.01

SPREAD: Final = ("goodput_per_second", "p50", "p99")
"""Of what the spread over several runs is told."""
WORST_FIRST: Final = ("void", "broken promise", "objectives missed", "passed")

Latencies = dict[tuple[int, str, str, bool], HdrHistogram]


def judge(scenario: Scenario, result: dict[str, Any]) -> dict[str, Any]:
    """Put the figures, the objectives and the verdict into a result whose latencies are still histograms."""
    latencies: Latencies = result.pop("latencies")
    result["phases"] = [_phase(scenario, number, latencies) for number in range(len(scenario.names))]
    result["rows"] = [
        {"phase": scenario.names[phase], "rpc": rpc, "told": told.lower(), "hot": is_hot} | _figures(found)
        for (phase, rpc, told, is_hot), found in sorted(latencies.items())
    ]
    result["statuses"] = [[scenario.names[phase], *rest] for phase, *rest in result["statuses"]]
    figures = _Figures(scenario, result, latencies)
    result["objectives"] = [figures.hold(objective) for objective in scenario.objectives]
    if not result["generator"]["kept_schedule"]:
        outcome = "void"
    elif result["verdict"]["faults"]:
        outcome = "broken promise"
    elif not all(one["met"] for one in result["objectives"]):
        outcome = "objectives missed"
    else:
        outcome = "passed"
    return result | {"outcome": outcome}


def together(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Put runs of one scenario together: the last one, its verdict the worst of all, and the spread of each phase.

    `spread` holds, by phase, the least, the middle and the greatest of goodput, p50 and p99 over the runs.
    """
    outcomes = [one["outcome"] for one in results]
    phases = [[one["phases"][place] for one in results] for place in range(len(results[-1]["phases"]))]
    spread = [
        {
            "phase": runs[0]["name"], "goodput_per_second": _spread([one["goodput_per_second"] for one in runs]),
            **{name: _spread([one["ms"][name] for one in runs]) for name in ("p50", "p99")},
        }
        for runs in phases
    ]  # fmt: skip
    return results[-1] | {"outcome": min(outcomes, key=WORST_FIRST.index), "outcomes": outcomes, "spread": spread}


def _spread(values: list[float]) -> list[float]:
    return [min(values), statistics.median(values), max(values)]


def _figures(found: HdrHistogram) -> dict[str, Any]:
    return {
        "count": found.get_total_count(),
        "ms": {f"p{share:g}": found.get_value_at_percentile(share) / 1e3 for share in PERCENTILES},
        "max_ms": found.get_max_value() / 1e3,
    }


def summed(latencies: Latencies, fits: Callable[[int, str, str, bool], bool]) -> HdrHistogram:
    """Add up the histograms whose phase, RPC, caller's knowledge and heat fit."""
    whole = histogram()
    for key, found in latencies.items():
        if fits(*key):
            whole.add(found)
    return whole


def _phase(scenario: Scenario, number: int, latencies: Latencies) -> dict[str, Any]:
    """Sum a phase up: counts by what callers know, goodput, and the latencies of OK answers."""
    phase = scenario.names[number]
    told = {one.name.lower(): 0 for one in Knowledge}
    for (found_phase, _, name, _), found in latencies.items():
        if found_phase == number:
            told[name.lower()] += found.get_total_count()
    good = summed(latencies, lambda at, _, name, __: at == number and name == Knowledge.ACKNOWLEDGED.name)
    spectrum = [[share, good.get_value_at_percentile(share) / 1e3] for share in SPECTRUM] if good.total_count else []
    seconds = scenario.seconds_of(phase)
    return {
        "name": phase, "seconds": seconds, "offered_per_second": sum(told.values()) / seconds,
        "goodput_per_second": (told["acknowledged"] + told["declined"]) / seconds, "spectrum": spectrum,
        **told, **_figures(good),
    }  # fmt: skip


class _Figures:
    """Finds the figure that an objective bounds."""

    def __init__(self, scenario: Scenario, result: dict[str, Any], latencies: Latencies) -> None:
        self._scenario = scenario
        self._result = result
        self._latencies = latencies
        self._names = scenario.names

    def hold(self, objective: Objective) -> dict[str, Any]:
        """Hold an objective against the run; gives what was wanted, what was found, and whether it is met."""
        where = f" in {objective.phase}" if objective.phase else ""
        which = objective.of.value if objective.of else "all"
        if objective.percentile:
            good = self._chosen(objective, Knowledge.ACKNOWLEDGED)
            found = good.get_value_at_percentile(objective.percentile) / 1e3 if good.total_count else float("inf")
            title = f"p{objective.percentile:g} of {which}{where}, ms"
            return _at_most(title, objective.ms_max, found)
        if objective.ok_share_min:
            whole = sum(self._chosen(objective, one).total_count for one in Knowledge)
            good_count = sum(
                self._chosen(objective, one).total_count for one in (Knowledge.ACKNOWLEDGED, Knowledge.DECLINED)
            )
            share = good_count / whole if whole else 0.0
            return _at_least(f"answered in the end, of {which}{where}", objective.ok_share_min, share)
        if objective.goodput_of_best_min:
            phases = {phase["name"]: phase for phase in self._result["phases"]}
            phase, best = phases[objective.phase], max(one["goodput_per_second"] for one in phases.values())
            # No phase can answer more than was asked of it.
            possible = min(best, phase["offered_per_second"])
            share = phase["goodput_per_second"] / possible if possible else 0.0
            return _at_least(f"goodput of the best{where}", objective.goodput_of_best_min, share)
        if objective.attempts_per_call_max:
            sums = self._result["sums"]
            unsent = sum(count for *_, status, count in self._result["statuses"] if status in (NO_ROOM, NOT_SENT))
            found = (sums["attempts"] - sums["duplicates"]) / max(sums["firsts"] - unsent, 1)
            return _at_most("attempts for each call", objective.attempts_per_call_max, found)
        if objective.shed_draws_of_others_max:
            draws, others = self._refused_share(objective, is_draw=True), self._refused_share(objective, is_draw=False)
            title = f"draws' refused share over others'{where}"
            return _at_most(title, objective.shed_draws_of_others_max, draws / others if others else 0.0)
        if objective.memory_growth_mb_max or objective.descriptors_growth_max or objective.log_mb_max:
            return self._hold_server(objective)
        if objective.drift_max:
            first, phase = self._result["phases"][0], self._result["phases"][self._names.index(objective.phase)]
            drift = phase["ms"]["p99"] / first["ms"]["p99"] if first["count"] and phase["count"] else float("inf")
            return _at_most(f"p99{where} over the first phase's", objective.drift_max, drift)
        return _at_most(
            f"seconds until all is as before{where}", objective.recovers_seconds_max, self._recovery(objective.phase)
        )

    def _hold_server(self, objective: Objective) -> dict[str, Any]:
        """Hold an objective on what the server takes against the run."""
        if objective.memory_growth_mb_max:
            held = self._held("memory_mb")
            return _at_most("growth of the server's memory, MB", objective.memory_growth_mb_max, max(held) - held[0])
        if objective.descriptors_growth_max:
            held = self._held("descriptors")
            return _at_most("growth of the server's descriptors", objective.descriptors_growth_max, held[-1] - held[0])
        longest = max((one["log_mb"] for one in self._result["samples"] if "log_mb" in one), default=float("inf"))
        return _at_most("the store's log at its longest, MB", objective.log_mb_max, longest)

    def _chosen(self, objective: Objective, told: Knowledge) -> HdrHistogram:
        number = self._names.index(objective.phase) if objective.phase else -1
        return summed(
            self._latencies,
            lambda phase, rpc, name, is_hot: (
                number in (phase, -1)
                and name == told.name
                and (not objective.of or rpc == objective.of.value)
                and not (is_hot and objective.percentile)
            ),
        )

    def _refused_share(self, objective: Objective, *, is_draw: bool) -> float:
        number = self._names.index(objective.phase) if objective.phase else -1
        refused = whole = 0
        for (phase, rpc, name, _), found in self._latencies.items():
            if number in (phase, -1) and (Rpc(rpc) in DRAWS) is is_draw:
                whole += found.get_total_count()
                refused += found.get_total_count() * (name in (Knowledge.REFUSED.name, Knowledge.UNKNOWN.name))
        return refused / whole if whole else 0.0

    def _held(self, what: str) -> list[float]:
        """Give what the server held of something, sample by sample; without end where nothing was seen."""
        sums = [
            sum(held for role, held in sample[what].items() if role != GENERATOR)
            for sample in self._result["samples"]
            if sample.get(what, {}).keys() - {GENERATOR}
        ]
        return sums or [0.0, float("inf")]

    def _recovery(self, name: str) -> float:
        """Give the seconds from a phase's beginning until its seconds look like the first phase's calm ones."""
        number = self._scenario.first_of(name)
        starts = [0.0]
        for phase in self._scenario.phases:
            starts.append(starts[-1] + phase.seconds)
        seconds = self._result["seconds"]
        calm = [one for one in seconds if 1 <= one["second"] < starts[1] and "p99" in one]
        if not calm:
            return float("inf")
        bound = RECOVERED_FACTOR * max(one["p99"] for one in calm)
        last_bad = starts[number] - 1
        for one in _between(seconds, starts[number], starts[number + 1]):
            failed = one.get("refused", 0) + one.get("unknown", 0)
            if one.get("p99", bound + 1) > bound or failed > REFUSED_SHARE * max(one.get("offered", 0), 1):
                last_bad = one["second"]
        return max(last_bad + 1 - starts[number], 0.0)


def _between(seconds: list[dict[str, Any]], start: float, end: float) -> Iterator[dict[str, Any]]:
    return (one for one in seconds if start <= one["second"] < int(end))


def _at_most(title: str, bound: float, found: float) -> dict[str, Any]:
    return {"title": title, "wanted": f"≤ {bound:g}", "found": found, "met": found <= bound}


def _at_least(title: str, bound: float, found: float) -> dict[str, Any]:
    return {"title": title, "wanted": f"≥ {bound:g}", "found": found, "met": found >= bound}
