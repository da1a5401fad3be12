"""The engine process: execute what the gateways sent as one batch, and answer.

Promises that an answer leaves only after its commit, that expired calls are dropped before execution, and that a bug
met by one call answers INTERNAL to that call alone.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import structlog

from service.domain.behaviour import KEPT_DAYS
from service.domain.book import Answered, Command, outcome_of
from service.domain.errors import DeadlineExpired, HoldlineError, InternalError, StoreUnavailable, Unavailable
from service.domain.policy import DAY_US
from service.domain.watch import EngineSeen, MessageState
from service.engine.clock import ClockDesk
from service.engine.control import Control
from service.engine.desks.reports import Tally
from service.engine.execute import execute, transaction
from service.engine.ports.calendar import Calendar
from service.engine.ports.codec import Answer, Call, Codec, Work
from service.engine.ports.store import Store
from service.engine.safety.brake import Brake
from service.engine.safety.dead_man import DeadMan
from service.telemetry import EngineMeters, account_hash

FORGET_ENGINE_US: Final = 3_600_000_000
_FAILURES: Final = (Unavailable, InternalError)

log = structlog.get_logger("holdline.engine")


class Engine:
    """Answers calls by executing them in batches over one store."""

    def __init__(
        self,
        store: Store,
        control: Control,
        calendar: Calendar,
        codec: Codec,
        meters: EngineMeters,
        commands_max: int,
        brake: Brake,
        tally: Tally,
        dead_man: DeadMan,
        clock: ClockDesk,
    ) -> None:
        self._store = store
        self._control = control
        self._calendar = calendar
        self._brake = brake
        self._tally = tally
        self._dead_man = dead_man
        self._clock = clock
        self._codec = codec
        self._meters = meters
        self._commands_max = commands_max
        self._events_purged = ""
        """Key of the event up to which the present walk has purged."""
        self._outbox_purged = 0
        """Sequence of the message up to which the present walk has purged."""

    def answers(self, calls: Sequence[Call], now_us: int) -> Iterator[tuple[int, Answer]]:
        """Answer calls, each with its position, as soon as it may leave: decisions first.

        `now_us` is the machine's monotonic clock in microseconds.
        """
        waiting: list[tuple[int, Call, Work]] = []
        queries: list[int] = []
        size = 0
        for position, call in enumerate(calls):
            if call.deadline_us <= now_us:
                yield position, self._codec.error(DeadlineExpired())
            elif not self._codec.is_decision(call.method):
                queries.append(position)
            else:
                work = self._work(call)
                if isinstance(work, Answer):
                    yield position, work
                    continue
                if waiting and size + len(work.commands) > self._commands_max:
                    yield from self._decide(waiting)
                    waiting, size = [], 0
                waiting.append((position, call, work))
                size += len(work.commands)
        if waiting:
            yield from self._decide(waiting)
        for position in queries:
            yield position, self._query(calls[position])

    def _work(self, call: Call) -> Work | Answer:
        try:
            return self._codec.work(call)
        except HoldlineError as error:
            return self._codec.error(error)
        except Exception:  # noqa: BLE001 - The outermost edge for one request's translation.
            return self._internal(call)

    def _decide(self, waiting: list[tuple[int, Call, Work]]) -> Iterator[tuple[int, Answer]]:
        """Execute what waits in one transaction and assemble the answers."""
        commands = [
            command for _, _, work in waiting for command in work.commands if not isinstance(command, HoldlineError)
        ]
        executed = iter(self._execute(commands) if commands else [])
        for position, call, work in waiting:
            answers = [command if isinstance(command, HoldlineError) else next(executed) for command in work.commands]
            try:
                answer = self._codec.answer(call, work, answers)
            except Exception:  # noqa: BLE001 - The outermost edge for one answer's translation; its decisions are durable.
                answer = self._internal(call)
            yield position, answer

    def _execute(self, commands: list[Command]) -> list[Answered | HoldlineError]:
        started = time.perf_counter()
        try:
            answers = execute(commands, self._store, self._control, self._calendar, self._brake)
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
            self._tally.add(1, 1, 0.0)
            return [InternalError(trace_id=command.trace_id)]
        self._measure(answers, time.perf_counter() - started)
        return answers

    def _measure(self, answers: list[Answered | HoldlineError], seconds: float) -> None:
        kinds = Counter(map(type, answers))
        failures = sum(count for kind, count in kinds.items() if issubclass(kind, _FAILURES))
        self._tally.add(len(answers), failures, seconds)
        if answers and isinstance(answers[0], StoreUnavailable):
            log.warning("store unavailable", commands=len(answers), kind=answers[0].metadata.get("kind", ""))
        meters = self._meters
        if meters.batch_size is None or meters.commit_seconds is None or meters.decisions is None:
            return
        meters.batch_size.record(len(answers))
        meters.commit_seconds.record(seconds)
        counts: dict[str, int] = {}
        for answer in answers:
            name = answer.reason if isinstance(answer, HoldlineError) else outcome_of(answer)
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
        return self._codec.error(InternalError(trace_id=call.trace_id))

    def report_in(self, seen: EngineSeen) -> bool:
        """Write down that this engine serves and what it is made of, and act where the guards are silent."""
        now_us = time.monotonic_ns() // 1_000
        try:
            with transaction(self._store, self._control) as row:
                engine = seen._replace(seen_us=row.now_us)
                self._store.playbooks.note_engine(engine, row.now_us - FORGET_ENGINE_US)
                if self._dead_man.is_due(now_us):
                    log.error("guards silent", done=self._dead_man.act(self._store, row, now_us))
        except Unavailable:
            log.warning("engine not reported: the store takes no writes")
        return False

    def mind_clock(self) -> bool:
        """Keep the store's time, and tell what has become of the machine's clock; a chore."""
        return self._clock.mind(self._meters)

    def purge_outbox(self, forgets: tuple[tuple[MessageState, ...], int], count: int) -> bool:
        """Forget messages of some states older than so long (microseconds), `count` a time; claims there are more."""
        states, age_us = forgets
        before_us = self._clock.time_before(age_us)
        try:
            with transaction(self._store, self._control):
                self._outbox_purged = self._store.outbox.purge(states, before_us, self._outbox_purged, count)
        except StoreUnavailable:
            log.warning("outbox not purged: the store takes no writes")
            return False
        return self._outbox_purged > 0

    def purge(self, age_us: int, count: int) -> int:
        """Forget keys of decisions older than so long (microseconds), at most `count`; gives how many it looked at.

        Their age is the time that has passed since: a jump of the store's time makes no key older.
        """
        before_us = self._clock.time_before(age_us)
        try:
            with transaction(self._store, self._control) as row:
                looked_at = self._store.purge(before_us, count)
                # A day more than any event may be old, whatever the time zone.
                before = row.now_us - (KEPT_DAYS + 1) * DAY_US
                self._events_purged = self._store.purge_events(before, self._events_purged, count)
        except StoreUnavailable:
            log.warning("keys not purged: the store takes no writes")
            return 0
        if looked_at and self._meters.keys_purged is not None:
            self._meters.keys_purged.add(looked_at)
        return looked_at
