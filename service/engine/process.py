"""The engine process: read what the gateways sent, execute it as one batch, answer.

Promises that calls of one connection take effect in the order sent, that an answer leaves only after its commit, that
expired calls are dropped before execution, and that a bug met by one call answers INTERNAL to that call alone.
"""

import selectors
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from service.domain.decision import DecideCommand, Decided
from service.domain.errors import DeadlineExpired, HoldlineError, InternalError, StoreUnavailable
from service.engine import frames
from service.engine.control import Control
from service.engine.execute import execute, transaction
from service.engine.ports import Answer, Call, Clock, Codec, Store, Work
from service.telemetry import EngineMeters, account_hash

RECEIVE_BYTES: Final = 1 << 20
SEND_SECONDS_MAX: Final = 1.0
"""A gateway that takes no answer for so long is dropped: it is stopped or dead, and others wait."""
PURGE_SECONDS: Final = 1.0

log = structlog.get_logger("holdline.engine")


class Engine:
    """Answers calls by executing them in batches over one store."""

    def __init__(
        self,
        store: Store,
        control: Control,
        clock: Clock,
        codec: Codec,
        meters: EngineMeters,
        commands_max: int,
    ) -> None:
        self._store = store
        self._control = control
        self._clock = clock
        self._codec = codec
        self._meters = meters
        self._commands_max = commands_max

    def answers(self, calls: Sequence[Call], now_us: int) -> list[Answer]:
        """Answer calls in order; `now_us` is the machine's monotonic clock in microseconds."""
        given: dict[int, Answer] = {}
        waiting: list[tuple[int, Call, Work]] = []
        queries: list[int] = []
        size = 0
        for position, call in enumerate(calls):
            if call.deadline_us <= now_us:
                given[position] = self._codec.error(DeadlineExpired())
            elif not self._codec.is_decision(call.method):
                queries.append(position)
            else:
                work = self._work(call)
                if isinstance(work, Answer):
                    given[position] = work
                    continue
                if waiting and size + len(work.commands) > self._commands_max:
                    self._decide(waiting, given)
                    waiting, size = [], 0
                waiting.append((position, call, work))
                size += len(work.commands)
        if waiting:
            self._decide(waiting, given)
        for position in queries:
            given[position] = self._query(calls[position])
        return [given[position] for position in range(len(calls))]

    def _work(self, call: Call) -> Work | Answer:
        try:
            return self._codec.work(call)
        except HoldlineError as error:
            return self._codec.error(error)
        except Exception:  # noqa: BLE001 - The outermost edge for one request's translation.
            return self._internal(call)

    def _decide(self, waiting: list[tuple[int, Call, Work]], given: dict[int, Answer]) -> None:
        """Execute what waits in one transaction and assemble the answers."""
        commands = [
            command for _, _, work in waiting for command in work.commands if not isinstance(command, HoldlineError)
        ]
        executed = iter(self._execute(commands) if commands else [])
        for position, call, work in waiting:
            answers = [command if isinstance(command, HoldlineError) else next(executed) for command in work.commands]
            try:
                given[position] = self._codec.answer(call, work, answers)
            except Exception:  # noqa: BLE001 - The outermost edge for one answer's translation; its decisions are durable.
                given[position] = self._internal(call)

    def _execute(self, commands: list[DecideCommand]) -> list[Decided | HoldlineError]:
        started = time.perf_counter()
        try:
            answers = execute(commands, self._store, self._control, self._clock)
        except Exception:  # The outermost edge of a transaction, which is rolled back.
            if len(commands) > 1:
                # One command met a bug; apart from it the others can be decided.
                return [answer for command in commands for answer in self._execute([command])]
            command = commands[0]
            log.exception(
                "command failed",
                request_id=command.request_id,
                trace_id=command.trace_id,
                account=account_hash(command.account_id),
            )
            return [InternalError(command.trace_id)]
        self._measure(answers, time.perf_counter() - started)
        return answers

    def _measure(self, answers: list[Decided | HoldlineError], seconds: float) -> None:
        if answers and isinstance(answers[0], StoreUnavailable):
            log.warning("store unavailable", commands=len(answers), kind=answers[0].metadata.get("kind", ""))
        meters = self._meters
        if meters.batch_size is None or meters.commit_seconds is None or meters.decisions is None:
            return
        meters.batch_size.record(len(answers))
        meters.commit_seconds.record(seconds)
        counts: dict[str, int] = {}
        for answer in answers:
            name = answer.reason if isinstance(answer, HoldlineError) else answer.decision.outcome.name
            counts[name] = counts.get(name, 0) + 1
        for name, count in counts.items():
            meters.decisions.add(count, {"outcome": name})

    def _query(self, call: Call) -> Answer:
        try:
            return self._codec.query(call)
        except Exception:  # noqa: BLE001 - The outermost edge of a read.
            return self._internal(call)

    def _internal(self, call: Call) -> Answer:
        log.exception("call failed", method=call.method, trace_id=call.trace_id)
        return self._codec.error(InternalError(call.trace_id))

    def purge(self, before_us: int, count: int) -> int:
        """Forget keys of decisions before a time (microseconds UTC), at most `count`; gives how many it looked at."""
        try:
            with transaction(self._store, self._control):
                looked_at = self._store.purge(before_us, count)
        except StoreUnavailable:
            log.warning("keys not purged: the store takes no writes")
            return 0
        if looked_at and self._meters.keys_purged is not None:
            self._meters.keys_purged.add(looked_at)
        return looked_at


