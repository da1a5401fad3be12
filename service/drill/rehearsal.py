"""A rehearsal: traffic before and through an incident, guards and a scripted on-call, and the harm it did.

Harm is counted against the truth: what the good policy says of the true facts at the true time, in normal mode. A
decision harms where its limit differs from that, unless a playbook has held the limit and says so: what is held can be
made good. The store's clock stands in between, so a rehearsal counts decisions and not seconds.
"""

import json
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from service.bootstrap import Parts
from service.domain.account import Account, growth, opened
from service.domain.activation import Activation, requested
from service.domain.book import Answered
from service.domain.decision import DecideCommand, Decided, Moment, Standing
from service.domain.errors import HoldlineError
from service.domain.facts import NOTHING_KNOWN, merge
from service.domain.judge import judge
from service.domain.mode import EVERYBODY
from service.domain.playbook import completed
from service.domain.policy import Policy
from service.domain.watch import DAY_US, MessageState
from service.drill.scenarios import GOOD_VERSION, Bug, Scenario, Step
from service.drill.traffic import Feed, Person, Traffic, pairs
from service.engine.clock import ClockOrder
from service.engine.desks.playbooks import ActivationOrder
from service.engine.desks.policies import PolicyOrder
from service.engine.execute import execute
from service.engine.ports.store import NUMBER_MAX, Store
from service.engine.preview import newest, preview
from service.engine.safety import alerts
from service.sentry.process import Sentry

PEOPLE: Final = 10_000
BATCH: Final = 20
"""Decisions between two looks of the guards."""
PACE_US: Final = 100_000
"""Simulated time between two decisions: ten a second."""
LEARNED: Final = 6_000
"""Decisions that the guards' baseline is learned from."""
CALM: Final = 1_000
"""Decisions between the baseline and the incident; an alarm here is a false one."""
QUIET: Final = 1_000
"""So many decisions without harm mean that it has stopped."""
PREVIEWED: Final = 2_000
IMPORTED: Final = 1_000
TTL_SECONDS: Final = 4 * 3_600
ONCALL, APPROVER = "drill-oncall", "drill-approver"


class Clock(Protocol):
    """The machine's clocks, to be turned; microseconds since the epoch UTC."""

    time_us: int
    """The time that has passed."""
    off_us: int
    """How far the machine's clock is ahead of it."""


class Reader(Protocol):
    """What reads policies, with a bug or without."""

    bug: Bug | None


class Stage(NamedTuple):
    """A private store, its machine's clocks, what reads policies, and the engine's parts and a sentry over it."""

    store: Store
    clock: Clock
    reader: Reader
    parts: Parts
    sentry: Sentry
    product: str
    """The product that is rehearsed."""


class Event(NamedTuple):
    """Something that happened, so many decisions after the incident (negative before)."""

    decision: int
    what: str
    detail: str


class Harm(NamedTuple):
    """One decision that came out wrong: its place after the incident, the customer, and by how much (minor units)."""

    decision: int
    account_id: str
    short_minor: int
    """Positive where the customer got less than due, negative where more."""


class Rehearsed(NamedTuple):
    """What a rehearsal found; places are decisions after the incident, -1 where it never came to that."""

    scenario: Scenario
    events: tuple[Event, ...]
    harms: tuple[Harm, ...]
    held: int
    """Decisions whose limit a playbook held, with its own reason; they are owed what was due."""
    false_alarms: int
    detected: int
    activated: int
    decisions: int
    """Decisions made after the incident."""

    @property
    def stopped(self) -> int:
        """Decisions until harm stopped, or -1 where it did not."""
        last = max((harm.decision for harm in self.harms), default=0)
        return last if self.activated >= 0 and self.decisions - last >= QUIET else -1

    def customers(self, *, is_before: bool) -> tuple[int, int]:
        """Give the customers hurt and those favoured, before the first activation or after it."""
        split = self.activated if self.activated >= 0 else self.decisions
        counted = [harm for harm in self.harms if (harm.decision <= split) is is_before]
        hurt = {harm.account_id for harm in counted if harm.short_minor > 0}
        return len(hurt), len({harm.account_id for harm in counted if harm.short_minor < 0})

    @property
    def is_passed(self) -> bool:
        """Whether it was detected without a false alarm and stopped within the scenario's bound."""
        return not self.false_alarms and self.detected >= 0 and 0 <= self.stopped <= self.scenario.decisions_max


