"""What the command line prints can be read and copied at any width, and a reader that goes away ends it in order."""

import io
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from service.cli import tables
from service.exit_codes import READER_GONE

WORDS = st.text("abcdefgh0123456789-_.,", min_size=1, max_size=28)
CELLS = st.lists(
    WORDS | st.sampled_from(["\u6211\u4eec\u4e0d\u77e5\u9053", "2026-11-27T14:32:03.043353Z"]), max_size=8
).map(" ".join)


@st.composite
def _contents(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    width = draw(st.integers(1, 9))
    row = st.lists(CELLS, min_size=width, max_size=width)
    return draw(st.lists(WORDS, min_size=width, max_size=width)), draw(st.lists(row, max_size=3))


def _printed(columns: list[str], rows: list[list[str]], width: int) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, emoji=False, markup=False, color_system=None)
    console.print(tables.drawn("", columns, rows, width))
    return out.getvalue()


@given(_contents(), st.integers(40, 200))
def test_no_table_cuts_anything_off(content: tuple[list[str], list[list[str]]], width: int) -> None:
    columns, rows = content
    printed = _printed(columns, rows, width)

    assert "\u2026" not in printed
    # Lines break within a cell, so its characters stand in order but not together.
    letters = sorted("".join(printed.split()))
    for cell in (cell for row in rows for cell in row):
        for letter in set(cell) - {" "}:
            assert letters.count(letter) >= cell.count(letter)


@given(_contents(), st.integers(70, 200))
def test_no_word_is_broken_that_a_line_has_room_for(content: tuple[list[str], list[list[str]]], width: int) -> None:
    columns, rows = content
    printed = _printed(columns, rows, width)

    for word in (word for row in rows for cell in row for word in cell.split() if word.isascii()):
        assert word in printed


def _piped(arguments: list[str], reads: int) -> int:
    command = subprocess.Popen([sys.executable, "-m", "service.cli.main", *arguments], stdout=subprocess.PIPE)
    assert command.stdout is not None
    command.stdout.read(reads)
    command.stdout.close()
    return command.wait(30)


@pytest.mark.parametrize("reads", [0, 1])
@pytest.mark.parametrize(
    "arguments", [["--help"], ["load", "list"], ["policy", "validate", "service/policies/reference-2026-2.yaml"]]
)
def test_a_reader_that_went_away_is_not_a_broken_promise(arguments: list[str], reads: int) -> None:
    ended = _piped(arguments, reads)

    assert ended in ((READER_GONE,) if reads == 0 else (READER_GONE, 0))
