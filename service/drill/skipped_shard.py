"""The drill of a raise job that skips a shard: the lender's own story, rehearsed on a private copy.

A worker calls a shard done and decides nobody in it. The closing of the day must list exactly the customers who were
owed a raise, tell on-call, and one order must make them all good, nobody twice. The truth is judged apart from the
closing: whom the policy promises a raise, account by account, before the run begins.
"""

import json
from collections.abc import Callable
from typing import Final, NamedTuple

from service import bootstrap
from service.domain.account import growth_then, has_limit, known
from service.domain.book import key_of
from service.domain.daily_run import DiscrepancyKind
from service.domain.decision import Kind, Moment, standing_of
from service.domain.judge import judge
from service.domain.watch import DAY_US
from service.drill.rehearsal import IMPORTED, Event, Stage
from service.drill.stage import DirectLine, staging
from service.drill.traffic import Traffic
from service.engine.acts import Order
from service.engine.desks.run_work import TaskKind, ask_bytes, ask_of
from service.engine.execute import execute
from service.engine.ports.codec import Answer
from service.settings import Settings
from service.storage.sqlite.store import SqliteStore

NAME: Final = "raise-job-skipped-shard"
WRONG: Final = "The raise job calls a shard done and decides nobody in it; the customers in it hear nothing."
SKIPPED: Final = 3
"""The shard that is skipped."""
TURNS_MAX: Final = 100_000
IDLE_MAX: Final = 3
CALLER: Final = "drill-oncall"


class SkipRehearsed(NamedTuple):
    """What the drill found; customers by account id."""

    events: tuple[Event, ...]
    owed: frozenset[str]
    """Whom the skipped shard owed a raise."""
    listed: frozenset[str]
    """Whom the closing listed."""
    settled_wrongly: frozenset[str]
    """Whoever was promised a raise on the day and has none, or more than one, in the end."""
    is_told: bool
    """Whether on-call had an alert."""

    @property
    def is_passed(self) -> bool:
        """Whether exactly the right customers were found, told of, and made good once."""
        return bool(self.owed) and self.owed == self.listed and not self.settled_wrongly and self.is_told


class SkippingLine:
    """A line to the engine on which one shard is called done before anybody has looked."""

    def __init__(self, line: DirectLine) -> None:
        self._line = line

    def ask(self, method: int, caller: str, body: bytes) -> Answer:
        """Pass a call on, and skip the shard."""
        ask = ask_of(body)
        chunk = ask.chunk
        if chunk is not None and chunk.kind is TaskKind.RUN and chunk.shard == SKIPPED:
            body = ask_bytes(ask._replace(chunk=chunk._replace(raises=(), is_done=True)))
        return self._line.ask(method, caller, body)


def rehearse(source: str, seed: int, advance: Callable[[int], None]) -> SkipRehearsed:
    """Rehearse on a copy of a store (empty: on synthetic customers); `advance` counts accounts."""
    events: list[Event] = []
    with staging(source, seed) as (stage, people):
        runs, store = stage.parts.runs, stage.store
        policy = stage.parts.desk.policy(store.active_versions()[stage.product])
        imports = list(Traffic(people, stage.product, seed).imports(policy.currency))
        for start in range(0, len(imports), IMPORTED):
            parts = stage.parts
            execute(imports[start : start + IMPORTED], store, parts.control, parts.calendar, parts.brake)
            advance(IMPORTED)
        stage.clock.time_us += DAY_US
        day = stage.parts.calendar.business_day(stage.clock.time_us)
        promised = _promised(stage, day)
        runs.start(_order("start", day))
        events.append(Event(0, "injected", WRONG))
        _work(stage, SkippingLine(DirectLine(stage.parts.codec)), advance)
        shard = store.runs.shard(day, SKIPPED)
        assert shard is not None, "the store has too few accounts for this drill"
        owed = frozenset(name for name in promised if shard.after_id < name <= shard.upto_id)
        run, shards, *_ = runs.report(day)
        granted = sum(one.granted for one in shards)
        events.append(Event(1, "run ended", f"{run.state.name.lower()}, {granted:,} granted"))
        stage.clock.time_us += DAY_US
        runs.close(_order("close", day))
        _work(stage, DirectLine(stage.parts.codec), advance)
        found = runs.closing(day, "", len(promised) + 1)
        listed = frozenset(one.account_id for one in found.discrepancies if one.kind is DiscrepancyKind.MISSING)
        alerts = [json.loads(message.body) for message in store.outbox.due("alert", stage.clock.time_us, 10)]
        is_told = any(alert["what"] == "day_does_not_add_up" for alert in alerts)
        events.append(Event(2, "detected", f"the closing lists {len(listed):,} customers; on-call told: {is_told}"))
        runs.make_good(_order("make good", day))
        _work(stage, DirectLine(stage.parts.codec), advance)
        wrong = frozenset(name for name in promised if _settlements(stage, name, day) != 1)
        events.append(Event(3, "made good", f"{len(listed):,} customers; {len(wrong):,} are not settled once"))
        return SkipRehearsed(tuple(events), owed, listed, wrong, is_told)


def _order(action: str, day: int) -> Order:
    """Give the drill's own order about a day."""
    return Order(action, key_of(CALLER, action), action.encode(), CALLER, NAME, day)


def _promised(stage: Stage, day: int) -> frozenset[str]:
    """Give whom the policies promise a raise on a day, judged account by account."""
    assert isinstance(stage.store, SqliteStore)
    versions = stage.store.active_versions()
    moment = Moment(stage.clock.time_us, day)
    found = set()
    for account in stage.store.accounts():
        if has_limit(account, day):
            policy = stage.parts.desk.policy(versions[account.product])
            standing = standing_of(account, known(account, day), growth_then(account, day))
            if judge(Kind.RAISE, standing, policy, moment).promised_minor:
                found.add(account.account_id)
    return frozenset(found)


def _settlements(stage: Stage, account_id: str, day: int) -> int:
    """Count the decisions that settled an account's promise of a day: granted, or withheld with a reason."""
    made = stage.store.account_decisions(account_id, 0, 10)
    return sum(one.decision.business_day == day and one.decision.promised_minor > 0 for one in made)


def _work(stage: Stage, line: DirectLine | SkippingLine, advance: Callable[[int], None]) -> None:
    """Let a worker work until there is nothing left to do."""
    assert isinstance(stage.store, SqliteStore)
    worker = bootstrap.make_worker(stage.store, line, Settings(), "drill-worker")
    idle = 0
    for _ in range(TURNS_MAX):
        # A worker also pauses where its task is lost to it, as the skipped shard is.
        idle = idle + 1 if worker.turn() < 0 else 0
        if idle == IDLE_MAX:
            return
        advance(1)
    raise RuntimeError("the run has no end")
