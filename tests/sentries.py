"""A sentry over any store, and an engine that it reports to."""

from service.bootstrap import make_control
from service.domain.errors import EngineUnavailable
from service.domain.watch import Baseline
from service.engine.desks.reports import Alarm, Pulse, Report
from service.sentry.delivery import Deliverer
from service.sentry.guards import Guards
from service.sentry.notices import Notices
from service.sentry.process import Sentry
from service.storage.memory.store import MemoryStore
from service.telemetry import sentry_meters


class Engine:
    """Takes reports and keeps their baselines; is away while told so."""

    def __init__(self) -> None:
        self.kept: list[Baseline] = []
        self.alarms: list[Alarm] = []
        self.is_away = False
        self.reports = 0
        """How often the sentry reported."""

    def report(self, report: Report) -> Pulse:
        """Keep a report's baseline and alarms."""
        if self.is_away:
            raise EngineUnavailable
        self.reports += 1
        self.alarms += report.alarms
        if report.baseline is not None:
            self.kept.append(report.baseline)
        return Pulse(0, 0, 0, 0, 1)

    def activate(self, playbook: str, product: str, reason: str) -> None:
        """Refuse to: no guard alarms here."""
        raise AssertionError((playbook, product, reason))


def sentry_of(store: MemoryStore, engine: Engine, learn_from: int) -> Sentry:
    """Make a sentry that tells nobody but the engine."""
    alerts_out = Deliverer(None, 1, 1, store.now_us, is_logged=True)
    notices = Notices(store, make_control())
    return Sentry(store, engine, Guards({}), alerts_out, None, notices, learn_from, sentry_meters(None))
