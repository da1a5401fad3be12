"""The demonstration: the main job on real input, in under a minute, with every promise checked.

Starts a real server on a free loopback port, loads a population, decides with several callers at once with deliberate
duplicates and retries, asks every key again, verifies and replays the store.
"""

import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from holdline.client import Client, DeadlineExceeded, HoldlineError, decide, money
from holdline.v1 import decision_pb2
from holdline.v1 import limit_service_pb2 as limits
from holdline.v1.money_pb2 import Money
from rich.console import Console
from rich.progress import Progress

from service import bootstrap, population
from service.cli import output
from service.cli.takeover import take_over
from service.engine.replay import replay as replay_ledger
from service.local_server import running_server
from service.storage import opening
from service.storage.verify import verify as verify_ledger

CALLERS = 6
BATCH_ITEMS = 1_000
PERCENTILES = (("50", 0.5), ("90", 0.9), ("99", 0.99), ("99.9", 0.999))
SYNTHETIC_COUNT = 6_000
DATA_VARIABLE = "HOLDLINE_DATA"
DATA_FILE = "credit_card_clients.csv.gz"
IMPATIENT_SECONDS = 0.001
"""A deadline that mostly passes before the answer comes, so that the outcome is unknown and the retry must learn it."""


class Journal:
    """What the callers were told: request, first answer, and every answer that differs from the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.answers: dict[str, tuple[limits.DecideRequest, limits.DecideResponse]] = {}
        self.seconds: list[float] = []
        self.replays = 0
        self.unknown = 0
        self.refused: Counter[str] = Counter()
        self.broken: list[str] = []

    def enter(
        self, caller: str, request: limits.DecideRequest, response: limits.DecideResponse, seconds: float
    ) -> None:
        """Enter an answer and hold it against the first one with its key."""
        key = f"{caller}/{request.request_id}"
        with self._lock:
            self.seconds.append(seconds)
            self.replays += response.replayed
            first = self.answers.setdefault(key, (request, response))[1]
            if first.decision != response.decision:
                self.broken.append(f"{key} was answered with two decisions")

    def refuse(self, reason: str) -> None:
        """Count a refusal."""
        with self._lock:
            self.refused[reason] += 1

    def lose_patience(self) -> None:
        """Count a call whose outcome its caller doesn't know."""
        with self._lock:
            self.unknown += 1


def data_file() -> Path | None:
    """Find the public data set: where HOLDLINE_DATA says, else in shared/data beside the checkout."""
    checkout = Path(__file__).resolve().parents[2]
    named = os.environ.get(DATA_VARIABLE)
    candidates = [Path(named)] if named else []
    candidates.append(checkout.parent / "shared" / "data" / DATA_FILE)
    return next((path for path in candidates if path.is_file()), None)


def run(decisions: int, seed: int) -> list[str]:
    """Run the main job and give the promises that were broken."""
    console = Console()
    file = data_file()
    customers = list(population.credit_card_clients(file) if file else population.synthetic(SYNTHETIC_COUNT, seed))
    source = (
        "Default of Credit Card Clients (I-Cheng Yeh, UCI, doi 10.24432/C55S3H, CC BY 4.0)" if file else "synthetic"
    )
    console.print(f"Population: {len(customers)} accounts, {source}")
    with tempfile.TemporaryDirectory(prefix="holdline-demo-") as name:
        folder = Path(name)
        journal = Journal()
        with running_server(folder) as server, Progress(console=console) as progress:
            loading = progress.add_task("accounts", total=len(customers))
            with Client(server.listen, caller="import", timeout_seconds=30.0) as client:
                _, _, refused = take_over(client, customers, lambda count: progress.advance(loading, count))
            journal.broken += [f"{account_id} was not imported: {error}" for account_id, error in refused]
            deciding = progress.add_task("decisions", total=decisions)
            started = time.perf_counter()
            with ThreadPoolExecutor(CALLERS) as pool:
                callers = [
                    pool.submit(
                        _work, server.listen, number, customers[number::CALLERS], decisions // CALLERS,
                        random.Random(seed + number), journal, lambda: progress.advance(deciding),
                    )
                    for number in range(CALLERS)
                ]  # fmt: skip
            for caller in callers:
                caller.result()
            seconds = time.perf_counter() - started
            checking = progress.add_task("every key again", total=len(journal.answers))
            _ask_again(server.listen, journal, lambda: progress.advance(checking))
            explanations = _explanations(server.listen, journal)
        _report(journal, seconds)
        for title, explained in explanations:
            console.print(f"[bold]{title}[/bold]")
            console.print("\n".join(f"  {summary.text}" for summary in explained.summaries))
        journal.broken += _verify(folder / "holdline.db", journal, len(customers), console)
        if server.process.returncode != 0:
            journal.broken.append(f"the server ended with {server.process.returncode}")
    return journal.broken


