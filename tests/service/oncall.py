"""What tests of on-call over the wire share: clients by caller's name, and refusals by their reason."""

from collections.abc import Callable

import pytest
from holdline.client import Client, HoldlineError

As = Callable[[str], Client]


def refused(call: Callable[[], object], reason: str) -> HoldlineError:
    with pytest.raises(HoldlineError) as caught:
        call()
    assert caught.value.reason == reason, caught.value
    return caught.value
