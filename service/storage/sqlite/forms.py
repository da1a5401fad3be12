"""How records stand in rows: a column for each field, of its name, in the fields' order.

Promises that no row is taken apart by position: a field that is added without its column, or the other way round, fails
a test over every statement, not a customer.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeVar

import msgspec

from service.engine.ports.ledger import Unreadable

Record = TypeVar("Record", bound=NamedTuple)
Read = TypeVar("Read")


class Stored(NamedTuple):
    """How a field's value is read from its column, and written into it."""

    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


FLAG: Final = Stored(bool, int)
WORDS: Final = Stored(lambda text: tuple(text.split(",")) if text else (), ",".join)


def number_of(kind: Callable[[int], Any]) -> Stored:
    """Store an enum's member as its number."""
    return Stored(kind, int)


def json_of(kind: Any) -> Stored:
    """Store what has parts of its own as JSON of a kind."""
    return Stored(msgspec.json.Decoder(kind).decode, lambda content: msgspec.json.encode(content).decode())


class Form(Generic[Record]):
    """A record's columns, and the statements that read or bind them."""

    ALL: ClassVar[list["Form[Any]"]] = []

    def __init__(
        self, kind: type[Record], stored: Mapping[str, Stored] | None = None, *, reads: str, enters: str = ""
    ) -> None:
        """`reads` names the statements that give the columns, `enters` those that bind them; names between spaces."""
        self.names: Final = kind._fields
        self.reads: Final = reads.split()
        self.enters: Final = enters.split()
        self._kind = kind
        self._stored = [(self.names.index(name), name, *how) for name, how in (stored or {}).items()]
        self.ALL.append(self)

    def record(self, row: Sequence[Any]) -> Record:
        """Give the record of a row."""
        values = list(row)
        for place, _, read, _ in self._stored:
            values[place] = read(values[place])
        return self._kind._make(values)

    def records(self, rows: Sequence[Sequence[Any]]) -> list[Record]:
        """Give the records of rows."""
        return [self.record(row) for row in rows]

    def first(self, rows: Sequence[Sequence[Any]]) -> Record | None:
        """Give the first row's record, nothing where there is none."""
        return self.record(rows[0]) if rows else None

    def bound(self, record: Record) -> dict[str, Any]:
        """Give what statements bind by the names of the columns."""
        columns = record._asdict()
        for _, name, _, write in self._stored:
            columns[name] = write(columns[name])
        return columns


def read_record(what: str, make: Callable[[], Read]) -> Read:
    """Read a record; raises Unreadable where its bytes are none that were ever written."""
    try:
        return make()
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{what} can't be read: it was altered after it was written") from error
