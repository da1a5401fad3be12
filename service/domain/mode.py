"""The mode: the ordered set of playbook activations that decisions obey.

Promises an id that every decision carries. In normal mode nothing stands between a policy and its outcome.
"""

from typing import Final, NamedTuple


class Mode(NamedTuple):
    """An ordered set of activations, each named "id@playbook/version"."""

    mode_id: str
    activations: tuple[str, ...]


NORMAL: Final = Mode("normal", ())
