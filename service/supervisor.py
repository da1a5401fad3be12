"""The supervisor: starts the engine, the reader, the sentry and the gateways, and starts again what dies.

Promises that a dead engine is replaced at once by a spare one that has loaded its code (then with growing pauses while
it keeps dying), that no child outlives the supervisor (each holds the other end of its standard input), and that
SIGTERM drains the gateways before the engine stops.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from service import held_port
from service.exit_codes import NOT_HERE
from service.forked import Forked
from service.run_folder import RunFolder
from service.settings import Settings

START_SECONDS_MAX: Final = 30.0
PAUSE_SECONDS_MAX: Final = 5.0
STEADY_SECONDS: Final = 1.0
"""A child that lived so long is started again without a pause."""
STOP_GRACE_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.5
SPARE_SECONDS: Final = 5.0
"""So long after a start the next spare engine is loaded."""
WORKER_PAUSE_SECONDS: Final = 1.0
"""So long after the server answers, and between a worker's death and the next, workers are started."""

log = structlog.get_logger("holdline.supervisor")


STOPPING: Final = {signal.SIGTERM, signal.SIGINT}
WATCHED: Final = {*STOPPING, signal.SIGCHLD}


def hold_signals() -> None:
    """Keep the signals that a supervisor waits for until it asks; call before any thread starts.

    A thread that was started earlier would not hold them: a SIGTERM that comes while the supervisor is busy with a
    child would go to that thread and end the process without a drain.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    # Ignored signals are never delivered, and SIGCHLD is ignored by default.
    signal.signal(signal.SIGCHLD, lambda *_: None)


LAUNCH: Final = "import sys; sys.modules['rich'] = None; from service.launch import main; sys.exit(main(sys.argv[1]))"
"""What a child runs that starts from nothing. structlog loads rich wherever it is installed, for tracebacks on a
terminal: a third of a second that no server process has when it is started again."""


class Child:
    """One process of ours: a role, started again whenever it ends."""

    def __init__(self, role: str, number: int) -> None:
        self.role = role
        self.number = number
        self.process: subprocess.Popen[bytes] | Forked | None = None
        self.started_at = 0.0
        self.failures = 0
        self.start_at = 0.0

    def spawn(self) -> None:
        """Start the process, which loads its code and then waits for orders."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, self.role],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.started_at = time.monotonic()

    def adopt(self, process: Forked) -> None:
        """Take a process that was forked for this role and waits for orders."""
        self.process, self.started_at = process, time.monotonic()

    def order(self, orders: dict[str, object]) -> None:
        """Give the process its orders on standard input; it reports on standard output when ready."""
        assert self.process is not None
        assert self.process.stdin is not None
        # A process that has died already is found by its missing report.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({**orders, "number": self.number}).encode() + b"\n")
            self.process.stdin.flush()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the process ended; None where it did not."""
        return self.process.returncode if self.process is not None else None

    def await_report(self, seconds_max: float) -> dict[str, int] | None:
        """Wait for the report; gives nothing where the process ends or the time is over."""
        assert self.process is not None
        assert self.process.stdout is not None
        give_up_at = time.monotonic() + seconds_max
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while time.monotonic() < give_up_at:
                if selector.select(POLL_SECONDS):
                    line = self.process.stdout.readline()
                    report: dict[str, int] | None = json.loads(line) if line else None
                    return report
        return None

    def take_over(self, spare: "Child") -> None:
        """Make a spare's process this child's."""
        self.process, self.started_at, spare.process = spare.process, time.monotonic(), None

    def end(self, signal_number: int) -> None:
        """Ask the process to end."""
        if self.is_alive and self.process is not None:
            self.process.send_signal(signal_number)

    def close(self) -> None:
        """Let go of the pipes of a process that has ended."""
        if self.process is not None:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()


class Signals:
    """Takes the signals that `hold_signals` holds, in a thread of its own; only SIGTERM and SIGINT end the server.

    A wait with a time limit that is stopped for longer (Ctrl-Z, then `fg`) gives a signal that nobody sent
    (`signal.sigtimedwait` in CPython); one without a limit goes on waiting.
    """

    def __init__(self) -> None:
        self.is_stopping = False
        self._came = threading.Event()
        threading.Thread(target=self._take, name="signals", daemon=True).start()

    def _take(self) -> None:
        while True:
            if signal.sigwait(WATCHED) in STOPPING:
                self.is_stopping = True
            self._came.set()

    def stopping_within(self, seconds_max: float) -> bool:
        """Wait for any signal; claims that the server is to end."""
        self._came.wait(seconds_max)
        self._came.clear()
        return self.is_stopping


def refuse_ports(settings: Settings) -> None:
    """Claim the ports for a moment, before anything starts; raises OSError that names the one not to be had.

    Gateways share a port, so one that another server's gateways share would be taken in silence.
    """
    metrics = (
        range(settings.metrics_port, settings.metrics_port + settings.gateways + 2) if settings.metrics_port else ()
    )
    for host, port in ((settings.host, settings.port), *(("127.0.0.1", port) for port in metrics)):
        try:
            held_port.let_go(held_port.hold(host, port))
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise OSError(f"can't listen on {host}:{port}: {why}") from error


class Supervisor:
    """Starts, watches and stops one engine and its gateways."""

    def __init__(self, settings: Settings, ready_file: Path | None, forked: Sequence[tuple[str, Forked]] = ()) -> None:
        self._settings = settings
        self._ready_file = ready_file
        self._folder = RunFolder()
        self._engine = Child("engine", 0)
        self._sentry = Child("sentry", 0)
        self._reader = Child("reader", 0)
        self._spare = Child("engine", 0)
        """An engine that has loaded its code and waits for orders: it takes a dead one's place at once."""
        self._spare_at = 0.0
        self._workers = [Child("worker", number) for number in range(settings.run_workers)]
        """Workers of the daily run; nothing waits for them, so they come once the server answers."""
        self._gateways = [Child("gateway", number) for number in range(settings.gateways)]
        self._port = settings.port
        self._held: Sequence[socket.socket] = ()
        waiting = [*self._children(), self._spare, *self._workers]
        for role, process in forked:
            child = next(child for child in waiting if child.role == role)
            child.adopt(process)
            waiting.remove(child)
        self._signals = Signals()

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT, which `hold_signals` holds; gives the exit code."""
        try:
            if not self._hold_port():
                return NOT_HERE
            if not self._start_all():
                return NOT_HERE
            # Those that are there already need not wait.
            for worker in self._workers:
                if worker.is_alive:
                    worker.order(self._orders())
            self._announce()
            self._spare_at = time.monotonic() + SPARE_SECONDS
            for worker in self._workers:
                worker.start_at = time.monotonic() + WORKER_PAUSE_SECONDS
            while not self._signals.is_stopping and not self._has_no_store():
                self._watch()
            has_no_store = self._has_no_store()
            code = self._stop()
            return NOT_HERE if has_no_store or self._has_no_store() else code
        finally:
            self._kill_all()
            held_port.let_go(self._held)
            self._folder.remove()

    def _hold_port(self) -> bool:
        """Hold the port that gateways will share; a single one takes it for itself."""
        if len(self._gateways) == 1:
            return True
        try:
            self._held = held_port.hold(self._settings.host, self._port)
        except OSError as error:
            log.error("port taken", listen=self._settings.listen, why=error.strerror)
            return False
        self._port = self._held[0].getsockname()[1]
        return True

    def _has_no_store(self) -> bool:
        """Whether the engine has ended because its store can't be served: another one would fare no better."""
        return not self._engine.is_alive and self._engine.exit_code == NOT_HERE

    def _orders(self) -> dict[str, object]:
        host = self._settings.host
        settings = self._settings.model_dump(mode="json") | {"listen": f"{host}:{self._port}"}
        return {"settings": settings, "socket": str(self._folder.path / "engine.sock")}

    def _start_all(self) -> bool:
        # All load their code at once, on whatever cores there are; then each in its turn becomes ready.
        for child in self._children():
            if child.process is None:
                child.spawn()
        for child in self._children():
            child.order(self._orders())
            report = child.await_report(START_SECONDS_MAX)
            if report is None:
                log.error("could not start", role=child.role)
                self._end([child], STOP_GRACE_SECONDS)
                return False
            # With port 0 the first gateway picks it and the others share it.
            self._port = report.get("port", self._port)
        return True

    def _announce(self) -> None:
        log.info("serving", listen=f"{self._settings.host}:{self._port}", gateways=len(self._gateways))
        if self._ready_file is not None:
            report = {
                "listen": f"{self._settings.host}:{self._port}",
                "supervisor": os.getpid(),
                "engine": self._pid(self._engine),
                "sentry": self._pid(self._sentry),
                "reader": self._pid(self._reader),
                "workers": [self._pid(child) for child in self._workers if child.is_alive],
                "gateways": [self._pid(child) for child in self._gateways],
            }
            partial = self._ready_file.with_suffix(".partial")
            partial.write_text(json.dumps(report), encoding="utf-8")
            partial.replace(self._ready_file)

    @staticmethod
    def _pid(child: Child) -> int:
        return child.process.pid if child.process is not None else 0

    def _watch(self) -> None:
        """Wait for a signal and start again what has ended and is due."""
        if self._signals.stopping_within(POLL_SECONDS if self._all_alive() else 0.05):
            return
        for child in self._children():
            if child.is_alive:
                continue
            if self._has_no_store():
                return
            if child.start_at == 0.0:
                self._note_death(child)
            if time.monotonic() >= child.start_at:
                child.start_at = 0.0
                child.close()
                if child is self._engine and self._spare.is_alive:
                    child.take_over(self._spare)
                    self._spare_at = time.monotonic() + SPARE_SECONDS
                else:
                    child.spawn()
                child.order(self._orders())
                if child.await_report(START_SECONDS_MAX) is None:
                    log.error("did not come back", role=child.role)
                else:
                    log.info("started again", role=child.role, pid=self._pid(child))
                    self._announce()

        self._keep_spare()
        self._keep_workers()

    def _keep_spare(self) -> None:
        """Load a spare engine once things have been quiet for a while: it takes a core for a second or two."""
        if self._spare.is_alive or time.monotonic() < self._spare_at or not self._all_alive():
            return
        self._spare.close()
        self._spare.spawn()
        self._spare_at = time.monotonic() + SPARE_SECONDS

    def _keep_workers(self) -> None:
        """Start workers that are not there, with a pause between one life and the next."""
        now = time.monotonic()
        for worker in self._workers:
            if worker.is_alive or now < worker.start_at or not self._all_alive():
                continue
            if worker.process is not None:
                log.error("ended", role=worker.role, exit_code=worker.process.returncode)
            worker.close()
            worker.spawn()
            worker.order(self._orders())
            worker.start_at = now + WORKER_PAUSE_SECONDS
            self._announce()

    def _all_alive(self) -> bool:
        return all(child.is_alive for child in self._children())

    def _children(self) -> tuple[Child, ...]:
        return self._engine, self._reader, self._sentry, *self._gateways

    def _note_death(self, child: Child) -> None:
        lived = time.monotonic() - child.started_at
        child.failures = 0 if lived > STEADY_SECONDS else child.failures + 1
        pause = min(0.1 * 2 ** (child.failures - 2), PAUSE_SECONDS_MAX) if child.failures > 1 else 0.0
        child.start_at = time.monotonic() + pause
        code = child.process.returncode if child.process is not None else None
        log.error("ended", role=child.role, exit_code=code, pause_seconds=pause)

    def _stop(self) -> int:
        """Drain the gateways, then stop the engine; gives 0 when all ended in order."""
        log.info("stopping")
        grace = (self._settings.drain_ms_max + self._settings.drain_notice_ms) / 1_000 + STOP_GRACE_SECONDS
        in_order = self._end(self._gateways, grace) and self._end([self._sentry, self._reader], STOP_GRACE_SECONDS)
        # A worker may be in the middle of a chunk; whatever is lost of it is done again.
        self._end(self._workers, STOP_GRACE_SECONDS)
        return 0 if self._end([self._engine], STOP_GRACE_SECONDS) and in_order else 1

    @staticmethod
    def _end(children: Sequence[Child], seconds_max: float) -> bool:
        # What died by itself just before and was not yet started again is no fault of this stop.
        running = [child.process for child in children if child.is_alive and child.process is not None]
        for process in running:
            process.terminate()
        give_up_at = time.monotonic() + seconds_max
        for process in running:
            try:
                process.wait(max(give_up_at - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                log.error("did not stop", role=children[0].role)
        return all(process.returncode == 0 for process in running)

    def _kill_all(self) -> None:
        for child in (*self._gateways, *self._workers, self._sentry, self._reader, self._engine, self._spare):
            child.end(signal.SIGKILL)
            if child.process is not None:
                child.process.wait()
            child.close()
