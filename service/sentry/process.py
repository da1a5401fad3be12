"""The sentry's work: follow the log, run the guards, deliver alerts, report; and answer what reads much.

Promises bounded work each turn, and that a failure here costs no decision: it reads the store through a connection of
its own and asks the engine to write. What it holds in memory is built anew from the log when it starts.
"""

import time
from collections.abc import Iterator
from typing import Final, Protocol

import structlog

from service.domain.activation import Activation, ActivationState, is_in_force, state_of
from service.domain.errors import HoldlineError
from service.domain.notice import TOPIC
from service.domain.watch import Baseline, Complaint, Look
from service.engine.desks.reports import Alarm, Pulse, Report
from service.engine.ports.store import NUMBER_MAX, Store
from service.engine.safety import alerts
from service.sentry.delivery import Deliverer
from service.sentry.guards import Act, Guards, Signal, is_normal, learning
from service.sentry.notices import Notices
from service.sentry.pulse import PulseGuards
from service.sentry.run_guard import RUNS_READ, missing_raises
from service.telemetry import SentryMeters

TURN_SECONDS: Final = 0.2
LOOKS_MAX: Final = 2_000
"""Most decisions looked at in one turn."""
WARM_UP: Final = 2_000
"""So many decisions before its start are looked at first."""
ACTIVATIONS_LOOKED_AT: Final = 64
LEARNED_MAX: Final = 100_000
"""Most decisions that a baseline is learned from."""
READ_MAX: Final = 500_000
"""Most decisions that are read for it: others, such as an import's or a daily run's, may lie between."""
LEARNED_AT_ONCE: Final = 500
LEARNING_SECONDS: Final = 0.02
"""How long a turn goes on with a baseline: one of 20,000 decisions takes a core for a second or two in all."""

log = structlog.get_logger("holdline.sentry")


class Engine(Protocol):
    """The engine, as the sentry asks it; both raise EngineUnavailable, or Refused with what the engine said."""

    def report(self, report: Report) -> Pulse: ...  # noqa: D102 - the protocol's docstring covers it.
    def activate(self, playbook: str, product: str, reason: str) -> None: ...  # noqa: D102 - the same.


