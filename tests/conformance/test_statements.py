"""Statements name the columns that they read and bind, and a record's fields are its columns."""

import re
from pathlib import Path
from typing import Any

import apsw
import apsw.ext
import pytest

from service.storage import rows
from service.storage.sqlite import store  # noqa: F401 - with it come the forms of all its parts.
from service.storage.sqlite.forms import Form
from service.storage.sqlite.sql import STATEMENTS
from tests.builders import sqlite

INSERTED = re.compile(
    r"INSERT (?:OR REPLACE )?INTO \w+ \(([^)]*)\)\s*VALUES \((.*?)\)(?:\s*ON|\s*RETURNING|;|$)", re.DOTALL
)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> apsw.Connection:
    path: Path = tmp_path_factory.mktemp("statements") / "holdline.db"
    sqlite(path).close()
    return apsw.Connection(str(path))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def test_no_statement_takes_columns_by_their_place_in_the_table() -> None:
    unnamed = [
        name for name, sql in STATEMENTS.items() if re.search(r"\*(?!\))(?!.*\*/)\s+FROM|\.\*|INTO \w+ VALUES", sql)
    ]

    assert unnamed == []


@pytest.mark.parametrize("name", [name for name, sql in STATEMENTS.items() if "INSERT" in sql])
def test_what_is_inserted_is_bound_by_name_or_in_the_named_order(name: str) -> None:
    found = INSERTED.search(STATEMENTS[name])
    assert found is not None, STATEMENTS[name]
    columns, values = _names(found[1]), [one.strip() for one in re.split(r",(?![^(]*\))", found[2])]

    assert len(columns) == len(values)
    for column, value in zip(columns, values, strict=True):
        assert not value.startswith(":") or value[1:] in (column, "approvals"), (name, column, value)


@pytest.mark.parametrize(
    ("form", "name"),
    [(form, name) for form in Form.ALL for name in form.reads],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_statement_gives_the_fields_of_its_record_in_their_order(
    connection: apsw.Connection, form: Form[Any], name: str
) -> None:
    info = apsw.ext.query_info(connection, STATEMENTS[name])

    assert tuple(column for column, _ in info.description) == form.names


@pytest.mark.parametrize(
    ("form", "name"),
    [(form, name) for form in Form.ALL for name in form.enters],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_statement_that_enters_a_record_binds_fields_that_it_has(form: Form[Any], name: str) -> None:
    bound = re.findall(r":(\w+)", STATEMENTS[name])

    if bound:
        assert set(bound) <= {*form.names, "seal"}
    else:
        found = INSERTED.search(STATEMENTS[name])
        assert found is not None
        assert tuple(_names(found[1])) == form.names


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind, names in {
            rows.AccountRow: "accounts_wanted account accounts_all accounts_after",
            rows.FoundDecision: "decision decisions_all decisions_after decisions_before",
            rows.FoundPosting: "posting",
            rows.FoundKey: "recorded",
        }.items()
        for name in names.split()
    ],
)
def test_a_statement_gives_the_columns_of_its_row_in_their_order(
    connection: apsw.Connection, kind: Any, name: str
) -> None:
    info = apsw.ext.query_info(connection, STATEMENTS[name])

    assert tuple(column for column, _ in info.description) == kind._fields


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (rows.AccountRow, "insert_account"), (rows.DecisionRow, "insert_decision"), (rows.PostingRow, "insert_posting"),
    ],
)  # fmt: skip
def test_a_row_is_bound_in_the_order_of_its_columns(kind: Any, name: str) -> None:
    found = INSERTED.search(STATEMENTS[name])

    assert found is not None
    assert tuple(_names(found[1])) == kind._fields


def test_an_account_is_replaced_by_the_row_that_opened_it() -> None:
    places = dict(re.findall(r"(\w+) = \?(\d+)", STATEMENTS["update_account"]))
    constant = {"product", "currency"}

    assert set(places) == set(rows.AccountRow._fields) - constant
    assert all(rows.AccountRow._fields[int(place) - 1] == name for name, place in places.items())


def test_the_table_of_accounts_has_the_order_of_its_row(connection: apsw.Connection) -> None:
    # Seals hash the whole row, by the writer in the row's order and by `verify` in the table's.
    columns = [row[1] for row in connection.execute("PRAGMA table_info(accounts)")]

    assert tuple(columns) == rows.AccountRow._fields
