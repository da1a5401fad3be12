"""Read the named statements of statements/<noun>.sql: each has a name, a sentence, and the index that serves it.

Promises that a statement is found by its name and that a missing one fails at import.
"""

import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any, Final

import apsw

Bindings = Sequence[Any] | Mapping[str, Any]
Execute = Callable[[str, Bindings], list[Any]]
"""Runs a statement with its bindings and gives the rows: what a store lends its parts."""
ExecuteMany = Callable[[str, Sequence[Bindings]], None]
"""Runs a named statement once for each set of bindings."""


def read() -> dict[str, str]:
    """Give the statements by name."""
    statements: dict[str, str] = {}
    for file in resources.files("service.storage.sqlite").joinpath("statements").iterdir():
        parts = re.split(r"^-- name: (\w+)\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            assert name not in statements, f"two statements are called {name}"
            statements[name] = _compact(body)
    return statements


def _compact(body: str) -> str:
    """Leave out comments and indentation: a statement is looked up by its text, each time that it runs.

    Sentences and line breaks took 2 % of a decision's instructions.
    """
    return " ".join(line.strip() for line in body.splitlines() if not line.lstrip().startswith("--"))


STATEMENTS: Final = read()


def numbers_of(numbers: Sequence[int]) -> Any:
    """Give numbers as what a statement binds in place of `carray(?)`; at least one."""
    # Of numbers apsw binds a buffer, of strings a tuple.
    return apsw.carray(array("q", numbers))
