"""What the contract says of each RPC that the code's own tables know: roles, errors, and whether it writes.

Promises that the last two lines of an RPC's comment, and its idempotency level, are those of `rpc.methods` and
`rpc.refusals`: `make stubs` writes them, `make check` compares.
"""

import re
import textwrap
from typing import Final

from service.rpc.methods import INDEX_OF, METHODS, Method, Role
from service.rpc.refusals import refusals_of

COLUMNS: Final = 120
_RPC: Final = re.compile(
    r"(?P<comment>(?:^  //.*\n)+)^  rpc (?P<name>\w+)(?P<signature>\([^)]*\) returns \([^)]*\))"
    r"(?:;| \{\s*(?:option idempotency_level = \w+;)?\s*\})\n",
    re.MULTILINE,
)
_GENERATED: Final = re.compile(r"^  // (?:Roles|Errors): (?:.*\n)(?:^  //   .*\n)*", re.MULTILINE)
"""A line of ours with those that go on with it, indented."""
_SERVICE: Final = re.compile(r"^service (\w+) \{", re.MULTILINE)


def annotated(proto: str) -> str:
    """Give a file of the contract with what the tables say of its RPCs; as it is where it has no service."""
    service = _SERVICE.search(proto)
    if service is None:
        return proto

    def written(found: re.Match[str]) -> str:
        method = METHODS[INDEX_OF[f"/holdline.v1.{service[1]}/{found['name']}"]]
        end = " {\n    option idempotency_level = NO_SIDE_EFFECTS;\n  }\n" if method.is_read else ";\n"
        comment = _GENERATED.sub("", found["comment"])
        return f"{comment}{_said(method)}  rpc {found['name']}{found['signature']}{end}"

    return _RPC.sub(written, proto)


def _said(method: Method) -> str:
    everybody = {role for role in Role if role is not Role.ADMIN}
    roles = "all" if set(method.roles) == everybody else ", ".join(role.value for role in method.roles)
    errors = ", ".join(sorted(error.reason for error in refusals_of(method)))
    own = f"{errors}, and those of every call" if errors else "those of every call"
    return _lines(f"Roles: {roles}.") + _lines(f"Errors: {own}.")


def _lines(sentence: str) -> str:
    wrapped = textwrap.wrap(sentence, COLUMNS, initial_indent="  // ", subsequent_indent="  //   ")
    return "".join(f"{line}\n" for line in wrapped)
