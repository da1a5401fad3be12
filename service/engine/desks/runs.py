"""The daily run and the closing of a day, as the engine keeps them: who works on what, and what it came to.

Promises that every account lies in exactly one shard, that a shard's progress commits with the decisions it stands
for, that a worker which died is replaced once its lease is over, and that nobody raises twice: an account's raise of a
day has one key, whichever worker sends it. Whoever waits for the budget comes before everybody else.
"""

from collections.abc import Sequence
from typing import Final

from service.domain.book import Answered
from service.domain.daily_run import (
    LAST_ID,
    QUEUE_SHARD,
    Closing,
    ClosingState,
    Discrepancy,
    DiscrepancyKind,
    PromiseLine,
    Run,
    RunState,
    Shard,
    added,
    line_of,
)
from service.domain.days import iso
from service.domain.decision import APPROVED, RAISE, Criticality, DecideCommand, Decided, Decision
from service.domain.entitlement import RUN_CALLER, run_key
from service.domain.errors import (
    AccountClosed,
    AccountNotFound,
    HoldlineError,
    NoLimitAssigned,
)
from service.domain.policy import PORTFOLIO
from service.engine.control import Control
from service.engine.desks.left_short import count_left_short, enter_left_short
from service.engine.desks.reports import Tally
from service.engine.desks.run_orders import RunOrders
from service.engine.desks.run_work import Chunk, Reply, Task, TaskKind, WorkerAsk
from service.engine.execute import execute_beside, transaction
from service.engine.ports.calendar import Calendar
from service.engine.ports.store import ControlRow, Store
from service.engine.safety import alerts
from service.engine.safety.brake import Brake

SEAL: Final = b"holdline:run"
_APART: Final = (AccountClosed, AccountNotFound, NoLimitAssigned)
"""What rules out one account's raise and no other's."""


class TaskLost(Exception):
    """The task is somebody else's by now, or over."""


