"""Who may call what: the roles file, held against the table from RPC to role (`rpc.methods`).

Promises that a caller without one of an RPC's roles is refused before anything is queued. Without a roles file every
caller has every role, which is meant for a laptop; nobody approves their own activation either way.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, Field

from service.domain.errors import RoleRequired
from service.rpc.methods import Method, Role


class RolesFile(BaseModel):
    """A roles file: roles by caller, and those that everybody else has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    callers: dict[str, list[Role]] = Field(default_factory=dict)
    others: list[Role] = Field(default_factory=lambda: [Role.CALLER])


class Roles:
    """Roles by caller."""

    def __init__(self, callers: Mapping[str, frozenset[Role]], others: frozenset[Role]) -> None:
        self._callers = callers
        self._others = others

    def require(self, caller: str, method: Method) -> None:
        """Refuse a caller that has none of a method's roles; raises RoleRequired."""
        has = self._callers.get(caller, self._others)
        if Role.ADMIN not in has and not has.intersection(method.roles):
            raise RoleRequired(role=" or ".join(role.value for role in method.roles))

    def is_on_call(self, caller: str) -> bool:
        """Claim that a caller has a role of those who lead out of an incident."""
        return not _ON_CALL.isdisjoint(self._callers.get(caller, self._others))


_ON_CALL: Final = frozenset((Role.ON_CALL, Role.APPROVER, Role.ADMIN))


def read(path: str) -> Roles:
    """Read a roles file; an empty path gives every role to everybody. Raises ValueError for a file that is wrong."""
    if not path:
        return Roles({}, frozenset(Role))
    try:
        written = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    content = RolesFile.model_validate(written)
    return Roles({caller: frozenset(roles) for caller, roles in content.callers.items()}, frozenset(content.others))