class Loop:
    """The engine's event source: sockets of gateways, and the lifeline to the supervisor."""

    def __init__(self, engine: Engine, listener: socket.socket, lifeline: int) -> None:
        self._engine = engine
        self._listener = listener
        self._lifeline = lifeline
        self._buffers: dict[socket.socket, bytearray] = {}
        self._selector = selectors.DefaultSelector()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(lifeline, selectors.EVENT_READ)
        self._is_over = False

    def stop(self) -> None:
        """End after the batch in hand."""
        self._is_over = True

    def run(self, expired_before_us: Callable[[], int], purge_keys_max: int) -> None:
        """Serve until stopped or until the lifeline is cut."""
        purge_at = time.monotonic() + PURGE_SECONDS
        while not self._is_over:
            received: list[tuple[socket.socket, list[Call]]] = []
            for key, _ in self._selector.select(PURGE_SECONDS):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fd == self._lifeline:
                    # The supervisor writes nothing after the settings, so this is its end.
                    self._is_over = True
                elif isinstance(key.fileobj, socket.socket):
                    received += [(key.fileobj, calls) for calls in self._receive(key.fileobj)]
            if received:
                self._answer(received)
            if time.monotonic() >= purge_at:
                more = self._engine.purge(expired_before_us(), purge_keys_max) == purge_keys_max
                purge_at = time.monotonic() + (0.0 if more and not received else PURGE_SECONDS)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(SEND_SECONDS_MAX)
        self._buffers[connection] = bytearray()
        self._selector.register(connection, selectors.EVENT_READ)

    def _receive(self, connection: socket.socket) -> list[list[Call]]:
        try:
            content = connection.recv(RECEIVE_BYTES)
            if not content:
                self._drop(connection)
                return []
            self._buffers[connection] += content
            return [frames.calls(body) for body in frames.split(self._buffers[connection])]
        except (OSError, frames.FrameTooLong):
            self._drop(connection)
            return []

    def _answer(self, received: list[tuple[socket.socket, list[Call]]]) -> None:
        merged = [call for _, calls in received for call in calls]
        answers = self._engine.answers(merged, time.monotonic_ns() // 1_000)
        start = 0
        for connection, calls in received:
            content = frames.frame(answers[start : start + len(calls)])
            start += len(calls)
            if connection in self._buffers:
                try:
                    connection.sendall(content)
                except OSError:
                    log.warning("gateway dropped: it takes no answers")
                    self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._buffers[connection]
        connection.close()
