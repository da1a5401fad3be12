"""Alerts: what on-call must hear of, written into the outbox in the transaction of what it tells.

Promises no account, no customer and no secret in an alert. `service.sentry.delivery` takes them out.
"""

import json
from typing import Final

from service.engine.ports.outbox import Outbox

TOPIC: Final = "alert"
INFO: Final = "info"
WARNING: Final = "warning"
CRITICAL: Final = "critical"


def send(outbox: Outbox, severity: str, what: str, now_us: int, **facts: str | int) -> None:
    """Put an alert in the outbox: what happened, in one word, and its facts."""
    outbox.send(TOPIC, severity, json.dumps({"what": what, **facts}, ensure_ascii=False), now_us)