class Rehearsal:
    """One run of one scenario on a stage of its own."""

    def __init__(self, stage: Stage, people: Sequence[Person], seed: int) -> None:
        self._stage = stage
        self._traffic = Traffic(people, stage.product, seed)
        self._version = stage.store.active_versions()[stage.product]
        self._good: Policy = stage.parts.desk.policy(self._version)
        known = stage.parts.control.playbooks.all()
        self._playbook_reasons = {code for playbook in known for code in playbook.texts}
        self._false_us = 0
        """How far the store's clock is ahead of the true time."""
        self._events: list[Event] = []
        self._harms: list[Harm] = []
        self._held = 0
        self._made = 0
        self._is_on = False
        self._change_seen = 0
        self._message_seen = 0

    def run(self, scenario: Scenario, reaction: int, advance: Callable[[int], None]) -> Rehearsed:
        """Rehearse; on-call acts `reaction` decisions after the first alert and between steps. `advance` counts."""
        self._set_up(advance)
        self._make(CALM, advance)
        self._hear()
        false_alarms = sum(event.what == "detected" for event in self._events)
        self._made, self._is_on = 0, True
        scenario.inject(self)
        self._enter("injected", scenario.wrong)
        script = list(scenario.script)
        due = 0
        while self._made < scenario.decisions_max + QUIET and not self._is_over(script):
            self._make(BATCH, advance)
            self._hear()
            if not due and self._first("detected") >= 0:
                due = self._made + reaction
            if script and due and self._made >= due:
                self._step(script.pop(0))
                due = self._made + reaction
        result = Rehearsed(
            scenario, (), tuple(self._harms), self._held, false_alarms, self._first("detected"),
            self._first("activated"), self._made,
        )  # fmt: skip
        if result.stopped >= 0:
            self._events.append(Event(result.stopped, "harm stopped", f"none in {QUIET} decisions after"))
        return result._replace(events=tuple(sorted(self._events, key=lambda event: event.decision)))

    def calm(self) -> tuple[Store, Parts]:
        """Make calm traffic only, and give the store and the parts that made it."""
        self._set_up(lambda _: None)
        return self._stage.store, self._stage.parts

    def _is_over(self, script: list[Step]) -> bool:
        last = max((harm.decision for harm in self._harms), default=0)
        return not script and self._made - last >= QUIET

    def _set_up(self, advance: Callable[[int], None]) -> None:
        """Take everybody over, end what is in force on the copy, and let the guards learn from calm traffic."""
        parts, clock = self._stage.parts, self._stage.clock
        last = list(newest(self._stage.store, 1))
        if last:
            clock.time_us = max(clock.time_us, last[0].decision.decided_us + DAY_US)
        for one in parts.playbooks.mode().activations:
            self._order(ActivationOrder("end", f"{ONCALL}/end-{one.number}", b"", ONCALL, "a drill begins", one.number))
        imports = list(self._traffic.imports(self._good.currency))
        for start in range(0, len(imports), IMPORTED):
            self._executed(imports[start : start + IMPORTED])
        clock.time_us += DAY_US
        self._make(LEARNED, advance)
        sentry = self._stage.sentry
        sentry.keep(sentry.learn(self._stage.product, LEARNED, ONCALL))
        sentry.turn()
        self._change_seen = self._stage.store.playbooks.last_change()
        last_told = self._stage.store.outbox.messages(alerts.TOPIC, (MessageState.WAITING,), NUMBER_MAX, 1)
        self._message_seen = max((one.sequence for one in last_told), default=0)

    def _make(self, count: int, advance: Callable[[int], None]) -> None:
        """Decide so many, with a look of the guards after each batch."""
        for _ in range(0, count, BATCH):
            asked = [one for one in (self._traffic.ask() for _ in range(BATCH)) if one is not None]
            if not asked:
                raise RuntimeError("the traffic has run out of customers")
            before = [self._stage.store.account(one.command.account_id) for one in asked]
            for one, account, answer in zip(asked, before, self._executed([one.command for one in asked]), strict=True):
                self._made += 1
                self._stage.clock.time_us += PACE_US
                if isinstance(answer, Decided):
                    self._judge(one.person, answer, account)
            while self._stage.sentry.turn():
                pass
            advance(len(asked))

    def _executed(self, commands: Sequence[DecideCommand]) -> list[Answered | HoldlineError]:
        parts = self._stage.parts
        return execute(commands, self._stage.store, parts.control, parts.calendar, parts.brake)

    def _judge(self, person: Person, answer: Decided, before: Account | None) -> None:
        """Hold a decision against the truth."""
        decision = answer.decision
        if decision.new_limit_minor > decision.old_limit_minor > 0:
            self._traffic.raised(person)
        if not self._is_on:
            return
        true_us = decision.decided_us - self._false_us
        day = self._stage.parts.calendar.business_day(true_us)
        account = before or opened(decision.account_id, self._stage.product, self._good.currency)
        standing = Standing(
            decision.old_limit_minor, decision.held_minor + decision.outstanding_minor,
            merge(NOTHING_KNOWN, pairs(person.facts), true_us), growth(account, day),
        )  # fmt: skip
        due_minor = judge(decision.kind, standing, self._good, Moment(true_us, day)).new_limit_minor
        if decision.new_limit_minor == due_minor:
            return
        if decision.new_limit_minor == decision.old_limit_minor and self._playbook_reasons & set(decision.reasons):
            self._held += 1
        else:
            self._harms.append(Harm(self._made, decision.account_id, due_minor - decision.new_limit_minor))

    def _hear(self) -> None:
        """Take note of alerts and of what guards have put in force since the last look."""
        store = self._stage.store.playbooks
        outbox = self._stage.store.outbox
        for message in reversed(outbox.messages(alerts.TOPIC, (MessageState.WAITING,), NUMBER_MAX, 100)):
            if message.sequence > self._message_seen:
                self._message_seen = message.sequence
                facts = json.loads(message.body)
                if facts["what"] == "guard_alarm":
                    self._enter("detected", f"{facts['signal']} alarms; recommends {facts['recommends']}")
        for change in store.changes(self._change_seen, 100):
            self._change_seen = change.sequence
            activation = store.activation(change.number)
            assert activation is not None
            if change.action == "activate" and change.caller != ONCALL:
                self._enter("activated", f"{activation.title} by {change.caller}: {change.reason}")

    def _step(self, step: Step) -> None:
        """Preview and activate as on-call does, with the approval of another person where one is needed."""
        parts, store = self._stage.parts, self._stage.store
        parameters = {
            name: self._version if value == GOOD_VERSION else value for name, value in step.parameters.items()
        }
        playbook = parts.playbooks.playbook(step.playbook, 0)
        values, _ = completed(playbook, parameters)
        candidate = requested(
            0, playbook, values, EVERYBODY, 1, ONCALL, "", "", 0, is_break_glass=True, is_forced=False
        )  # fmt: skip
        found = preview(
            newest(store, PREVIEWED), playbook, EVERYBODY,
            lambda names: parts.control.recorded_mode(store, names, candidate), parts.desk.policy,
        )  # fmt: skip
        self._enter("previewed", f"{step.playbook} would have changed {found.changed} of the last {found.decisions}")
        activation = self._order(
            ActivationOrder(
                "activate", f"{ONCALL}/{playbook.name}", b"", ONCALL, "a drill", playbook=playbook.name,
                version=playbook.version, parameters=values, ttl_seconds=TTL_SECONDS,
            )
        )  # fmt: skip
        if activation.approvals_needed:
            key = f"{APPROVER}/{playbook.name}"
            self._order(ActivationOrder("approve", key, b"", APPROVER, "a drill", activation.number))
        self._enter("activated", f"{activation.title} by {ONCALL}")

    def _order(self, order: ActivationOrder) -> Activation:
        return self._stage.parts.playbooks.change(order).activation

    def _enter(self, what: str, detail: str) -> None:
        self._events.append(Event(self._made if self._is_on else self._made - LEARNED - CALM, what, detail))

    def _first(self, what: str) -> int:
        return next((event.decision for event in self._events if event.what == what and event.decision >= 0), -1)

    def promote(self, document: str, bug: Bug | None = None) -> None:
        """Publish and promote a policy document in silence."""
        self._stage.reader.bug = bug
        desk = self._stage.parts.policies
        version = desk.change(
            PolicyOrder("publish", f"{ONCALL}/publish", b"", ONCALL, document=document)
        ).record.version
        desk.change(PolicyOrder("promote", f"{ONCALL}/promote", b"", ONCALL, version))

    def document(self) -> str:
        """Give the document of the policy that decides."""
        return self._stage.parts.policies.record(self._version).document

    def set_feed(self, feed: Feed) -> None:
        """Change what callers send of what is true."""
        self._traffic.feed = feed

    def pass_time(self, by_us: int) -> None:
        """Let time pass without traffic."""
        self._stage.clock.time_us += by_us

    def misset_clock(self, by_us: int) -> None:
        """Set the machine's clock wrong, and let somebody say that it is right."""
        self._stage.clock.off_us += by_us
        desk = self._stage.parts.clock
        desk.confirm(ClockOrder(f"{ONCALL}/confirm", b"", ONCALL, "a mistake", desk.time().ahead_us))
        self._false_us += by_us
