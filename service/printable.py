"""What may reach a terminal of texts that others wrote: customers, callers, files, a server that is not ours.

Promises that nothing which moves a cursor, colours, renames a window, hides text or turns its direction round comes
through; it is shown by its number instead, so that nothing is dropped in silence.
"""

import re
from typing import Final

_CONTROL: Final = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0, DEL and C1: ESC starts sequences, and so does the one character CSI (U+009B).
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # Marks, embeddings, overrides and isolates of direction.
    r"\u2028\u2029\ufeff\ufff9-\ufffb"  # Separators of lines, and what annotates.
    r"\ud800-\udfff"  # Halves of characters, which no encoding takes.
    r"\U000e0000-\U000e007f"  # Tags, which spell hidden text.
)
_SEVERAL_LINES: Final = re.compile(f"[{_CONTROL}]")
_ONE_LINE: Final = re.compile(f"[\t\n{_CONTROL}]")
_NAMES: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def line(text: str) -> str:
    """Give a text as it may stand in one line: without a line break of its own, so that it can forge no other line."""
    return _ONE_LINE.sub(_shown, text)


def lines(text: str) -> str:
    """Give a text of several lines as it may be shown; its line breaks and tabs stay."""
    return _SEVERAL_LINES.sub(_shown, text)


def json_text(written: str) -> str:
    """Give JSON that means the same and may be shown; what stands outside of strings is ours."""
    return _SEVERAL_LINES.sub(_json_escape, written)


def unprintable(text: str, *, has_lines: bool) -> str:
    """Give, as it may be shown, the first character of a text that people could not see as it is; empty where none is.

    A text of several lines may have tabs and line breaks, whichever way its writer's system ends a line.
    """
    found = _SEVERAL_LINES.search(text.replace("\r\n", "\n")) if has_lines else _ONE_LINE.search(text)
    return _shown(found) if found else ""


def _shown(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if character in _NAMES:
        return _NAMES[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
