"""Bring a large store of the version before up to slim rows, and say what that took.

`python -m tests.house.migration [DECISIONS]`: a million decisions unless said otherwise, in a folder of its own that is
removed afterwards. A thousand accounts are decided on by the engine; the rest are their likes, written by the old writer
under names and numbers of their own.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import apsw

from service.domain.decision import Kind
from service.domain.draw import DrawKind
from service.engine.replay import replay
from service.storage import rows_before
from service.storage.sqlite import seals
from service.storage.sqlite.sql import STATEMENTS
from service.storage.sqlite.store import SqliteStore
from service.storage.verify import verify
from tests.builders import Bench, command, draw, sqlite
from tests.old_store import INSERT_ACCOUNT, INSERT_DECISION, INSERT_POSTING, take_back

DECISIONS = 1_000_000
ACCOUNTS_OF_THE_ENGINE = 500
DECISIONS_EACH = 10
SPAN_BITS = 48
"""Likes of a record stand so many bits of a number apart: longer than the engine took for all of them."""


def _decided_on(path: Path) -> None:
    bench = Bench(sqlite(path))
    names = [f"a-{number:04}" for number in range(ACCOUNTS_OF_THE_ENGINE)]
    bench.execute(*(command(account_id=name, request_id=f"{name}-0") for name in names))
    for turn in range(1, DECISIONS_EACH):
        kind = Kind.RAISE if turn == 1 else Kind.REVIEW
        bench.clock.time_us += 1_000_000
        bench.execute(*(command(kind, account_id=name, request_id=f"{name}-{turn}") for name in names))
    bench.execute(*(draw(account_id=name, request_id=f"{name}-d", amount_minor=1_000) for name in names))
    bench.execute(*(draw(DrawKind.AUTHORIZE, 10**12, account_id=name, request_id=f"{name}-declined") for name in names))
    bench.store.close()


def _multiplied(path: Path, times: int) -> None:
    """Write likes of every account, each with a log of its own."""
    connection = apsw.Connection(str(path))
    columns = {
        table: ", ".join(name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})"))
        for table in ("accounts", "holds")
    }
    accounts = connection.execute(f"SELECT {columns['accounts']} FROM accounts").fetchall()
    holds = connection.execute(f"SELECT {columns['holds']} FROM holds").fetchall()
    all_of = {
        "decision": "before_decision", "posting": "before_posting",
    }  # fmt: skip
    decisions, postings = (
        connection.execute(
            STATEMENTS[name]
            .replace("_before AS", " AS")
            .replace(f"WHERE {what}s.number = ?", f"ORDER BY {what}s.number")
        ).fetchall()
        for what, name in all_of.items()
    )
    with connection:
        for turn in range(1, times):
            _like(connection, turn << SPAN_BITS, f"{turn:05}-", accounts, holds, decisions, postings)
        seals.seal_anew(connection)
    connection.close()


def _like(
    connection: apsw.Connection, shift: int, prefix: str, accounts: list[Any], holds: list[Any], decisions: list[Any],
    postings: list[Any],
) -> None:  # fmt: skip
    def moved(number: int) -> int:
        return number + shift if number else 0

    chains: dict[str, bytes] = {}
    postings_chains: dict[str, bytes] = {}
    for found in decisions:
        decision = rows_before.decided(found, replayed=True).decision
        decision = decision._replace(
            number=moved(decision.number), previous=moved(decision.previous),
            account_id=prefix + decision.account_id, request_id=prefix + decision.request_id,
        )  # fmt: skip
        row = rows_before.decision_row(decision, {})
        link = chains[decision.account_id] = rows_before.decision_link(chains.get(decision.account_id, b""), row)
        connection.execute(INSERT_DECISION, (*row, link))
        connection.execute(STATEMENTS["insert_key"], (f"{decision.caller}/{decision.request_id}", decision.number))
    for found in postings:
        posting = rows_before.posted(found, replayed=True).posting
        hold = posting.hold
        posting = posting._replace(
            number=moved(posting.number), previous=moved(posting.previous), account_id=prefix + posting.account_id,
            request_id=prefix + posting.request_id,
            hold=hold and hold._replace(account_id=prefix + hold.account_id, number=moved(hold.number)),
        )  # fmt: skip
        row = rows_before.posting_row(posting)
        name = posting.account_id
        link = postings_chains[name] = rows_before.posting_link(postings_chains.get(name, b""), row)
        connection.execute(INSERT_POSTING, (*row, link))
        connection.execute(STATEMENTS["insert_key"], (f"{posting.caller}/{posting.request_id}", posting.number))
    for found in holds:
        account_id, number, *rest = found
        marks = ", ".join("?" * len(found))
        connection.execute(f"INSERT INTO holds VALUES ({marks})", (prefix + account_id, moved(number), *rest))
    for found in accounts:
        account = rows_before.account(found)
        account = account._replace(
            account_id=prefix + account.account_id, last_decision=moved(account.last_decision),
            last_posting=moved(account.last_posting),
            holds=tuple(hold._replace(number=moved(hold.number)) for hold in account.holds),
        )  # fmt: skip
        name = account.account_id
        old = rows_before.account_row(account, chains.get(name, b""), postings_chains.get(name, b""), {})
        connection.execute(INSERT_ACCOUNT, old)


def _bytes(path: Path, tables: tuple[str, ...]) -> dict[str, int]:
    """Give the bytes that tables take."""
    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
    found = {
        table: int(connection.execute("SELECT sum(pgsize) FROM dbstat WHERE name = ?", (table,)).get or 0)
        for table in tables
    }
    connection.close()
    return found


def _moved(store: SqliteStore) -> tuple[int, float, float]:
    """Move all; gives slices, seconds and the longest slice's."""
    slices, longest, begun = 0, 0.0, time.perf_counter()
    more = True
    while more:
        start = time.perf_counter()
        more = store.move_slice()
        longest = max(longest, time.perf_counter() - start)
        slices += 1
    return slices, time.perf_counter() - begun, longest


