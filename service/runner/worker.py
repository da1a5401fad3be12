"""A worker of the daily run: reads accounts in order, finds whom the policy promises a raise, and has them raised.

Promises that what it reads only selects: the engine decides each account anew, once a day, and writes down the chunk's
decisions with the worker's progress. It can be killed at any point; another one goes on from the last chunk. It keeps
out of the way of live traffic: small chunks and long pauses while callers are there. Memory is one page of accounts.
"""

import time
from typing import Final, NamedTuple, Protocol

import structlog

from service.domain.account import DAYS_BACK_MAX, Account, growth_then, has_limit, known, settled
from service.domain.book import Book
from service.domain.daily_run import Discrepancy, DiscrepancyKind, PromiseLine, Shard, added, line_of
from service.domain.decide import judge_in
from service.domain.decision import APPROVED, RAISE, Decision, Moment, standing_of
from service.domain.entitlement import RUN_CALLER, entitlement_of
from service.domain.errors import EngineUnavailable, HoldlineError
from service.domain.facts import NEVER_OBSERVED
from service.domain.judge import judge
from service.domain.mode import NORMAL
from service.engine.control import Control
from service.engine.desks.run_work import Chunk, Reply, Task, TaskKind, WorkerAsk, ask_bytes, reply_of
from service.engine.ports.calendar import Calendar
from service.engine.ports.codec import Asks
from service.engine.ports.ledger import Ledger
from service.engine.ports.store import Store
from service.engine.replay import difference_of

PAGE: Final = 1_000
PAGE_BUSY: Final = 12
"""Accounts a chunk without callers, and while there are some."""
QUIET_SECONDS: Final = 1.0
"""Callers are taken to be there until so long after the last call."""
PAUSES_BUSY: Final = 3.0
"""While there are callers, a worker rests for so many times as long as its chunk took."""

_SEPARATOR: Final = "/"
"""In a place in the queue; no account id holds it."""
QUEUE_DONE: Final = _SEPARATOR
"""How far making good is when whoever waited has had a turn."""
DISCREPANCIES_MAX: Final = len(DiscrepancyKind) * (2 * DAYS_BACK_MAX + 2)
"""More than one account has for the days that can still be made good and those after them."""

log = structlog.get_logger("holdline.runner")


class LedgerStore(Store, Ledger, Protocol):
    """A store that can be read from end to end."""


class Found(NamedTuple):
    """What a day came to for one account."""

    line: PromiseLine | None
    discrepancy: Discrepancy | None
    is_late: bool


