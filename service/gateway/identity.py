"""Who calls, how critical the call is, and in which trace.

Promises a caller's name that can stand in an idempotency key. Without TLS (loopback only) the name is what the
metadata says.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from service.domain.decision import BATCH, INTERACTIVE, Criticality
from service.domain.errors import InvalidRequest, Violation

CALLER_KEY: Final = "x-holdline-caller"
CRITICALITY_KEY: Final = "x-holdline-criticality"
TRACE_KEY: Final = "traceparent"
ANONYMOUS: Final = "anonymous"
RESERVED_PREFIX: Final = "holdline:"
"""Names of the service's own callers, such as guards; nobody else may claim one."""

_is_caller: Final = re.compile(r"[A-Za-z0-9._:@-]{1,64}").fullmatch
_is_trace: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})").fullmatch
_OURS: Final = frozenset((CALLER_KEY, CRITICALITY_KEY, TRACE_KEY))
_CRITICALITIES: Final = {level.name.lower(): level for level in (INTERACTIVE, BATCH)}


class Identity(NamedTuple):
    """A call's metadata, understood; trace id and parent span id in hexadecimal, empty where none was sent."""

    caller: str
    criticality: Criticality
    trace_id: str
    parent_id: str
    is_sampled: bool


def identify(metadata: Iterable[tuple[str, str | bytes]] | None) -> Identity:
    """Read a call's metadata; raises InvalidRequest with every violation. A bad traceparent is ignored (W3C)."""
    said: dict[str, str | bytes] = {}
    repeated: list[str] = []
    for key, value in metadata or ():
        if key not in _OURS:
            continue
        if key not in said:
            said[key] = value
        elif key == TRACE_KEY:
            # Of two traces neither is known to be meant.
            said[key] = ""
        else:
            repeated.append(key)
    caller, level = said.get(CALLER_KEY, ANONYMOUS), said.get(CRITICALITY_KEY, INTERACTIVE.name.lower())
    criticality = _CRITICALITIES.get(str(level))
    if repeated or criticality is None or isinstance(caller, bytes) or not _is_caller(caller) or _is_ours(caller):
        raise InvalidRequest(tuple(_violations(repeated, caller, criticality)))
    matched = _is_trace(str(said.get(TRACE_KEY, "")))
    if matched is None:
        return Identity(caller, criticality, "", "", is_sampled=False)
    return Identity(caller, criticality, matched[1], matched[2], bool(int(matched[3], 16) & 1))


def _violations(repeated: Iterable[str], caller: str | bytes, criticality: Criticality | None) -> Iterator[Violation]:
    for key in sorted(set(repeated)):
        # Which of two names is meant, nobody but the caller knows.
        yield Violation(f"metadata.{key}", "stands more than once; send it once")
    if isinstance(caller, bytes) or not _is_caller(caller):
        yield Violation(f"metadata.{CALLER_KEY}", "send 1 to 64 characters of [A-Za-z0-9._:@-]")
    elif _is_ours(caller):
        yield Violation(f"metadata.{CALLER_KEY}", f"{RESERVED_PREFIX}… is the service's own")
    if criticality is None:
        yield Violation(f"metadata.{CRITICALITY_KEY}", f"choose from {', '.join(_CRITICALITIES)}")


def _is_ours(caller: str) -> bool:
    return caller.startswith(RESERVED_PREFIX)
