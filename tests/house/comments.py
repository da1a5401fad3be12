"""The comments of the contract's fields, read as the ranges and formats that they state."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from service.rpc.contract import FILES
from tests.house import contract

_NUMBER: Final = r"-?\d[\d,]*"
_LENGTH: Final = re.compile(
    rf"(?:({_NUMBER}) to|at most) ({_NUMBER}) (?:printable ASCII )?characters(?: of \[([^\]]+)\])?"
)
_RANGE: Final = re.compile(rf"(?<![\d-])({_NUMBER}) to ({_NUMBER})(?! characters| printable)")
_FORMAT: Final = re.compile(
    r"YYYY-MM-DD|hexadecimal|page_token|resume_token|field name in `Facts`|each \"zh\" or \"en\"|\bcode\b|for example|parameter's|KiB|minor unit"
)
_BOUNDED: Final = frozenset(
    {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_STRING}
)


class Stated(NamedTuple):
    """What a comment says of a field: its least and greatest value, or length in characters, and what these are."""

    lowest: int
    highest: int
    is_length: bool
    characters: str
    """The class of a regular expression; empty where any are taken."""


class Place(NamedTuple):
    """A field within a request: the steps that lead to it, and its comment."""

    request: Descriptor
    steps: tuple[FieldDescriptor, ...]
    comment: str

    @property
    def path(self) -> str:
        """The path as violations name it, the first of each list."""
        return ".".join(f"{step.name}[0]" if step.is_repeated else step.name for step in self.steps)


def _comments() -> dict[tuple[str, str], str]:
    """Give the comment of each field, by message and field."""
    found = {}
    message_type, field = 4, 2
    for file in descriptor_pb2.FileDescriptorSet.FromString(contract.image()).file:
        said = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
        for at, message in enumerate(file.message_type):
            for number, one in enumerate(message.field):
                comment = " ".join(said.get((message_type, at, field, number), "").split())
                found[f"{file.package}.{message.name}", one.name] = comment
    return found


def places() -> Iterator[Place]:
    """Give every number and text that a request of the contract can hold."""
    comments = _comments()
    for file in FILES:
        for name, message in sorted(file.DESCRIPTOR.message_types_by_name.items()):
            if name.endswith("Request"):
                yield from _within(message, (), message, comments)


def _within(
    request: Descriptor, steps: tuple[FieldDescriptor, ...], message: Descriptor, comments: dict[tuple[str, str], str]
) -> Iterator[Place]:
    for field in message.fields:
        if field.message_type is None:
            if field.cpp_type in _BOUNDED:
                yield Place(request, (*steps, field), comments[message.full_name, field.name])
        elif field.message_type.full_name.startswith("holdline.") and not field.message_type.GetOptions().map_entry:
            yield from _within(request, (*steps, field), field.message_type, comments)


def stated(comment: str) -> Stated | None:
    """Read a comment's first range or length; nothing where it states a format only."""
    length = _LENGTH.search(comment)
    if length is not None:
        return Stated(_whole(length[1] or "0"), _whole(length[2]), is_length=True, characters=length[3] or "")
    span = _RANGE.search(comment)
    return None if span is None else Stated(_whole(span[1]), _whole(span[2]), is_length=False, characters="")


def has_format(comment: str) -> bool:
    """Claim that a comment states a format."""
    return _FORMAT.search(comment) is not None


def _whole(text: str) -> int:
    return int(text.replace(",", ""))