class Worker:
    """Works tasks off, one chunk a turn."""

    def __init__(
        self, store: LedgerStore, engine: Asks, method: int, control: Control, calendar: Calendar, holder: str
    ) -> None:
        self._store = store
        self._engine = engine
        self._method = method
        self._control = control
        self._calendar = calendar
        self._holder = holder
        self._task: Task | None = None
        self._shards: tuple[int, list[Shard]] = (0, [])
        self._calls = -1
        self._called_at = 0.0
        self._page = PAGE_BUSY

    def turn(self) -> float:
        """Work one chunk off; gives how long to rest, in seconds, or -1 where there is nothing to do."""
        began = time.monotonic()
        try:
            if self._task is None:
                self._task = self._ask(None).task
                if self._task is None:
                    return -1.0
            chunk = self._chunk(self._task)
            reply = self._ask(chunk)
        except HoldlineError as error:
            log.warning("worker waits", reason=error.reason)
            return -1.0
        if reply.refusal:
            log.warning("task given up", why=reply.refusal)
            self._task = None
            return -1.0
        self._task = None if chunk.is_done else self._task._replace(done_id=chunk.done_id, is_counted=True)
        return self._rest(reply, time.monotonic() - began)

    def _rest(self, reply: Reply, took_seconds: float) -> float:
        """Give how long to rest, and choose the next page: a small one until callers have been away for a while."""
        now = time.monotonic()
        if reply.calls != self._calls:
            self._calls, self._called_at = reply.calls, now
        if now - self._called_at < QUIET_SECONDS:
            self._page = PAGE_BUSY
            return PAUSES_BUSY * took_seconds
        self._page = min(self._page * 2, PAGE)
        return 0.0

    def _ask(self, chunk: Chunk | None) -> Reply:
        answer = self._engine.ask(self._method, RUN_CALLER, ask_bytes(WorkerAsk(self._holder, chunk)))
        if answer.code:
            raise EngineUnavailable
        return reply_of(answer.body)

    def _chunk(self, task: Task) -> Chunk:
        works = {
            TaskKind.QUEUE: self._queue,
            TaskKind.RUN: self._run,
            TaskKind.CLOSE: self._close,
            TaskKind.MAKE_GOOD: self._make_good,
        }
        with self._store.snapshot():
            return works[task.kind](task)

    def _queue(self, task: Task) -> Chunk:
        since, _, decision = task.done_id.partition(_SEPARATOR)
        after = (int(since), int(decision)) if task.done_id else (0, 0)
        found = self._store.runs.waiting(task.waiting_day, after, self._page)
        done_id = f"{found[-1][1]}{_SEPARATOR}{found[-1][2]}" if found else task.done_id
        names = tuple(name for name, _, _ in found if self._waits(name, task.business_day))
        return _chunk_of(task, done_id, is_done=len(found) < self._page, raises=names, looked=len(found))

    def _waits(self, account_id: str, day: int) -> bool:
        """Claim that an account still waits for the budget when a day begins: nothing came of its place since."""
        newest = self._store.runs.entitlements(account_id, day, 1)
        return bool(newest) and newest[0].waiting_since > 0

    def _run(self, task: Task) -> Chunk:
        moment = self._moment(task)
        accounts, chunk = self._read(task)
        raises = tuple(account.account_id for account in accounts if self._is_due(account, moment))
        count = 0 if task.is_counted else self._store.runs.account_count()
        without = sum(not has_limit(account, moment.business_day) for account in accounts)
        return chunk._replace(raises=raises, accounts=count, without_limit=without)

    def _moment(self, task: Task) -> Moment:
        """Give the time, with the policies and the mode in force as of it."""
        now_us = self._control.refresh(self._store).now_us
        return Moment(now_us, task.business_day, today=self._calendar.business_day(now_us))

    def _read(self, task: Task) -> tuple[list[Account], Chunk]:
        """Read the next accounts of a task, and give a chunk that says how far that is."""
        accounts = self._store.runs.accounts_after(task.done_id, task.upto_id, self._page)
        is_done = len(accounts) < self._page or accounts[-1].account_id == task.upto_id
        done_id = task.upto_id if is_done else accounts[-1].account_id
        return accounts, _chunk_of(task, done_id, is_done=is_done, raises=(), looked=len(accounts))

    def _is_due(self, account: Account, moment: Moment) -> bool:
        """Claim that a raise is promised now, by the active policy or, where playbooks are in force, in their mode."""
        if not has_limit(account, moment.business_day) or account.product not in self._control.products:
            return False
        account = settled(account, moment.now_us)
        policy = self._control.active(account.product)
        standing = standing_of(account, known(account, moment.today), growth_then(account, moment.business_day))
        if judge(RAISE, standing, policy, moment).promised_minor:
            return True
        mode = self._control.mode
        if mode is NORMAL:
            return False
        names = account.account_id, account.product
        return bool(judge_in(mode, RAISE, *names, standing, policy, moment).verdict.promised_minor)

    def _close(self, task: Task) -> Chunk:
        moment = self._moment(task)
        if self._shards[0] != task.business_day or not task.done_id:
            self._shards = task.business_day, self._store.runs.shards(task.business_day)
        accounts, chunk = self._read(task)
        found = [(account.account_id, self._day_of(account, moment)) for account in accounts]
        return chunk._replace(
            raises=tuple(name for name, day in found if day.is_late),
            lines=added((), tuple(day.line for _, day in found if day.line is not None)),
            discrepancies=tuple(day.discrepancy for _, day in found if day.discrepancy is not None),
        )

    def _day_of(self, account: Account, moment: Moment) -> Found:
        """Hold one account against the decision log of a day."""
        day = moment.business_day
        made, corrupt = self._decisions(account, day)
        promised = [decision for decision in made if decision.promised_minor]
        granted = [decision for decision in promised if decision.outcome is APPROVED]
        line = None
        if promised:
            last = (granted or promised)[-1]
            policy = self._control.version(self._store, last.policy_version)
            settled_by = entitlement_of(last, policy)
            line = line_of(settled_by)
            kept = self._store.runs.entitlement(account.account_id, day)
            if kept is None or kept.state is not settled_by.state:
                corrupt = corrupt or "the promise ledger says otherwise than the decision log"
            if len(granted) > 1 and policy.raises.after_raise_days >= 1:
                numbers = ", ".join(f"{decision.number:016x}" for decision in granted)
                return Found(line, _differs(day, account, DiscrepancyKind.DOUBLED, f"raised by {numbers}"), False)
        if corrupt:
            return Found(line, _differs(day, account, DiscrepancyKind.CORRUPT, corrupt), False)
        if promised or any(decision.caller == RUN_CALLER for decision in made) or not self._is_due(account, moment):
            return Found(line, None, False)
        passed_us = self._passed_us(account.account_id)
        if passed_us and _changed_us(account) > passed_us:
            return Found(None, None, True)
        why = "the run passed and recorded nothing" if passed_us else "no run came by"
        missing = _differs(day, account, DiscrepancyKind.MISSING, f"a raise was due: {why}")
        return Found(None, missing, False)

    def _decisions(self, account: Account, day: int) -> tuple[list[Decision], str]:
        """Give an account's decisions for a day, oldest first, and what is wrong with one of them, if anything."""
        since_us = self._calendar.starts_us(day)
        made: list[Decision] = []
        wrong = ""
        number = account.last_decision
        while number:
            sealed = self._store.sealed(number)
            if sealed is None:
                return made[::-1], f"decision {number:016x} is missing"
            decision = sealed.decided.decision
            if decision.decided_us < since_us:
                break
            if decision.business_day == day:
                made.append(decision)
                if not sealed.is_intact:
                    wrong = f"decision {number:016x} was altered"
                elif difference := difference_of(decision, self._store, self._control):
                    wrong = f"decision {number:016x}: {difference}"
            number = decision.previous
        return made[::-1], wrong

    def _passed_us(self, account_id: str) -> int:
        """Give when the day's run passed an account at the earliest, 0 where it did not.

        That is when the shard was begun: what has changed since may have changed after the run looked, so the closing
        settles it and opens no incident.
        """
        for shard in self._shards[1]:
            if shard.after_id < account_id <= shard.upto_id:
                return (shard.begun_us or shard.done_us) if shard.done_us else 0
        return 0

    def _make_good(self, task: Task) -> Chunk:
        """Raise whom a raise is missing for: who waited for the budget when the day began first, in turn."""
        is_in_queue = not task.done_id or (_SEPARATOR in task.done_id and task.done_id != QUEUE_DONE)
        if task.waiting_day and is_in_queue:
            return self._make_good_waiting(task)
        after_id = "" if task.done_id == QUEUE_DONE else task.done_id
        found = self._store.runs.discrepancies(task.business_day, after_id, self._page)
        names = tuple(one.account_id for one in found if _lacks(one))
        done_id = found[-1].account_id if found else task.done_id
        return _chunk_of(task, done_id, is_done=len(found) < self._page, raises=names, looked=len(found))

    def _make_good_waiting(self, task: Task) -> Chunk:
        chunk = self._queue(task)
        names = tuple(name for name in chunk.raises if self._is_missing(name, task.business_day))
        done_id = QUEUE_DONE if chunk.is_done else chunk.done_id
        return chunk._replace(raises=names, done_id=done_id, is_done=False)

    def _is_missing(self, account_id: str, day: int) -> bool:
        """Claim that an account is listed as missing a raise of a day, and nothing has made it good."""
        found = self._store.runs.discrepancies_of(account_id, DISCREPANCIES_MAX)
        return any(one.business_day == day and _lacks(one) for one in found)


def _chunk_of(task: Task, done_id: str, *, is_done: bool, raises: tuple[str, ...], looked: int) -> Chunk:
    return Chunk(task.kind, task.business_day, task.shard, task.done_id, done_id, is_done, raises, looked)


def _lacks(found: Discrepancy) -> bool:
    return found.kind is DiscrepancyKind.MISSING and not found.decision


def _differs(day: int, account: Account, kind: DiscrepancyKind, detail: str) -> Discrepancy:
    return Discrepancy(day, account.account_id, kind, detail, 0)


def _changed_us(account: Account) -> int:
    """Give when an account last changed in a way that a promise could hang on, in microseconds since the epoch UTC."""
    observed = (seen for seen in account.profile.observed_us if seen != NEVER_OBSERVED)
    taken_us = account.behaviour.taken_us if account.behaviour is not None else 0
    return max(Book.microsecond(account.last_decision), Book.microsecond(account.last_posting), taken_us, *observed)
