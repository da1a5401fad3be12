"""Random bodies for every method: messages of the contract with plausible or wild values, the same mutated, and noise.

Promises the same bodies for the same seed and answers, and values that meet: few accounts, and the ids that answers
gave, so that a good part of the messages gets past validation to what exists.
"""

import random
import re
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import Default as DefaultPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from service.rpc.contract import SERVICE_NAMES
from service.rpc.methods import INDEX_OF, METHODS, Shape

DEPTH_MAX: Final = 6
REPEATED_MAX: Final = 3
IDS_KEPT: Final = 100
_ID: Final = re.compile(rb"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_INTEGERS: Final = (0, 1, 2, 5, 30, 600, 720, 10_000, 1_000_000, -1, 2**31 - 1, 2**31, 2**53, 2**63 - 1, -(2**63))
_BOUNDS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1), FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1), FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}  # fmt: skip
_WORDS: Final = (
    "", "revolving", "EUR", "cny", "normal", "2027-02-30", "9999-12-31", "0000-00-00", "f" * 16, "0" * 16, "額度", "\x00",
    "a\nb", "../../etc/passwd", "' OR 1=1 --", "%s%n", "\u202e", "x" * 64, "x" * 65, "x" * 4_000, "policy: x", "{", "- [",
    "&a [*a]", "!!python/object:os.system {}",
)  # fmt: skip
_PLAUSIBLE: Final[dict[str, tuple[Any, ...]]] = {
    "account_id": tuple(f"a-{number}" for number in range(12)), "product": ("revolving", ""), "currency_code": ("CNY",),
    "minor_units": (0, 1_000, 5_000, 100_000, 1_000_000), "bureau_score": (500, 640, 720, 800), "identity_level": (1, 2, 3),
    "age_years": (17, 30), "dpd_now": (0, 0, 0, 35), "dpd_max_12m": (0, 0, 20), "enquiries_30d": (0, 1, 9),
    "late_months_12m": (0, 0, 3), "misuse_flags": (0,), "on_time_streak_months": (0, 6, 12), "transactions_30d": (0, 9),
    "employment_months": (3, 40), "payment_ratio_bp": (400, 9_000), "profile_completeness_bp": (9_000,),
    "expected_version": (0, 0, 0, 1), "business_date": ("2027-01-13", "2027-01-14"),
    "operation_id": ("run-2027-01-13", "closing-2027-01-13", "make-good-2027-01-13"), "due_date": ("2027-01-20",),
    "policy_version": ("", "reference-2026-2"), "version": (0, 1, "reference-2026-2", "instalment-2026-2"),
    "name": ("cap_growth", "shed_low_priority", "hold_cuts", "static_scorecard"), "mode_id": ("", "normal"),
    "ttl_seconds": (60, 3_600), "reason": ("fuzz",), "note": ("fuzz",), "statement": ("fuzz",), "incident": ("",),
    "page_size": (0, 1, 50), "page_token": ("",), "resume_token": ("",), "decisions": (1, 100), "days": (0, 30),
    "score": (0, 5, 10), "seconds": (1_799_000_000, 1_800_100_000), "nanos": (0,), "share_bp": (0, 5_000),
    "document": ("policy: x", "{}"), "text": ("fuzz", ""), "whole": (0, 1, 5_000),
}  # fmt: skip


def requests_of() -> dict[int, type[Message]]:
    """Give the request class of each method that callers reach, by the method's index."""
    found = {}
    for name in SERVICE_NAMES:
        for method in DefaultPool().FindServiceByName(name).methods:
            found[INDEX_OF[f"/{name}/{method.name}"]] = GetMessageClass(method.input_type)
    assert len(found) == sum(method.shape is not Shape.INTERNAL for method in METHODS)
    return found


