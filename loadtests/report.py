"""The report of a run: one HTML page that needs nothing else, for whoever decides about a peak.

Promises that what stands first is the verdict, that sums match or the page says so, and that a page works offline and
in print.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from loadtests import charts
from loadtests.result import SPREAD
from service import private_file

_COLOURS: Final = {
    "passed": "#15803d",
    "objectives missed": "#a16207",
    "broken promise": "#b91c1c",
    "void": "#b91c1c",
}
_MEANINGS: Final = {
    "passed": "Every promise held and every objective was met.",
    "objectives missed": "Every promise held; not every objective was met.",
    "broken promise": "A promise did not hold. Nothing else counts until it does.",
    "void": "The generator did not keep its own schedule, so its figures say nothing of the server.",
}
_STYLE: Final = """
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1c1917; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem; }
.outcome { color: #fff; padding: .15rem .6rem; border-radius: .3rem; font-size: 1rem; vertical-align: middle; }
table { border-collapse: collapse; margin: .4rem 0; }
caption { text-align: left; color: #57534e; padding-bottom: .2rem; }
th, td { padding: .18rem .7rem .18rem 0; text-align: right; vertical-align: top; font-variant-numeric: tabular-nums; }
th { font-weight: 600; border-bottom: 1px solid #a8a29e; } td { border-bottom: 1px solid #e7e5e4; }
th:first-child, td:first-child, .words td, .words th { text-align: left; }
.missed { color: #b91c1c; font-weight: 600; } .note { color: #57534e; }
svg { width: 100%; height: auto; } figure { margin: .3rem 0 1rem; break-inside: avoid; }
figcaption { font-weight: 600; } table, h2 { break-inside: avoid; } h2 { break-after: avoid; }
.wide { overflow-x: auto; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } .outcome { border: 1px solid #000; color: #000;
  background: none !important; } }
"""


def page(result: dict[str, Any], earlier: dict[str, Any] | None) -> str:
    """Write the report of a run, beside an earlier one where there is one."""
    scenario, outcome = result["scenario"], result["outcome"]
    parts = [
        (f"<h1>{escape(scenario['name'])} <span class='outcome' style='background:{_COLOURS[outcome]}'>"
        f"{escape(outcome)}</span></h1>"),
        (f"<p>{escape(scenario['about'])}<br><span class='note'>{escape(result['at'])}, against "
        f"{escape(result['target'])}. {_MEANINGS[outcome]}</span></p>"),
        _verdict(result), _objectives(result), _phases(result), _spread(result), _comparison(result, earlier),
        _charts(result, earlier), _rows(result), _statuses(result), _plan(result),
    ]  # fmt: skip
    return _document(f"{scenario['name']}: {outcome}", "".join(parts))


def write(folder: Path, result: dict[str, Any], earlier: dict[str, Any] | None) -> Path:
    """Write a run's result as NAME.json and its report as NAME.html into a folder; gives the former."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{result['scenario']['name']}.json"
    private_file.write(file, json.dumps(result))
    private_file.write(file.with_suffix(".html"), page(result, earlier))
    return file


def _document(title: str, body: str) -> str:
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def capacity_page(line: str, trials: list[tuple[float, float, float, bool]], knee: float, p99_ms: float) -> str:
    """Write what the capacity finder found: its line, the saturation curve, and each trial (rate, p99, share, held)."""
    rows = [(float(rate), float(ms), f"{share:.3%}", "held" if held else "failed") for rate, ms, share, held in trials]
    curve = charts.saturation([(rate, ms, held) for rate, ms, _, held in trials], knee, p99_ms)
    table = _table(("calls/s", "p99 ms", "answered", ""), rows)
    return _document("capacity", f"<h1>Capacity</h1><p>{escape(line)}</p><figure>{curve}</figure>{table}")


def _table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "", is_words: bool = False
) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    kind = " class='words'" if is_words else ""
    return f"<div class='wide'><table{kind}>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _cell(cell: object) -> str:
    if isinstance(cell, bool):
        return "met" if cell else "<span class='missed'>missed</span>"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1_000 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else escape(str(cell))


def _verdict(result: dict[str, Any]) -> str:
    verdict, sums, generator = result["verdict"], result["sums"], result["generator"]
    ended = sum(one[name] for one in result["phases"] for name in ("acknowledged", "declined", "refused", "unknown"))
    rows: list[tuple[str, str]] = [
        ("promises", f"{len(verdict['faults'])} broken; {verdict['asked_again']:,} keys were asked again"),
        (
            "journal",
            (
                f"{verdict['acknowledged']:,} acknowledged, {verdict['declined']:,} declined by a rule, "
                f"{verdict['refused']:,} refused, {verdict['unknown']:,} unknown until asked again"
            ),
        ),
        (
            "sums",
            f"{sums['firsts']:,} calls offered, {ended:,} ended"
            + (" (they match)" if ended == sums["firsts"] else " (THEY DO NOT MATCH)")
            + f"; {sums['attempts']:,} attempts, {sums['duplicates']:,} of them duplicates on purpose; "
            f"{sums['replays']:,} answered from the record",
        ),
        (
            "generator",
            f"{generator['late_share']:.2%} of calls begun more than 25 ms late"
            + ("" if generator["kept_schedule"] else ": THE RUN IS VOID")
            + f"; p99 {generator['lag_ms']['p99']:.1f} ms, at most {generator['lag_ms']['p100']:.0f} ms behind; "
            f"{sum(generator['cpu_seconds']):.1f} s of CPU, niceness {generator['niceness'][0]}",
        ),
    ]
    cpu: Counter[str] = Counter()
    for sample in result["samples"]:
        cpu.update(sample.get("cpu", {}))
    if cpu:
        told = ", ".join(f"{role} {seconds / max(sums['attempts'], 1) * 1e6:,.0f} µs" for role, seconds in cpu.items())
        rows.append(("CPU for each attempt", told))
    if "store" in result:
        rows.append(
            ("store", (f"verified and replayed: {result['store']['accounts']:,} accounts, "
                      f"{result['store']['decisions']:,} decisions"))
        )  # fmt: skip
    faults = "".join(f"<li class='missed'>{escape(fault)}</li>" for fault in verdict["faults"])
    return "<h2>Verdict</h2>" + _table(("", ""), rows, is_words=True) + (f"<ul>{faults}</ul>" if faults else "")


def _objectives(result: dict[str, Any]) -> str:
    if not result["objectives"]:
        return ""
    rows = [(one["title"], one["wanted"], float(one["found"]), bool(one["met"])) for one in result["objectives"]]
    return "<h2>Objectives</h2>" + _table(("what", "wanted", "found", ""), rows)


def _phases(result: dict[str, Any]) -> str:
    columns = (
        "phase", "offered/s", "good/s", "p50 ms", "p90", "p99", "p99.9", "max", "declined", "refused", "unknown",
    )  # fmt: skip
    rows = [
        (
            one["name"], float(one["offered_per_second"]), float(one["goodput_per_second"]),
            *(float(one["ms"][name]) for name in ("p50", "p90", "p99", "p99.9")), float(one["max_ms"]),
            one["declined"], one["refused"], one["unknown"],
        )
        for one in result["phases"]
    ]  # fmt: skip
    capacity = f"Capacity measured beforehand: {result['capacity']:,.0f} calls/s." if result.get("capacity") else ""
    note = f"<p class='note'>{capacity} Latencies of OK answers, from the intended start, retries included.</p>"
    return "<h2>Phases</h2>" + _table(columns, rows) + note


def _spread(result: dict[str, Any]) -> str:
    """Show how far runs of the same scenario lie apart, where there are several."""
    outcomes = result.get("outcomes", [])
    if len(outcomes) < 2:
        return ""
    rows = [
        (one["phase"], *(", ".join(f"{value:,.4g}" for value in one[name]) for name in SPREAD))
        for one in result["spread"]
    ]
    title = f"{len(outcomes)} runs ({', '.join(outcomes)}): least, middle, greatest; the rest of the page is the last's"
    return "<h2>Spread</h2>" + _table(("phase", "good/s", "p50 ms", "p99 ms"), rows, caption=title)


def _comparison(result: dict[str, Any], earlier: dict[str, Any] | None) -> str:
    if earlier is None:
        return ""
    before = {one["name"]: one for one in earlier["phases"]}
    rows = []
    for one in result["phases"]:
        other = before.get(one["name"])
        if other is not None:
            pairs = [(other["goodput_per_second"], one["goodput_per_second"])]
            pairs += [(other["ms"][name], one["ms"][name]) for name in ("p50", "p99")]
            rows.append((one["name"], *(f"{a:,.4g} → {b:,.4g} ({b / a:.2f} ×)" if a else "" for a, b in pairs)))
    title = f"against {earlier['at']}, {earlier['outcome']}"
    return "<h2>Comparison</h2>" + _table(("phase", "good/s", "p50 ms", "p99 ms"), rows, caption=title)


def _charts(result: dict[str, Any], earlier: dict[str, Any] | None) -> str:
    figures = [
        ("Latency by percentile", charts.percentiles(result, earlier)),
        ("Latency over time", charts.over_time(result)),
        ("Throughput and goodput", charts.throughput(result)),
    ]
    if any("commit" in one for one in result["samples"]):
        figures.append(("Inside the server", charts.inside(result)))
    if any("cpu" in one for one in result["samples"]):
        figures.append(("What server and generators take", charts.resources(result)))
    drawn = "".join(f"<figure><figcaption>{title}</figcaption>{svg}</figure>" for title, svg in figures)
    return "<h2>Charts</h2>" + _course(result) + drawn


def _course(result: dict[str, Any]) -> str:
    """List what went wrong, by the numbers that the charts show, and the modes seen."""
    happened = sorted(result["disturbances"], key=lambda one: float(one["from"]))
    rows = [
        (str(number + 1), one["what"].replace("_", " "), f"{one['from']:.1f} to {one['to']:.1f} s", one["told"])
        for number, one in enumerate(happened)
    ]
    rows += [
        ("mode", mode, f"{began:.0f} to {ended:.0f} s", "")
        for began, ended, mode in charts.mode_stretches(result)
        if mode != "normal"
    ]
    return _table(("", "what", "when", "what came of it"), rows, is_words=True) if rows else ""


def _rows(result: dict[str, Any]) -> str:
    columns = ("phase", "RPC", "caller was told", "calls", "p50 ms", "p90", "p99", "p99.9", "p99.99", "max")
    rows = [
        (
            one["phase"], one["rpc"] + (" (hot account)" if one["hot"] else ""), one["told"], one["count"],
            *(float(one["ms"][name]) for name in ("p50", "p90", "p99", "p99.9", "p99.99")), float(one["max_ms"]),
        )
        for one in result["rows"]
    ]  # fmt: skip
    return "<h2>By RPC</h2>" + _table(columns, rows)


def _statuses(result: dict[str, Any]) -> str:
    rows = [(phase, rpc, status, count) for phase, rpc, status, count in result["statuses"] if status != "0"]
    if not rows:
        return ""
    return "<h2>Errors by reason</h2>" + _table(("phase", "RPC", "status and reason", "calls"), rows)


def _plan(result: dict[str, Any]) -> str:
    scenario, machine = result["scenario"], result["machine"]
    population = scenario["population"]
    phases = "; ".join(
        f"{one['name']} {one['seconds']:g} s {one['arrivals']} {one['per_second']:,.0f}/s" for one in scenario["phases"]
    )
    mix = ", ".join(f"{rpc} {weight:g}" for rpc, weight in scenario["mix"].items())
    skew = f"Zipf {population['zipf']:g}" if population["zipf"] else "all alike"
    hot = f", one account takes {population['hot_share']:.0%}" if population["hot_share"] else ""
    retries = scenario["retries"]
    sync = machine["sync_us"]
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "grpcio", "protobuf", "uvloop", "sqlite"))
    manners = f"{retries['attempts']} attempts, {retries['pause_ms']:g} ms doubled, budget {retries['budget']:g}"
    rows = [
        ("seed", scenario["seed"]), ("phases", phases), ("mix", mix),
        ("population", f"{population['accounts']:,} accounts, {skew}{hot}"),
        ("duplicates", f"{scenario['duplicates']:.1%} of writes sent twice"),
        ("retries", manners),
        ("deadline", f"{scenario['deadline_ms']} ms"),
        ("loop", f"closed, {scenario['closed_loop']} in flight" if scenario["closed_loop"] else "open"),
        ("generator", f"{scenario['processes']} processes, {scenario['connections']} connections each"),
        ("machine", (f"{machine['cores']} cores, {machine['architecture']}, kernel {machine['kernel']}; "
                    f"fdatasync p50 {sync['p50']} µs, p99 {sync['p99']} µs")),
        ("versions", versions),
        ("not tested", "TLS, certificates and networks other than the one to the target; other disks and machines"),
    ]  # fmt: skip
    return "<h2>Plan and machine</h2>" + _table(("", ""), [(name, str(value)) for name, value in rows], is_words=True)
