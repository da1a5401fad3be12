"""Stores in the form of before slim rows, for tests of how they are brought up.

The old tables are made by the old migrations and filled by the old writer, which wrote those stores in their time.
"""

from pathlib import Path

import apsw

from service.storage import records, rows, rows_before
from service.storage.sqlite import migrate, seals
from service.storage.sqlite.sql import STATEMENTS

LAST_BEFORE = 30
LOGS = ("accounts", "decisions", "postings")
INSERT_ACCOUNT = f"INSERT INTO accounts VALUES ({', '.join('?' * 18)})"
INSERT_DECISION = STATEMENTS["before_insert_decision"].replace("decisions_before", "decisions")
INSERT_POSTING = STATEMENTS["before_insert_posting"].replace("postings_before", "postings")


def _old_schema() -> list[str]:
    """Give what makes the old tables and their triggers."""
    connection = apsw.Connection(":memory:")
    for number, script in migrate.migrations():
        if number <= LAST_BEFORE:
            connection.execute(script)
    found = connection.execute(
        "SELECT tbl_name, sql FROM sqlite_schema WHERE type IN ('table', 'trigger') ORDER BY type"
    ).fetchall()
    return [str(sql) for table, sql in found if table in LOGS]


def take_back(path: Path) -> None:
    """Make a store what the version before would have written."""
    connection = apsw.Connection(str(path))
    with connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        for table in LOGS:
            connection.execute(f"ALTER TABLE {table} RENAME TO {table}_slim")
        for sql in _old_schema():
            connection.execute(sql)
        chains: dict[str, bytes] = {}
        for record, facts in connection.execute("SELECT record, facts FROM decisions_slim ORDER BY number"):
            decision = records.decision_of(record, facts)
            row = rows_before.decision_row(decision, {})
            link = rows_before.decision_link(chains.get(decision.account_id, b""), row)
            chains[decision.account_id] = link
            connection.execute(INSERT_DECISION, (*row, link))
        postings_chains: dict[str, bytes] = {}
        for (record,) in connection.execute("SELECT record FROM postings_slim ORDER BY number"):
            posting = records.posting_of(record)
            row = rows_before.posting_row(posting)
            link = rows_before.posting_link(postings_chains.get(posting.account_id, b""), row)
            postings_chains[posting.account_id] = link
            connection.execute(INSERT_POSTING, (*row, link))
        for found in connection.execute(STATEMENTS["accounts_all"].replace("FROM accounts", "FROM accounts_slim")):
            account = rows.account(rows.AccountRow._make(found))
            name = account.account_id
            old = rows_before.account_row(account, chains.get(name, b""), postings_chains.get(name, b""), {})
            connection.execute(INSERT_ACCOUNT, old)
        for table in LOGS:
            connection.execute(f"DROP TABLE {table}_slim")
        connection.execute(f"PRAGMA user_version = {LAST_BEFORE}")
        seals.seal_anew(connection)
    connection.close()
