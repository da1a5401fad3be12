"""Records that are altered behind the server's back: what an UPDATE of a field was while each had a column."""

from typing import Any

import apsw
import msgspec

from service.storage import records

FIELDS: dict[str, tuple[str, ...]] = {
    "decision": records.DecisionRecord._fields,
    "posting": records.PostingRecord._fields,
    "account": records.AccountRecord.__struct_fields__,
}


def altering(path: str) -> apsw.Connection:
    """Open a store with `field(kind, record, name)` and `altered(kind, record, name, value)` in its SQL.

    What has parts is msgpack, or words with commas between.
    """
    connection = apsw.Connection(path)
    connection.create_scalar_function("field", _field, 3, deterministic=True)  # type: ignore[arg-type]  # the same.
    connection.create_scalar_function("altered", _altered, 4, deterministic=True)  # type: ignore[arg-type]  # SQL has no types.
    return connection


def _field(kind: str, record: bytes, name: str) -> Any:
    found = msgspec.msgpack.decode(record)[FIELDS[kind].index(name)]
    return msgspec.msgpack.encode(found) if isinstance(found, list) else found


def _altered(kind: str, record: bytes, name: str, value: Any) -> bytes:
    columns = msgspec.msgpack.decode(record)
    at = FIELDS[kind].index(name)
    if isinstance(columns[at], list):
        value = value.split(",") if isinstance(value, str) else msgspec.msgpack.decode(value)
    columns[at] = value
    return msgspec.msgpack.encode(columns)