class Fuzzer:
    """Makes bodies, and learns ids from the answers to them."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._classes = requests_of()
        self._methods = list(self._classes)
        self._ids: deque[str] = deque(maxlen=IDS_KEPT)
        self._before = b""
        self._keys = 0
        self._plausible = 0.0
        """How likely a value of the message in hand is one that a caller would send."""

    def learn(self, answer: bytes) -> None:
        """Take ids from an answer, for later bodies."""
        self._ids.extend(one.decode() for one in _ID.findall(answer)[:4])

    def body(self) -> tuple[int, bytes]:
        """Give a method and a body within its bound."""
        rng = self._rng
        method = rng.choice(self._methods)
        what = rng.random()
        if what < 0.05:
            return method, rng.randbytes(rng.randrange(64))
        self._plausible = 1.0 if what < 0.5 else 0.95 if what < 0.75 else 0.5
        body = self._message(self._classes[method], 0).SerializeToString()
        if what > 0.6:
            body = self._mutated(body)
        self._before = body
        return method, body[: METHODS[method].bytes_max]

    def _message(self, kind: type[Message], depth: int) -> Message:
        message = kind()
        fields: Sequence[Any] = kind.DESCRIPTOR.fields
        for field in fields:
            # Of a oneof the last field set counts, so each must have a chance of being the last.
            if self._rng.random() > (0.5 if field.containing_oneof else self._plausible):
                continue
            if field.is_repeated:
                self._fill(message, field, depth)
            elif field.message_type is None:
                setattr(message, field.name, self._scalar(field))
            elif depth < DEPTH_MAX:
                getattr(message, field.name).CopyFrom(self._message(GetMessageClass(field.message_type), depth + 1))
        return message

    def _fill(self, message: Message, field: Any, depth: int) -> None:
        values: Any = getattr(message, field.name)
        kind = field.message_type
        for _ in range(self._rng.randrange(REPEATED_MAX + 1)):
            if kind is None:
                values.append(self._scalar(field))
            elif kind.GetOptions().map_entry:
                key, value = kind.fields
                # Every map of the contract's requests is from a name to a message.
                values[self._scalar(key)].CopyFrom(self._message(GetMessageClass(value.message_type), depth + 1))
            elif depth < DEPTH_MAX:
                values.append(self._message(GetMessageClass(kind), depth + 1))

    def _scalar(self, field: Any) -> Any:
        rng, kind = self._rng, field.cpp_type
        is_plausible = rng.random() < self._plausible
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return rng.random() < 0.5
        if field.enum_type is not None:
            known = tuple(field.enum_type.values_by_number)
            return rng.choice(known[1:] if is_plausible else (*known, -1, 99))
        if kind == FieldDescriptor.CPPTYPE_STRING:
            return self._word(field) if is_plausible else rng.choice(_WORDS)
        known = tuple(one for one in _PLAUSIBLE.get(field.name, _INTEGERS) if isinstance(one, int))
        least, most = _BOUNDS[kind]
        return min(max(rng.choice(known if is_plausible else _INTEGERS), least), most)

    def _word(self, field: Any) -> str:
        if field.name in ("request_id", "event_id"):
            self._keys += self._rng.random() < 0.9
            return f"r-{self._keys}"
        if field.name.endswith(("_id", "_ids")) and field.name not in _PLAUSIBLE:
            return self._rng.choice(self._ids) if self._ids else "f" * 16
        words = [one for one in _PLAUSIBLE.get(field.name, _WORDS) if isinstance(one, str)]
        return self._rng.choice(words)

    def _mutated(self, body: bytes) -> bytes:
        """Flip, cut, repeat, insert or splice."""
        rng, content = self._rng, bytearray(body)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(content) + 1)
            choice = rng.randrange(5)
            if choice == 0 and at < len(content):
                content[at] ^= 1 << rng.randrange(8)
            elif choice == 1:
                del content[at : at + rng.randrange(1, 9)]
            elif choice == 2:
                content[at:at] = content[at : at + rng.randrange(1, 33)]
            elif choice == 3:
                content[at:at] = rng.choice((b"\xff" * 10, b"\x00", b"\xff" * 9 + b"\x01", rng.randbytes(4)))
            else:
                content[at:] = self._before[rng.randrange(len(self._before) + 1) :]
        return bytes(content)
