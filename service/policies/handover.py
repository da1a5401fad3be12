"""Compiled policies handed from the process that checks them to the one that decides, through the server's own folder.

Promises that whoever finds one has what compiling the same text would give, and that nothing but time is lost where
none is found. The folder is the owner's alone and ends with the server; nothing in it is ever kept or sent.
"""

import contextlib
import hashlib
import io
import marshal
import os
import pickle
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog

from service.domain.policy import Policy
from service.policies import codegen

KEPT_MAX: Final = 128
"""Most that the folder keeps, some 30 KiB each; the engine itself keeps 64."""

BROKEN: Final = (pickle.UnpicklingError, EOFError, ImportError, AttributeError, LookupError, TypeError, ValueError)
"""What reading a broken one raises; it is compiled anew then."""

Read = tuple[Policy, str]
"""A compiled policy and its content hash in hexadecimal."""

log = structlog.get_logger("holdline.policies")


class _Pickler(pickle.Pickler):
    """Writes generated functions as their code and the constants that they use."""

    def reducer_override(self, made: object) -> Any:
        if not isinstance(made, types.FunctionType) or not codegen.is_generated(made):
            return NotImplemented
        constants = {name: made.__globals__[name] for name in made.__code__.co_names if name in made.__globals__}
        return _function, (marshal.dumps(made.__code__), constants)


def _function(code: bytes, constants: dict[str, object]) -> types.FunctionType:
    return types.FunctionType(marshal.loads(code), {"__builtins__": __builtins__, **constants})  # noqa: S302 - our own.


class Handover:
    """A folder of compiled policies, found by the text that they were compiled from; `build` tells builds apart."""

    def __init__(self, folder: Path, build: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._build = build

    def _place(self, document: str) -> Path:
        return self._folder / hashlib.sha256(f"{self._build}\n{document}".encode()).hexdigest()

    def find(self, document: str) -> Read | None:
        """Give what a document was compiled to, if it was handed over."""
        try:
            content = self._place(document).read_bytes()
        except FileNotFoundError:
            return None
        try:
            found: Read = pickle.loads(content)  # noqa: S301 - written by our own process, in a folder of its owner's.
        except BROKEN as error:
            log.warning("compiled policy not taken", why=repr(error))
            return None
        return found

    def put(self, document: str, compiled: Read) -> None:
        """Hand over what a document was compiled to; the oldest ones go where there are too many."""
        content = io.BytesIO()
        _Pickler(content, pickle.HIGHEST_PROTOCOL).dump(compiled)
        place = self._place(document)
        begun = place.with_suffix(f".{os.getpid()}")
        try:
            begun.write_bytes(content.getvalue())
            begun.replace(place)
            self._drop_oldest()
        except OSError as error:
            log.warning("compiled policy not handed over", why=str(error))

    def _drop_oldest(self) -> None:
        with os.scandir(self._folder) as entries:
            by_age = sorted((entry.stat().st_mtime_ns, entry.path) for entry in entries)
        for _, path in by_age[:-KEPT_MAX]:
            with contextlib.suppress(FileNotFoundError):
                Path(path).unlink()


class HandedOver:
    """Reads policies as `read` does, which compiles; takes what was handed over, and hands over where `gives` says so.

    A new document is always compiled: it is held against more than a stored one.
    """

    def __init__(self, read: Callable[..., Read], handover: Handover, *, gives: bool) -> None:
        self._read = read
        self._handover = handover
        self._gives = gives

    def __call__(self, document: str, *, is_new: bool = False) -> Read:
        """Give a document's policy; raises InvalidRequest with every violation."""
        if is_new:
            return self._read(document, is_new=True)
        found = self._handover.find(document)
        if found is None:
            found = self._read(document)
            if self._gives:
                self._handover.put(document, found)
        return found
