"""How a table is drawn, so that ids, versions and times can be read and copied whatever the terminal's width.

Promises that nothing is cut off: lines break between words, and where not even the longest words fit beside each other,
each row is told as a list of its fields. The library's own way takes from the longest words first, and shows "19850…".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.table import Table

_WORD: Final = re.compile(r"[^\s\u2e80-\ufffd]+|[\u2e80-\ufffd]")
"""What a line does not break within: a word, or one of the characters that are written without spaces."""
_BORDERS: Final = 3
"""Cells that a column takes beside its own."""


def drawn(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Table:
    """Draw a table for a terminal of `width` cells."""
    room = width - _BORDERS * len(columns) - 1
    texts = [(name, *(row[place] for row in rows)) for place, name in enumerate(columns)]
    least = [max(map(_longest_word, column)) for column in texts]
    whole = [max(map(_longest_line, column)) for column in texts]
    if sum(least) > room and len(columns) > 2:
        return _lists(title, columns, rows, width)
    return _grid(title, columns, rows, _shared(least, whole, room))


def _shared(least: Sequence[int], whole: Sequence[int], room: int) -> list[int]:
    """Share the room: each column its longest word, and what is left by what each lacks to its longest line."""
    lacks = [line - word for line, word in zip(whole, least, strict=True)]
    spare = min(max(room - sum(least), 0), sum(lacks))
    widths = [word + spare * lack // max(sum(lacks), 1) for word, lack in zip(least, lacks, strict=True)]
    # Two columns are a name and its text, which may hold one word longer than the terminal is wide.
    return widths if sum(widths) <= room else [*widths[:-1], max(room - sum(widths[:-1]), 1)]


def _grid(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name, cells in zip(columns, widths, strict=True):
        table.add_column(name, overflow="fold", width=cells)
    for row in rows:
        table.add_row(*row)
    return table


def _lists(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False)
    # What a column must have at least is taken even where the other is then cut off.
    table.add_column("field", overflow="fold", min_width=min(max(map(_longest_line, columns)), width // 2 - _BORDERS))
    table.add_column("value", overflow="fold")
    for row in rows:
        for place, (name, text) in enumerate(zip(columns, row, strict=True)):
            table.add_row(name, text, end_section=place == len(columns) - 1)
    if not rows:
        table.add_row("", "nothing")
    return table


def _longest_word(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, _WORD.findall(text)), default=1)


def _longest_line(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, text.splitlines()), default=1)