class RunDesk(RunOrders):
    """Takes orders about days, tells of them, and gives workers their tasks."""

    def __init__(
        self, store: Store, control: Control, calendar: Calendar, brake: Brake, tally: Tally, shard_accounts: int,
        lease_us: int,
    ) -> None:  # fmt: skip
        """`lease_us`: a worker that is silent for so long, in microseconds, has lost its task."""
        super().__init__(store, control, calendar)
        self._brake = brake
        self._tally = tally
        self._shard_accounts = shard_accounts
        self._lease_us = lease_us

    def answer(self, ask: WorkerAsk) -> Reply:
        """Give a worker its task, or take its chunk; raises Unavailable."""
        if ask.chunk is None:
            with transaction(self._store, self._control) as row:
                return Reply(self._next_task(ask.holder, row.now_us), "", self._tally.answers)
        refusal = ""
        try:
            self._take(ask.holder, ask.chunk)
        except TaskLost as lost:
            refusal = str(lost)
        except HoldlineError as error:
            refusal = error.reason
        return Reply(None, refusal, self._tally.answers)

    def _next_task(self, holder: str, now_us: int) -> Task | None:
        """Give a worker its task of the first day that is open: days that follow wait for it."""
        first_day = self._first_open_day()
        for run in self._runs.runs_open():
            if run.business_day == first_day:
                task = self._next_shard(run, holder, now_us)
                is_over = task is None and self._run(first_day).state is RunState.DONE
                return self._next_task(holder, now_us) if is_over else task
        for closing in self._runs.closings_open():
            if closing.business_day == first_day and _is_free(closing, holder, now_us):
                self._runs.enter_closing(closing._replace(holder=holder, lease_us=now_us + self._lease_us))
                kind = TaskKind.CLOSE if closing.state is ClosingState.CLOSING else TaskKind.MAKE_GOOD
                waiting_day = self._runs.waiting_day(closing.business_day) if kind is TaskKind.MAKE_GOOD else 0
                return Task(kind, closing.business_day, 0, closing.done_id, LAST_ID, waiting_day)
        return None

    def _refuse_turn(self, business_day: int) -> None:
        """Refuse a chunk of a day while an earlier one, started meanwhile, is open; raises TaskLost."""
        if earlier := self._waits_for(business_day):
            raise TaskLost(f"{iso(earlier)} comes first")

    def _next_shard(self, run: Run, holder: str, now_us: int) -> Task | None:
        shards = self._runs.shards(run.business_day)
        if not shards and self._runs.waiting_day(run.business_day):
            # Who waits is known once earlier days are over, which may be after the start.
            shards = [Shard(run.business_day, QUEUE_SHARD, "", "", "", "", 0, 0, 0, 0, 0)]
        unfinished = [shard for shard in shards if not shard.done_us]
        is_queue = bool(unfinished) and unfinished[0].shard == QUEUE_SHARD
        # Whoever waits comes first, so nobody else begins.
        candidates = unfinished[:1] if is_queue else unfinished
        shard = next((one for one in candidates if _is_free(one, holder, now_us)), None)
        if shard is None and not is_queue and not run.is_cut:
            shard = self._cut(run, shards[-1].shard + 1 if shards else QUEUE_SHARD + 1)
        if shard is not None:
            begun_us = shard.begun_us or now_us
            self._runs.enter_shard(shard._replace(holder=holder, lease_us=now_us + self._lease_us, begun_us=begun_us))
            return Task(
                TaskKind.QUEUE if is_queue else TaskKind.RUN, run.business_day, shard.shard, shard.done_id,
                shard.upto_id, self._runs.waiting_day(run.business_day) if is_queue else 0, bool(run.accounts),
            )  # fmt: skip
        if not unfinished:
            self._runs.enter_run(run._replace(state=RunState.DONE, ended_us=now_us))
            if short := count_left_short(self._runs, run.business_day):
                alerts.send(
                    self._store.outbox, alerts.WARNING, "run_left_short", now_us, business_date=iso(run.business_day),
                    accounts=short,
                )  # fmt: skip
        return None

    def _cut(self, run: Run, number: int) -> Shard:
        """Cut the next shard off the accounts that lie in none yet."""
        upto_id = self._runs.shard_end(run.cursor, self._shard_accounts) or LAST_ID
        self._runs.enter_run(run._replace(cursor=upto_id, is_cut=upto_id == LAST_ID))
        shard = Shard(run.business_day, number, run.cursor, upto_id, run.cursor, "", 0, 0, 0, 0, 0)
        self._runs.enter_shard(shard)
        return shard

    def _take(self, holder: str, chunk: Chunk) -> None:
        """Decide a chunk's accounts and enter its progress; raises TaskLost or HoldlineError, and nothing remains."""
        day = chunk.business_day
        commands = [
            DecideCommand(
                RUN_CALLER, run_key(day, account_id), SEAL, account_id, "", RAISE, (), (), 0, "",
                criticality=Criticality.BATCH, business_day=day,
            )
            for account_id in chunk.raises
        ]  # fmt: skip
        beside = self._beside_run if chunk.kind in (TaskKind.QUEUE, TaskKind.RUN) else self._beside_closing

        def enter(row: ControlRow, answers: Sequence[Answered | HoldlineError]) -> None:
            for answered in answers:
                if isinstance(answered, HoldlineError) and not isinstance(answered, _APART):
                    raise answered
            beside(holder, chunk, row.now_us, answers)

        execute_beside(commands, self._store, self._control, self._calendar, self._brake, enter)

    def _beside_run(self, holder: str, chunk: Chunk, now_us: int, answers: Sequence[Answered | HoldlineError]) -> None:
        run = self._run(chunk.business_day)
        shard = self._runs.shard(chunk.business_day, chunk.shard)
        if run.state is not RunState.RUNNING:
            raise TaskLost(f"the run is {run.state.name.lower()}")
        self._refuse_turn(chunk.business_day)
        if shard is None or shard.holder != holder or shard.done_us or shard.done_id != chunk.from_id:
            raise TaskLost("another worker has the shard, or has gone on from here")
        enter_left_short(self._store, self._control, answers)
        promised = _promised(answers)
        granted = sum(decision.outcome is APPROVED for decision in promised)
        waiting = sum(decision.reasons[0] == PORTFOLIO.reason for decision in promised)
        self._runs.enter_shard(
            shard._replace(
                done_id=chunk.done_id, lease_us=now_us + self._lease_us, looked=shard.looked + chunk.looked,
                granted=shard.granted + granted, withheld=shard.withheld + len(promised) - granted,
                done_us=now_us if chunk.is_done else 0, waiting=shard.waiting + waiting,
                without_limit=shard.without_limit + chunk.without_limit,
            )
        )  # fmt: skip
        if chunk.accounts and not run.accounts:
            self._runs.enter_run(run._replace(accounts=chunk.accounts))

    def _beside_closing(
        self, holder: str, chunk: Chunk, now_us: int, answers: Sequence[Answered | HoldlineError]
    ) -> None:
        closing = self._closing(chunk.business_day)
        is_over = closing.state in (ClosingState.CLOSED, ClosingState.MADE_GOOD)
        if closing.holder != holder or is_over or closing.done_id != chunk.from_id:
            raise TaskLost("another worker has the closing, or has gone on from here")
        self._refuse_turn(chunk.business_day)
        lines = added(closing.lines, chunk.lines)
        for found in chunk.discrepancies:
            self._runs.enter_discrepancy(found)
        enter_left_short(self._store, self._control, answers)
        state: ClosingState = closing.state
        if state is ClosingState.MAKING_GOOD:
            self._enter_made_good(chunk, answers)
        else:
            lines = added(lines, self._late(answers))
        incident = closing.incident
        if chunk.is_done:
            if closing.state is ClosingState.CLOSING:
                incident = self._opened_incident(closing.business_day, now_us)
            state = ClosingState.CLOSED if closing.state is ClosingState.CLOSING else ClosingState.MADE_GOOD
        self._runs.enter_closing(
            closing._replace(
                state=state, ended_us=now_us if chunk.is_done else 0, done_id=chunk.done_id,
                closed_us=now_us if state is ClosingState.CLOSED else closing.closed_us,
                lease_us=now_us + self._lease_us,
                accounts=closing.accounts + chunk.looked * (closing.state is ClosingState.CLOSING), lines=lines,
                incident=incident,
            )
        )  # fmt: skip

    def _enter_made_good(self, chunk: Chunk, answers: Sequence[Answered | HoldlineError]) -> None:
        """Name the decision that settled each missing raise; what is withheld now has its reason, too."""
        for account_id, answered in zip(chunk.raises, answers, strict=True):
            number = answered.decision.number if isinstance(answered, Decided) else 0
            kind = DiscrepancyKind.MISSING
            self._runs.enter_discrepancy(Discrepancy(chunk.business_day, account_id, kind, "", number))

    def _late(self, answers: Sequence[Answered | HoldlineError]) -> tuple[PromiseLine, ...]:
        """Count what was settled at the closing itself, for accounts that became eligible after the run had passed."""
        found = [self._runs.entitlement(made.account_id, made.business_day) for made in _promised(answers)]
        return added((), tuple(line_of(settled) for settled in found if settled is not None))

    def _opened_incident(self, business_day: int, now_us: int) -> str:
        """Open an incident where the day does not add up, and tell the outside; gives its id."""
        counts = {count.kind: count.accounts for count in self._runs.discrepancy_counts(business_day)}
        counts.pop(DiscrepancyKind.LEFT_SHORT, None)
        if not counts:
            return ""
        incident = f"day-{iso(business_day)}"
        facts = {kind.name.lower(): accounts for kind, accounts in counts.items()}
        alerts.send(
            self._store.outbox, alerts.CRITICAL, "day_does_not_add_up", now_us, business_date=iso(business_day),
            incident=incident, **facts,
        )  # fmt: skip
        return incident


def _is_free(leased: Shard | Closing, holder: str, now_us: int) -> bool:
    """Claim that a worker may have a task: its own from before, or one that nobody holds any more."""
    return leased.holder == holder or leased.lease_us <= now_us


def _promised(answers: Sequence[Answered | HoldlineError]) -> list[Decision]:
    """Give the decisions among answers that settle a promise."""
    made = (answered.decision for answered in answers if isinstance(answered, Decided))
    return [decision for decision in made if decision.promised_minor]
