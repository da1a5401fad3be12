"""The report's charts, drawn by matplotlib as SVG that stands inside the page.

Promises charts that read in grey print as well: lines differ in dash as in colour, and legends stand outside the axes.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

mpl.rcParams.update(
    {
        "svg.fonttype": "path", "svg.hashsalt": "holdline", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3,
        "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "axes.titlelocation": "left",
    }
)  # fmt: skip

WIDTH: Final = 9.2
DASHES: Final = ("-", "--", "-.", ":")
COLOURS: Final = ("#0b5cad", "#c2410c", "#15803d", "#7c3aed", "#be185d", "#525252", "#a16207")
MARKS_MAX: Final = 8
"""Disturbances with a label in a chart; the table names them all."""


def percentiles(result: dict[str, Any], earlier: dict[str, Any] | None) -> str:
    """Draw latencies of OK answers by percentile, on logarithmic axes; an earlier run's phases stand beside."""
    with _chart(3.4) as (axes, svg):
        for place, phase in enumerate(one for one in result["phases"] if one["spectrum"]):
            _spectrum(axes, phase, COLOURS[place % len(COLOURS)], DASHES[0], phase["name"])
        for place, phase in enumerate(one for one in (earlier or {"phases": []})["phases"] if one["spectrum"]):
            _spectrum(axes, phase, COLOURS[place % len(COLOURS)], DASHES[3], f"{phase['name']}, earlier")
        axes.set_xscale("log")
        _logarithmic(axes)
        marks = (50, 90, 99, 99.9, 99.99, 99.999)
        axes.set_xticks([100 / (100 - mark) for mark in marks], [f"{mark:g} %" for mark in marks])
        axes.tick_params(axis="x", which="minor", bottom=False)
        axes.set_xlabel("share of OK answers that came within")
        axes.set_ylabel("ms, from the intended start")
        _legend(axes)
    return svg()


def _spectrum(axes: Axes, phase: dict[str, Any], colour: str, dash: str, label: str) -> None:
    # Beyond the last call there is nothing to know.
    known = [(100 / (100 - share), ms) for share, ms in phase["spectrum"] if phase["count"] * (100 - share) >= 100]
    _line(axes, known, label, colour, dash)


def _line(axes: Axes, points: Iterable[tuple[float, float]], label: str, colour: str, dash: str) -> None:
    """Draw a line through points, if there are any."""
    known = list(points)
    if known:
        axes.plot(*zip(*known, strict=True), color=colour, linestyle=dash, label=label)


def over_time(result: dict[str, Any]) -> str:
    """Draw latencies by second, with what went wrong and the modes in force."""
    with _chart(3.4) as (axes, svg):
        for name, colour, dash in (("p50", COLOURS[0], "-"), ("p99", COLOURS[1], "--")):
            points = ((one["second"] + 0.5, one[name]) for one in result["seconds"] if name in one)
            _line(axes, points, f"{name} of OK answers", colour, dash)
        _logarithmic(axes)
        axes.set_ylabel("ms")
        _time_axis(axes, result)
        _modes(axes, result)
        _legend(axes)
    return svg()


def throughput(result: dict[str, Any]) -> str:
    """Draw calls a second: offered, answered, refused, unknown."""
    with _chart(3.0) as (axes, svg):
        words = {
            "offered": ("offered", COLOURS[5], ":"), "acknowledged": ("answered with OK", COLOURS[2], "-"),
            "declined": ("declined by a rule", COLOURS[3], "-."), "refused": ("refused", COLOURS[1], "--"),
            "unknown": ("outcome unknown", COLOURS[4], "-."),
        }  # fmt: skip
        for name, (label, colour, dash) in words.items():
            if any(name in one for one in result["seconds"]):
                points = ((one["second"] + 0.5, one.get(name, 0)) for one in result["seconds"])
                _line(axes, points, label, colour, dash)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("calls a second")
        _time_axis(axes, result)
        _legend(axes)
    return svg()


def inside(result: dict[str, Any]) -> str:
    """Draw what the server says of itself: queue wait, commit time, commands a commit."""
    with _chart(2.8) as (axes, svg):
        for name, label, colour, dash, scale in (
            ("queue_wait", "wait in the queue, ms", COLOURS[0], "-", 1e3),
            ("commit", "one transaction, ms", COLOURS[1], "--", 1e3),
            ("batch", "commands a transaction", COLOURS[2], "-.", 1),
        ):
            points = ((one["at"], one[name] * scale) for one in result["samples"] if name in one)
            _line(axes, points, label, colour, dash)
        _logarithmic(axes)
        axes.set_ylabel("mean of each second")
        _time_axis(axes, result)
        _legend(axes)
    return svg()


