"""`make bench-run`: the daily run at size, and what it costs live callers.

Promises a real server with its workers, accounts taken over through the API, and the same open loop of calls alone and
during a run. Timings are reported, never asserted.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from holdline.client import Client, HoldlineError
from holdline.v1 import account_pb2, account_service_pb2
from holdline.v1.money_pb2 import Money

from loadtests import bench
from loadtests.dates import days_ago
from loadtests.machine import cpu_seconds
from service.local_server import Server, running_server

ACCOUNTS = 1_000_000
BATCH = 1_000
CALLS_PER_SECOND = 300.0
SECONDS = 8.0
ROUNDS = 3
WORKERS_SETTLE_SECONDS = 5.0


def take_over(client: Client, count: int) -> None:
    """Take synthetic accounts over: three in four without a late payment, so that a raise is due to about half."""
    rng = random.Random(1)
    for start in range(0, count, BATCH):
        batch = [_account(number, rng) for number in range(start, min(start + BATCH, count))]
        if any(isinstance(answer, HoldlineError) for answer in client.import_accounts(batch)):
            raise SystemExit("an account was refused")


def _account(number: int, rng: random.Random) -> account_service_pb2.ImportAccount:
    late = rng.random() < 0.25
    return account_service_pb2.ImportAccount(
        request_id=f"i-{number}", account_id=f"m-{number:07d}", product="revolving",
        limit=Money(minor_units=1_000_000 + number % 97 * 10_000, currency_code="CNY"),
        facts=account_pb2.Facts(
            identity_level=2, bureau_score=rng.randrange(560, 850), employment_months=rng.randrange(1, 200),
            monthly_income=Money(minor_units=rng.randrange(400_000, 3_000_000), currency_code="CNY"),
            enquiries_30d=rng.randrange(9), on_time_streak_months=rng.randrange(13),
            payment_ratio_bp=rng.randrange(200, 10_000), dpd_now=30 * late, dpd_max_12m=30 * late,
            late_months_12m=2 * late,
        ),
    )  # fmt: skip


def greatest_mb(pid: int) -> int:
    """Give the most memory that a process has held, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def processes(server: Server) -> Iterator[tuple[str, int]]:
    """Give the server's processes by role."""
    pids = server.pids()
    yield from ((role, pids[role]) for role in ("engine", "sentry"))
    yield from (("worker", pid) for pid in pids["workers"])


def measure_run(server: Server, client: Client, date: str) -> None:
    """Run a day with nobody else there."""
    before = {pid: cpu_seconds(pid) for _, pid in processes(server)}
    began = time.monotonic()
    client.start_run(date)
    run = list(client.watch_run(date))[-1]
    seconds = time.monotonic() - began
    print(f"run: {run.looked:,} accounts in {seconds:.1f} s, {run.looked / seconds:,.0f}/s; {run.granted:,} granted")
    for role, pid in processes(server):
        print(f"  {role}: {cpu_seconds(pid) - before[pid]:.1f} s of CPU, at most {greatest_mb(pid)} MiB")


def measure_closing(client: Client, date: str) -> None:
    """Close a day with nobody else there."""
    began = time.monotonic()
    client.close_day(date)
    while not client.closing(date).HasField("ended_at"):
        time.sleep(0.2)
    print(f"closing: {time.monotonic() - began:.1f} s")


def measure_protection(server: Server, client: Client, date: str) -> None:
    """Call at a steady rate alone, then during a run, in turns."""
    bench.load_accounts(server.listen)
    for number in range(ROUNDS):
        alone = bench.run_open(server.listen, CALLS_PER_SECOND, SECONDS, 2 * number)
        if number:
            client.resume_run(date, reason="bench")
        else:
            client.start_run(date)
        time.sleep(1.0)
        before = client.run(date).looked
        during = bench.run_open(server.listen, CALLS_PER_SECOND, SECONDS, 2 * number + 1)
        per_second = (client.run(date).looked - before) / SECONDS
        client.cancel_run(date, reason="bench")
        p50, p99 = (f"{alone.percentile(at):.1f} → {during.percentile(at):.1f}" for at in (0.5, 0.99))
        print(f"{CALLS_PER_SECOND:.0f} calls/s, alone → during, in ms: p50 {p50}; p99 {p99}")
        print(f"  the run meanwhile: {per_second:,.0f} accounts/s")


def main() -> None:
    """Print the figures of the daily run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    count = parser.parse_args().accounts
    first, second = days_ago(2), days_ago(1)
    with (
        tempfile.TemporaryDirectory(prefix="holdline-run-") as folder,
        running_server(Path(folder)) as server,
        Client(server.listen, caller="bench", timeout_seconds=30) as client,
    ):
        take_over(client, count)
        time.sleep(WORKERS_SETTLE_SECONDS)
        measure_run(server, client, first)
        measure_closing(client, first)
        measure_protection(server, client, second)


if __name__ == "__main__":
    main()
