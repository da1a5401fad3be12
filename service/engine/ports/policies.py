"""The reader of policy documents."""

from typing import Protocol

from service.domain.policy import Policy


class PolicyReader(Protocol):
    """Compiles a document, a new one held against every check; raises InvalidRequest with every violation."""

    def __call__(self, document: str, *, is_new: bool = False) -> tuple[Policy, str]: ...
