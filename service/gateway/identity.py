"""Who calls, how critical the call is, and in which trace.

Promises a caller's name that can stand in an idempotency key. Without TLS (loopback only) the name is what the
metadata says.
"""

import re
from collections.abc import Iterable
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
    caller, criticality, trace_id, parent_id, is_sampled = ANONYMOUS, INTERACTIVE, "", "", False
    violations: list[Violation] = []
    for key, value in metadata or ():
        if key == CALLER_KEY:
            if str(value).startswith(RESERVED_PREFIX):
                violations.append(Violation(f"metadata.{key}", f"{RESERVED_PREFIX}… is the service's own"))
            elif isinstance(value, bytes) or not _is_caller(value):
                violations.append(Violation(f"metadata.{key}", "send 1 to 64 characters of [A-Za-z0-9._:@-]"))
            else:
                caller = value
        elif key == TRACE_KEY:
            matched = _is_trace(str(value))
            if matched:
                trace_id, parent_id, is_sampled = matched[1], matched[2], bool(int(matched[3], 16) & 1)
        elif key == CRITICALITY_KEY:
            level = _CRITICALITIES.get(str(value))
            if level is None:
                violations.append(Violation(f"metadata.{key}", f"choose from {', '.join(_CRITICALITIES)}"))
            else:
                criticality = level
    if violations:
        raise InvalidRequest(tuple(violations))
    return Identity(caller, criticality, trace_id, parent_id, is_sampled)
