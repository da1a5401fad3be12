"""A day's run in one process: a population, the engine's desk, workers that can be lost at any step."""

from collections.abc import Callable

from service.domain.daily_run import ClosingReport, RunReport
from service.domain.decision import Decided, Kind
from service.domain.entitlement import Entitlement
from service.domain.errors import EngineUnavailable
from service.engine.acts import Order
from service.engine.desks.reports import Tally
from service.engine.desks.run_work import WorkerAsk, ask_of, reply_bytes
from service.engine.desks.runs import RunDesk
from service.engine.ports.codec import Answer
from service.runner.worker import Worker
from tests.builders import DAY_US, GOOD_FACTS, TODAY, Bench, command, news

DAY = TODAY + 1
"""The day that is run: the one after the accounts were opened."""
TURNS_MAX = 10_000
LEASE_US = 15_000_000


class Office:
    """The desk over a bench, and workers; `fault` may change or stop a message on its way to the engine."""

    def __init__(self, bench: Bench, shard_accounts: int = 5) -> None:
        self.bench = bench
        self.desk = RunDesk(bench.store, bench.control, bench.clock, bench.brake, Tally(), shard_accounts, LEASE_US)
        self.fault: Callable[[WorkerAsk], WorkerAsk | None] = lambda ask: ask
        self.loses_replies = False
        self.orders = 0

    def open_accounts(self, count: int, not_due: int = 0, prefix: str = "a") -> list[str]:
        """Open accounts today, the first `not_due` of them past due, so that no raise is promised to them."""
        names = [f"{prefix}-{number:05d}" for number in range(count)]
        for at, name in enumerate(names):
            facts = {**GOOD_FACTS, "bureau_score": 700 + at % 7}
            (made,) = self.bench.execute(command(request_id=name, account_id=name, news=news(**facts)))
            assert isinstance(made, Decided)
        for name in names[:not_due]:
            late = news(dpd_now=5)
            self.bench.execute(command(Kind.REVIEW, request_id=f"late-{name}", account_id=name, news=late))
        return names

    def next_day(self, days: int = 1) -> None:
        self.bench.clock.time_us += days * DAY_US

    def ask(self, method: int, caller: str, body: bytes) -> Answer:
        del method, caller
        ask = self.fault(ask_of(body))
        if ask is None:
            raise EngineUnavailable
        reply = reply_bytes(self.desk.answer(ask))
        if self.loses_replies:
            raise EngineUnavailable
        return Answer(0, reply)

    def worker(self, name: str = "w-1") -> Worker:
        return Worker(self.bench.store, self, 0, self.bench.control, self.bench.clock, name)  # type: ignore[arg-type]  # every store is a ledger.

    def work(self, worker: Worker | None = None) -> None:
        """Let a worker work until there is nothing left to do."""
        worker = worker or self.worker()
        for _ in range(TURNS_MAX):
            if worker.turn() < 0:
                return
        raise AssertionError("the work has no end")

    def order(self, action: str, day: int, request_id: str = "") -> Order:
        """Give somebody's order, by a key of its own where none is named."""
        self.orders += 1
        return Order(action, f"tests/{request_id or f'order-{self.orders}'}", action.encode(), "tests", "tests", day)

    def start(self, day: int, request_id: str = "") -> RunReport:
        return self.desk.start(self.order("start", day, request_id))[0]

    def resume(self, day: int, request_id: str = "") -> RunReport:
        return self.desk.resume(self.order("resume", day, request_id))[0]

    def cancel(self, day: int, request_id: str = "") -> RunReport:
        return self.desk.cancel(self.order("cancel", day, request_id))[0]

    def ask_closing(self, day: int, request_id: str = "") -> ClosingReport:
        return self.desk.close(self.order("close", day, request_id))[0]

    def make_good(self, day: int, request_id: str = "") -> ClosingReport:
        return self.desk.make_good(self.order("make good", day, request_id))[0]

    def run(self, day: int = DAY) -> None:
        self.start(day)
        self.work()

    def close(self, day: int = DAY) -> ClosingReport:
        self.ask_closing(day)
        self.work()
        return self.desk.closing(day, "", 10_000)

    def entitlement(self, name: str, day: int = DAY) -> Entitlement | None:
        return self.bench.store.runs.entitlement(name, day)

    def raises(self, name: str, day: int = DAY) -> int:
        """Count an account's raises of a day, from the log."""
        found = self.bench.store.account_decisions(name, 0, 100)
        made = [one.decision for one in found if one.decision.business_day == day]
        return sum(one.new_limit_minor > one.old_limit_minor for one in made)