def main(decisions: int) -> int:
    """Make the store, move it, and print the figures; gives how many faults and differences there are."""
    with tempfile.TemporaryDirectory(prefix="holdline-migration-") as folder:
        path = Path(folder) / "holdline.db"
        _decided_on(path)
        take_back(path)
        _multiplied(path, max(1, decisions // (ACCOUNTS_OF_THE_ENGINE * DECISIONS_EACH)))
        tables = ("decisions", "postings", "accounts")
        before = _bytes(path, tables)
        start = time.perf_counter()
        store = sqlite(path)
        opened = time.perf_counter() - start
        counts = dict(
            zip(tables, (store.decision_count(), store.posting_count(), store.runs.account_count()), strict=True)
        )
        slices, seconds, longest = _moved(store)
        store.close()
        after = _bytes(path, tables)
        print(f"{counts['decisions']:,} decisions, {counts['postings']:,} postings, {counts['accounts']:,} accounts")
        print(
            f"opened in {opened:.2f} s; moved in {seconds:.0f} s, {slices:,} slices, the longest {longest * 1000:.0f} ms"
        )
        for table in tables:
            each = counts[table]
            print(f"{table}: {before[table] / each:.0f} bytes each before, {after[table] / each:.0f} after")
        bench = Bench(sqlite(path))
        faults = verify(bench.store).faults  # type: ignore[arg-type]  # a file's store is a ledger.
        differences = replay(bench.store, bench.control).differences  # type: ignore[arg-type]  # the same.
        print(f"{len(faults)} faults, {len(differences)} differences", *faults[:3], *differences[:3])
        bench.store.close()
    return len(faults) + len(differences)


if __name__ == "__main__":
    raise SystemExit(min(main(int(sys.argv[1]) if len(sys.argv) > 1 else DECISIONS), 1))