def _work(
    listen: str,
    number: int,
    customers: list[population.Customer],
    count: int,
    rng: random.Random,
    journal: Journal,
    advance: Callable[[], None],
) -> None:
    """Decide as one caller: fresh requests, duplicates sent at once, and impatient ones that are retried."""
    caller = f"demo-{number}"
    with (
        Client(listen, caller=caller) as client,
        Client(listen, caller=caller, timeout_seconds=IMPATIENT_SECONDS) as hasty,
        ThreadPoolExecutor(2) as twins,
    ):
        for position in range(count):
            request = _request(number, position, customers, rng)
            chance = rng.random()
            try:
                if chance < 0.05:
                    for twin in [twins.submit(_send, client, caller, request, journal) for _ in range(2)]:
                        twin.result()
                    advance()
                    continue
                if chance < 0.10:
                    _send_hastily(hasty, caller, request, journal)
                _send(client, caller, request, journal)
            except HoldlineError as error:
                journal.refuse(error.reason)
            advance()


def _send(client: Client, caller: str, request: limits.DecideRequest, journal: Journal) -> None:
    started = time.perf_counter()
    response = client.send(request)
    journal.enter(caller, request, response, time.perf_counter() - started)


def _send_hastily(client: Client, caller: str, request: limits.DecideRequest, journal: Journal) -> None:
    try:
        _send(client, caller, request, journal)
    except DeadlineExceeded:
        journal.lose_patience()