def resources(result: dict[str, Any]) -> str:
    """Draw what the server's processes and the generators take: CPU, memory, descriptors, and the store's log."""
    roles = sorted({role for one in result["samples"] for role in one.get("cpu", {})})
    figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
    (cpu, memory), (descriptors, log) = figure.subplots(2, 2)
    for place, role in enumerate(roles):
        colour, dash = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
        for axes, name in ((cpu, "cpu"), (memory, "memory_mb"), (descriptors, "descriptors")):
            points = ((one["at"], one[name][role]) for one in result["samples"] if role in one.get(name, {}))
            _line(axes, points, role, colour, dash)
    points = ((one["at"], one["log_mb"]) for one in result["samples"] if "log_mb" in one)
    _line(log, points, "write-ahead log", COLOURS[0], DASHES[0])
    for axes, title in (
        (cpu, "CPU, cores"), (memory, "memory, MB"), (descriptors, "open descriptors"), (log, "write-ahead log, MB"),
    ):  # fmt: skip
        axes.set_title(title)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("seconds")
    _legend(memory)
    return _written(figure)


def _logarithmic(axes: Axes) -> None:
    """Make the vertical axis logarithmic, its marks plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def saturation(trials: list[tuple[float, float, bool]], knee: float, p99_ms: float) -> str:
    """Draw p99 by rate: trials as calls a second, p99 (ms) and whether they held; the knee is the rate confirmed."""
    with _chart(3.4) as (axes, svg):
        known = sorted((rate, ms, held) for rate, ms, held in trials if ms < float("inf"))
        axes.plot([rate for rate, _, _ in known], [ms for _, ms, _ in known], color=COLOURS[5], alpha=0.4)
        for label, held, colour, marker in (("held", True, COLOURS[2], "o"), ("failed", False, COLOURS[1], "x")):
            points = [(rate, ms) for rate, ms, was_held in known if was_held is held]
            if points:
                axes.plot(*zip(*points, strict=True), marker, color=colour, label=label)
        axes.axvline(knee, color=COLOURS[0], linestyle="--", label=f"capacity, {knee:,.0f} calls/s")
        axes.axhline(p99_ms, color=COLOURS[5], linestyle=":", label=f"objective, {p99_ms:g} ms")
        _logarithmic(axes)
        axes.set_xlim(left=0)
        axes.set_xlabel("calls a second, offered")
        axes.set_ylabel("p99 of OK answers, ms")
        _legend(axes)
    return svg()


def _time_axis(axes: Axes, result: dict[str, Any]) -> None:
    """Mark phases and what went wrong; labels stand above the axes, in rows of their own, so that none overlap."""
    end = max((one["second"] + 1 for one in result["seconds"]), default=1)
    began = 0.0
    for place, phase in enumerate(result["scenario"]["phases"]):
        if place % 2:
            axes.axvspan(began, began + phase["seconds"], color="#000000", alpha=0.04, linewidth=0)
        began += phase["seconds"]
    for number, one in enumerate(sorted(result["disturbances"], key=lambda one: float(one["from"]))):
        axes.axvspan(one["from"], max(one["to"], one["from"] + end / 300), color=COLOURS[4], alpha=0.13, linewidth=0)
        if number < MARKS_MAX:
            axes.annotate(
                str(number + 1), (one["from"], 1.0), xycoords=("data", "axes fraction"),
                xytext=(0, 3 + 9 * (number % 2)), textcoords="offset points", fontsize=8, ha="center", color=COLOURS[4],
            )  # fmt: skip
    axes.set_xlim(0, end)
    axes.set_xlabel("seconds from the start of the load")


def _modes(axes: Axes, result: dict[str, Any]) -> None:
    """Draw the stretches of modes other than normal as a band at the foot of the chart."""
    for began, ended, mode in mode_stretches(result):
        if mode != "normal":
            axes.axvspan(began, ended, ymax=0.05, color=COLOURS[3], alpha=0.7, linewidth=0)
    if any(mode != "normal" for _, _, mode in mode_stretches(result)):
        axes.plot([], [], color=COLOURS[3], linewidth=6, alpha=0.7, label="a playbook in force")


def mode_stretches(result: dict[str, Any]) -> Iterator[tuple[float, float, str]]:
    """Give from when to when each mode was seen in force."""
    seen = [(one["at"], one["mode"]) for one in result["samples"] if "mode" in one]
    began = 0.0
    for place, (at, mode) in enumerate(seen):
        is_last = place + 1 == len(seen)
        if is_last or seen[place + 1][1] != mode:
            yield began, at, mode
            began = at


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)


@contextmanager
def _chart(height: float) -> Iterator[tuple[Axes, Callable[[], str]]]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    yield figure.subplots(), lambda: _written(figure)


def _written(figure: Figure) -> str:
    content = io.StringIO()
    figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    text = content.getvalue()
    return text[text.index("<svg") :]
