"""What server and generators look like from beside, once a second: CPU, memory, metrics, and the mode in force.

Promises to disturb little (a few file reads and scrapes a second), and that what can't be read is left out, never
guessed. Where the server is another machine's, only its mode is seen.
"""

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import requests
from holdline.client import Client, HoldlineError

from loadtests import machine

SCRAPE_SECONDS_MAX: Final = 0.5
GENERATOR: Final = "generator"
"""The role of the load's own processes; all others are the server's."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_SERIES: Final = {
    "queue_wait": re.compile(r"^holdline_queue_wait\w*_(sum|count)(?:\{[^}]*\})? ([\d.e+-]+)$", re.MULTILINE),
    "commit": re.compile(r"^holdline_commit_duration\w*_(sum|count)(?:\{[^}]*\})? ([\d.e+-]+)$", re.MULTILINE),
    "batch": re.compile(r"^holdline_batch_size\w*_(sum|count)(?:\{[^}]*\})? ([\d.e+-]+)$", re.MULTILINE),
}


class Sampler:
    """Samples in a thread of its own until stopped."""

    def __init__(
        self, listen: str, pids: Callable[[], dict[str, list[int]]], ports: list[int], log: Path | None
    ) -> None:
        """`ports`: where the server's processes tell their metrics, on loopback; `log`: the store's write-ahead log."""
        self._listen = listen
        self._pids = pids
        self._ports = ports
        self._log = log
        self._generators: list[int] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._before: dict[str, float] = {}
        self._cpu_before: dict[int, float] = {}
        self.began = time.monotonic()
        self.samples: list[dict[str, Any]] = []

    def start(self, began: float, generators: list[int]) -> None:
        """Start; `began` is the load's start in monotonic seconds, `generators` are the load's processes."""
        self.began = began
        self._generators = generators
        # Sums and counts run from the server's start; what is told is what came since the sample before.
        self._metrics()
        self._processes()
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the sample in hand."""
        self._stopped.set()
        self._thread.join(10)

    def _run(self) -> None:
        with Client(self._listen, caller="load-sampler", timeout_seconds=1.0) as client:
            while not self._stopped.wait(1.0):
                sample: dict[str, Any] = {"at": time.monotonic() - self.began}
                sample |= self._processes()
                sample |= self._metrics()
                if self._log is not None:
                    # A server that is stopped takes its log away.
                    with contextlib.suppress(FileNotFoundError):
                        sample["log_mb"] = self._log.stat().st_size / 1e6
                # A server that does not answer in time has no mode that could be seen.
                with contextlib.suppress(HoldlineError):
                    sample["mode"] = client.mode().mode.mode_id
                self.samples.append(sample)

    def _processes(self) -> dict[str, Any]:
        cpu: dict[str, float] = {}
        memory_mb: dict[str, float] = {}
        descriptors: dict[str, int] = {}
        for role, pids in (self._pids() | {GENERATOR: self._generators}).items():
            for pid in pids:
                try:
                    seconds, count = machine.cpu_seconds(pid), sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
                except OSError:
                    continue
                descriptors[role] = descriptors.get(role, 0) + count
                cpu[role] = cpu.get(role, 0.0) + max(seconds - self._cpu_before.get(pid, seconds), 0.0)
                self._cpu_before[pid] = seconds
                memory_mb[role] = memory_mb.get(role, 0.0) + _memory_mb(pid)
        return {"cpu": cpu, "memory_mb": memory_mb, "descriptors": descriptors} if memory_mb else {}

    def _metrics(self) -> dict[str, float]:
        now: dict[str, float] = {}
        for port in self._ports:
            try:
                text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=SCRAPE_SECONDS_MAX).text
            except requests.RequestException:
                # A process that is away, or busy: the next sample has it again.
                continue
            for name, pattern in _SERIES.items():
                for part, value in pattern.findall(text):
                    now[f"{name}_{part}"] = now.get(f"{name}_{part}", 0.0) + float(value)
        found = {}
        for name in _SERIES:
            count = now.get(f"{name}_count", 0.0) - self._before.get(f"{name}_count", 0.0)
            total = now.get(f"{name}_sum", 0.0) - self._before.get(f"{name}_sum", 0.0)
            if count > 0 and total >= 0:
                found[name] = total / count
        self._before = now or self._before
        return found


def _memory_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE / 1e6
    except OSError:
        return 0.0