def _request(
    number: int, position: int, customers: list[population.Customer], rng: random.Random
) -> limits.DecideRequest:
    """Draw a request: mostly reviews and raises, some cuts, some new customers.

    The data has no bureau score, income or identity; callers bring them as news, drawn around what the data says.
    """
    customer = rng.choice(customers)
    kind = rng.choices(("review", "raise", "reduce", "assign"), (40, 40, 10, 10))[0]
    late = customer.facts["late_months_12m"]
    news: dict[str, int | Money] = {
        "bureau_score": max(min(int(rng.gauss(700 - 45 * late, 60)), 900), 300),
        "monthly_income": money(int(customer.limit_minor * rng.uniform(0.15, 0.8)) // 100 * 100, population.CURRENCY),
        "identity_level": rng.choices((1, 2, 3), (1, 6, 3))[0],
        "enquiries_30d": min(int(rng.expovariate(0.6)), 20),
        "employment_months": rng.randrange(240),
        "profile_completeness_bp": rng.randrange(4_000, 10_001),
    }
    request_id = f"{number}-{position}"
    if kind == "assign":
        facts = {**customer.facts, **news}
        return decide(f"new-{request_id}", kind, product=population.PRODUCT, facts=facts, request_id=request_id)
    return decide(customer.account_id, kind, facts=news, request_id=request_id)


def _ask_again(listen: str, journal: Journal, advance: Callable[[], None]) -> None:
    """Ask every key once more, in batches: each must answer from the record, as before."""
    by_caller: dict[str, list[limits.DecideRequest]] = {}
    for key, (request, _) in journal.answers.items():
        by_caller.setdefault(key.partition("/")[0], []).append(request)
    for caller, requests in by_caller.items():
        with Client(listen, caller=caller, timeout_seconds=30.0) as client:
            for start in range(0, len(requests), BATCH_ITEMS):
                batch = requests[start : start + BATCH_ITEMS]
                for request, result in zip(batch, client.batch(batch), strict=True):
                    first = journal.answers[f"{caller}/{request.request_id}"][1]
                    if isinstance(result, HoldlineError):
                        journal.broken.append(f"{caller}/{request.request_id} was lost: {result}")
                    elif not result.replayed or result.decision != first.decision:
                        journal.broken.append(f"{caller}/{request.request_id} was decided twice")
                    advance()


def _explanations(listen: str, journal: Journal) -> list[tuple[str, limits.ExplainDecisionResponse]]:
    """Explain three customers' decisions: a raise, a cut, and a refusal with advice."""
    wanted: dict[str, Callable[[decision_pb2.Decision], bool]] = {
        "A raise": lambda made: made.new_limit.minor_units > made.old_limit.minor_units > 0,
        "A cut": lambda made: made.new_limit.minor_units < made.old_limit.minor_units,
        "A refusal": lambda made: output.outcome(made) == "declined" and "WAIT_AFTER_RAISE" not in made.reasons[0].code,
    }
    found = []
    with Client(listen, caller="demo-explains") as client:
        for title, fits in wanted.items():
            fitting = [response.decision for _, response in journal.answers.values() if fits(response.decision)]
            explained = [client.explain(decision.decision_id) for decision in fitting[:40]]
            if explained:
                found.append((title, max(explained, key=lambda explanation: bool(explanation.advice))))
            else:
                journal.broken.append(f"no decision to explain: {title.lower()}")
    return found


def _report(journal: Journal, seconds: float) -> None:
    """Print what happened."""
    counts: Counter[tuple[str, str]] = Counter()
    for _, response in journal.answers.values():
        counts[output.kind(response.decision), output.outcome(response.decision)] += 1
    output.table(
        "Decisions", ("kind", "outcome", "count"), [(*names, str(count)) for names, count in sorted(counts.items())]
    )
    made = [response.decision for _, response in journal.answers.values()]
    moves = [one.new_limit.minor_units - one.old_limit.minor_units for one in made]
    ordered = sorted(journal.seconds)
    percentiles = [f"p{label} {ordered[int(len(ordered) * share)] * 1e3:.1f} ms" for label, share in PERCENTILES]
    rows = [
        ("decisions made", str(len(made))),
        ("limits raised or given", f"{sum(move > 0 for move in moves)}"),
        ("limits cut", f"{sum(move < 0 for move in moves)}"),
        ("answered from the record", str(journal.replays)),
        ("impatient calls, outcome unknown, then retried", str(journal.unknown)),
        ("refused", ", ".join(f"{count} {reason}" for reason, count in journal.refused.items()) or "0"),
        ("calls a second, from one Python process", f"{len(journal.seconds) / seconds:,.0f}"),
        ("latency", ", ".join(percentiles)),
    ]
    output.table("What happened", ("", ""), rows)


def _verify(path: Path, journal: Journal, imported: int, console: Console) -> list[str]:
    """Run `holdline verify` and `holdline replay` on the store, and count that nothing was lost or doubled."""
    broken = []
    with opening.open_ledger(f"{opening.SQLITE}{path}", bootstrap.now_us) as ledger:
        verification = verify_ledger(ledger)
        replayed = replay_ledger(ledger, bootstrap.make_control())
    expected = imported + len(journal.answers)
    if verification.decisions != expected:
        broken.append(f"{expected} decisions were acknowledged, the store has {verification.decisions}")
    broken += [*verification.faults, *replayed.differences]
    console.print(
        f"verify: {verification.accounts} accounts and {verification.decisions} decisions, "
        f"{len(verification.faults)} faults; replay: {replayed.decisions} judged again, "
        f"{len(replayed.differences)} differ"
    )
    return broken