class Sentry:
    """Follows one store."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        guards: Guards,
        alerts_out: Deliverer,
        notices_out: Deliverer | None,
        notices: Notices,
        learn_from: int,
        meters: SentryMeters,
    ) -> None:
        self._store = store
        self._engine = engine
        self.guards = guards
        self._alerts_out = alerts_out
        self._notices_out = notices_out
        self._notices = notices
        self._learn_from = learn_from
        self._meters = meters
        self._in_force: set[str] = set()
        self._pulses = PulseGuards()
        self.watermark = -1
        self._heard = -1
        """Number of the newest voice that the guards have heard."""
        self._seen: dict[str, int] = {}
        self._learn_at: dict[str, int] = {}
        self._learning: tuple[str, int, Iterator[Baseline | None]] | None = None
        """A product, how many decisions were seen of it, and the steps that are left."""
        self._learned: Baseline | None = None
        """A first baseline that the engine has not kept yet."""
        self._untold: list[Alarm] = []
        self._lapses_told: set[int] = set()
        self.looked_us = 0
        self._turned_at = 0.0

    def turn(self) -> bool:
        """Follow the log and report once; gives whether there is more to look at right away."""
        try:
            more = self._follow()
            self._report()
        except HoldlineError as error:
            log.warning("sentry waits", reason=error.reason)
            return False
        finally:
            self._turned_at = time.monotonic()
        return more

    def breathe(self) -> None:
        """Take the turn that is due, in the midst of what is long to answer: guards and alerts wait for nobody."""
        if time.monotonic() >= self._turned_at + TURN_SECONDS:
            self.turn()

    def _follow(self) -> bool:
        self.guards.learn(self._store.playbooks.baselines())
        if self.watermark < 0:
            warm_up = self._store.looks_before(NUMBER_MAX, WARM_UP)
            self.watermark = warm_up[-1].number - 1 if warm_up else 0
        found = self._store.looks_after(self.watermark, LOOKS_MAX)
        self.guards.add(found)
        if found:
            self.watermark = found[-1].number
        for look in found:
            if not is_normal(look):
                continue
            self._seen[look.product] = self._seen.get(look.product, 0) + 1
        self._listen()
        self.looked_us = self._store.now_us()
        return len(found) == LOOKS_MAX

    def _listen(self) -> None:
        """Let the guards hear what customers complained of since the last turn."""
        if self._heard < 0:
            newest_said = self._store.cases.voices_since(0, 1)
            self._heard = newest_said[0].number if newest_said else 0
        voices = self._store.cases.voices_after(self._heard, LOOKS_MAX)
        self.guards.hear(Complaint(voice.product, voice.said_us) for voice in voices if voice.is_complaint)
        if voices:
            self._heard = voices[-1].number

    def _report(self) -> None:
        now_us = self._store.now_us()
        news = self.guards.news()
        for signal in news:
            log.warning("guard alarms", signal=signal.name, product=signal.product, recommends=signal.recommends)
            self._untold.append(_alarm(signal))
        alerted = self._alerts_out.outcomes()
        told = self._notices_out.outcomes() if self._notices_out is not None else []
        self._learn_first()
        report = Report(self.watermark, (*alerted, *told), tuple(self._untold), self._lapsed(now_us), self._learned)
        pulse = self._engine.report(report)
        self._untold.clear()
        self._learned = None
        self._alerts_out.settled(alerted)
        self._lapses_told.update(report.lapsed)
        missing = missing_raises(self._store.runs.passed(RUNS_READ))
        self.guards.others = [*self._pulses.signals(pulse, now_us), *missing]
        self._alerts_out.take(self._store.outbox.due(alerts.TOPIC, now_us, self._alerts_out.in_hand_max))
        if self._notices_out is not None:
            self._notices_out.settled(told)
            self._hand_out(self._notices_out, now_us)
        # An alarm is durable before its guard acts on it.
        activations = self._store.playbooks.activations_newest(NUMBER_MAX, ACTIVATIONS_LOOKED_AT)
        for act in self.guards.acts(news, activations, now_us):
            self._act(act)
        self._measure([one for one in activations if is_in_force(one, now_us)])

    def _hand_out(self, notices_out: Deliverer, now_us: int) -> None:
        """Hand notices that are due to their deliverer, written out."""
        if notices_out.room() < notices_out.in_hand_max // 2:
            return
        with self._store.snapshot():
            due = self._store.outbox.due(TOPIC, now_us, notices_out.in_hand_max)
            written = [self._notices.written(message) for message in notices_out.wanted(due)]
        notices_out.take(written)

    def _measure(self, in_force: list[Activation]) -> None:
        if self._meters.guard_level is None or self._meters.in_force is None:
            return
        for signal in self.guards.signals():
            self._meters.guard_level.set(signal.share, {"signal": signal.name, "product": signal.product})
        titles = [f"{one.playbook}/v{one.version}" for one in in_force]
        # What has gone out of force is set to 0 once more, else its last value would stay.
        for title in self._in_force | set(titles):
            self._meters.in_force.set(titles.count(title), {"playbook": title})
        self._in_force |= set(titles)

    def _act(self, act: Act) -> None:
        why = f"guard {act.signal.name} alarms at {act.signal.value} ppm, {act.signal.baseline} is normal"
        try:
            self._engine.activate(act.playbook, act.signal.product, why)
            log.error("guard acted", signal=act.signal.name, playbook=act.playbook, product=act.signal.product)
        except HoldlineError as error:
            facts: dict[str, str | int] = {"playbook": act.playbook, "why": error.message, "reason": error.reason}
            self._untold.append(Alarm("guard_could_not_act", alerts.CRITICAL, facts))

    def _lapsed(self, now_us: int) -> tuple[int, ...]:
        """Give activations that have lapsed and are not written down as such."""
        activations = self._store.playbooks.activations_newest(NUMBER_MAX, ACTIVATIONS_LOOKED_AT)
        return tuple(
            one.number
            for one in activations
            if state_of(one, now_us) is ActivationState.LAPSED and one.number not in self._lapses_told
        )

    def _learn_first(self) -> None:
        """Go on with a product's first baseline once enough was seen; anew at twice as many while a rate lacks.

        Later ones are people's to ask for. Where a step fails it begins anew.
        """
        if self._learned is None and self._learning is None:
            self._learning = self._lacking()
        if self._learning is None:
            return
        (product, seen, steps), self._learning = self._learning, None
        until = time.monotonic() + LEARNING_SECONDS
        found = next(steps)
        while found is None and time.monotonic() < until:
            found = next(steps)
        if found is None:
            self._learning = product, seen, steps
        else:
            self._learn_at[product], self._learned = 2 * seen, found

    def _lacking(self) -> tuple[str, int, Iterator[Baseline | None]] | None:
        """Give a product whose baseline is to be learned, how many decisions were seen of it, and the steps of that."""
        for product, seen in self._seen.items():
            if self.guards.lacks(product) and seen >= self._learn_at.get(product, self._learn_from):
                return product, seen, self._steps(product, min(seen, LEARNED_MAX), "holdline:sentry")
        return None

    def _steps(self, product: str, count: int, by: str) -> Iterator[Baseline | None]:
        """Learn a baseline from the newest decisions, in steps of some milliseconds; gives None until it is learned."""
        own: list[Look] = []
        before, read = NUMBER_MAX, 0
        while len(own) < count and read < READ_MAX and (page := self._store.looks_before(before, LEARNED_AT_ONCE)):
            own += [look for look in page if look.product == product and is_normal(look)]
            before, read = page[-1].number, read + len(page)
            yield None
        del own[count:]
        since_us = own[-1].decided_us if own else self._store.now_us()
        voices = self._store.cases.voices_since(since_us, LEARNED_MAX)
        complaints = sum(voice.is_complaint and voice.product == product for voice in voices)
        yield from learning(product, own, complaints, by)

    def learn(self, product: str, count: int, by: str) -> Baseline:
        """Learn a baseline from the newest decisions; it counts once the engine has kept it."""
        for found in self._steps(product, count, by):
            if found is not None:
                return found
            self.breathe()
        raise AssertionError("the last step gives what was learned")

    def keep(self, baseline: Baseline) -> tuple[int, bool]:
        """Have a baseline kept, once for its key; gives its version, and whether that was kept before.

        Raises EngineUnavailable, or Refused where the key stands for another write.
        """
        pulse = self._engine.report(Report(self.watermark, baseline=baseline))
        return pulse.baseline_version, pulse.baseline_replayed


def _alarm(signal: Signal) -> Alarm:
    facts: dict[str, str | int] = {
        "signal": signal.name, "product": signal.product, "value_ppm": signal.value, "baseline_ppm": signal.baseline,
        "recommends": signal.recommends,
    }  # fmt: skip
    return Alarm("guard_alarm", alerts.CRITICAL, facts)
