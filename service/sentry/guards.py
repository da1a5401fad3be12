"""The guards: what the service sees of its own decisions, held against what is normal.

Promises an alarm only where the statistics say so, one recommendation a signal, and to act by itself only where that
is configured: never twice at once, never within the cool-down, never against a person's activation or a person's word
that it is over. Decisions made under a playbook don't count for the rates: the playbook changed them. Pure: decisions
go in, alarms and acts come out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from service.domain.activation import Activation, is_in_force
from service.domain.decision import Kind
from service.domain.facts import FACTS
from service.domain.watch import Baseline, Complaint, Look
from service.sentry.statistics import (
    PSI_ALARM,
    RATE_MOST,
    RECOVERED,
    SHAPE_COUNT_LEAST,
    WINDOW,
    Cusum,
    Shape,
    counts,
    expected,
    shape,
    stability_index,
    upper_bound,
)

OWN_PREFIX: Final = "holdline:"
CALLER: Final = "holdline:guard"
COOL_DOWN_US: Final = 3_600_000_000
"""After a guard has acted, or a person has ended what it did, so long it only recommends."""
PARTS: Final = 1_000_000
RATES: Final[dict[str, tuple[tuple[Kind, ...], bool]]] = {
    "cut_rate": ((Kind.REDUCE, Kind.REVIEW), False),
    "raise_rate": ((Kind.RAISE, Kind.REVIEW), True),
    "raise_refusal_rate": ((Kind.RAISE,), False),
    "assign_rate": ((Kind.ASSIGN,), True),
    "assign_refusal_rate": ((Kind.ASSIGN,), False),
}
"""Signals of a rate: the kinds that count, and whether a rise of the limit is the hit."""
MISSING_RAISES: Final = "missing_raise_rate"
"""Signal of the daily run: accounts that it passes and does not raise (`run_guard`)."""
COMPLAINTS: Final = "complaint_rate"
"""Signal of upset customers: complaints among complaints and decisions."""
RECOMMENDS: Final = {
    "cut_rate": "freeze_reductions",
    "raise_rate": "cap_growth",
    "raise_refusal_rate": "hold_last_known_good",
    "assign_rate": "cap_growth",
    "assign_refusal_rate": "hold_last_known_good",
    MISSING_RAISES: "hold_last_known_good",
    COMPLAINTS: "hold_last_known_good",
    "score_psi": "hold_last_known_good",
    "fact_psi": "static_scorecard",
    "age_psi": "static_scorecard",
    "error_rate": "shed_low_priority",
    "latency": "shed_low_priority",
}
STATIC_FACTS: Final = ("identity_level", "bureau_score", "monthly_income", "employment_months", "age_years")
"""Where these drift, static_scorecard would lean on what is broken; limits are held instead."""


class Normal(msgspec.Struct, frozen=True):
    """What is normal for a product: hits and observations by rate, distributions of facts and scores by signal.

    A baseline of before has distributions that imports took part in; they are not read, and it is learned anew.
    """

    rates: dict[str, tuple[int, int]]
    by_kind: dict[str, Shape] = {}


class Signal(NamedTuple):
    """What one guard sees; value and baseline in parts per million (latency: microseconds)."""

    name: str
    product: str
    value: int
    baseline: int
    share: float
    is_alarming: bool
    since_us: int
    baseline_version: int

    @property
    def recommends(self) -> str:
        """The playbook that speaks to this alarm."""
        family, _, fact = self.name.partition(":")
        return "hold_last_known_good" if fact in STATIC_FACTS else RECOMMENDS[family]


def hit(signal: str, look: Look) -> bool:
    """Claim that a decision counts as a hit of a rate."""
    if signal == "cut_rate":
        return look.move < 0
    return (look.move > 0) is RATES[signal][1]


def is_normal(look: Look) -> bool:
    """Claim that a decision is of the kinds that guards judge, made without a playbook, so that it may be learned."""
    return look.is_asked and look.is_plain


def learning(product: str, looks: Sequence[Look], complaints: int, by: str) -> Iterator[Baseline | None]:
    """Learn what is normal from a product's decisions, and from how many complaints came in beside them.

    Gives None after each distribution, for other work to go on between them, and at last the baseline.
    """
    plain = [look for look in looks if look.product == product and is_normal(look)]
    rates = {}
    for signal, (kinds, _) in RATES.items():
        counted = [look for look in plain if look.kind in kinds]
        rates[signal] = (sum(hit(signal, look) for look in counted), len(counted))
    rates[COMPLAINTS] = (complaints, complaints + len(plain))
    shapes = {}
    for signal, samples in _samples(plain):
        # A kind that was seen too seldom is not watched.
        shapes[signal] = shape({kind: found for kind, found in samples.items() if len(found) >= SHAPE_COUNT_LEAST})
        yield None
    content = msgspec.json.encode(Normal(rates, shapes)).decode()
    yield Baseline(0, product, 0, len(plain), by, content)


def _samples(looks: Sequence[Look]) -> Iterator[tuple[str, dict[int, list[int | None]]]]:
    """Give the values of each distribution by kind; a fact of a first limit is no measure of a raise's."""
    by_kind: dict[int, list[Look]] = {}
    for look in looks:
        by_kind.setdefault(int(look.kind), []).append(look)
    for signal, place in FACT_SHAPES.items():
        yield signal, {kind: [look.values[place] for look in found] for kind, found in by_kind.items()}
    yield (
        "score_psi",
        {kind: [look.score for look in found if look.score is not None] for kind, found in by_kind.items()},
    )
    yield "age_psi", {kind: [look.behaviour_days for look in found] for kind, found in by_kind.items()}


FACT_SHAPES: Final = {f"fact_psi:{fact.name}": place for place, fact in enumerate(FACTS)}
RATE_COUNT_LEAST: Final = 200
"""A rate learned from fewer observations is not watched; it is learned anew when more have been seen."""


class RateGuard:
    """Watches one rate of one product."""

    def __init__(self, signal: str, product: str, baseline: tuple[int, int], version: int) -> None:
        self._signal, self._product, self._version = signal, product, version
        self._kinds = RATES[signal][0] if signal in RATES else ()
        self._normal = upper_bound(*baseline)
        self._cusum = Cusum(self._normal)
        self._recent = 0.0
        self._alarm_us = 0

    def add(self, look: Look) -> None:
        """Take a decision into account."""
        if look.kind in self._kinds and look.is_plain:
            self.note(look.decided_us, found=hit(self._signal, look))

    def note(self, at_us: int, *, found: bool) -> None:
        """Take one observation into account: a hit or none."""
        self._cusum.add(found, not found)
        self._recent += (found - self._recent) / WINDOW
        self._alarm_us = alarm_since(self._alarm_us, self._cusum.share, at_us)

    def signal(self) -> Signal:
        """Give what is seen."""
        return Signal(
            self._signal, self._product, int(self._recent * PARTS), int(self._normal * PARTS), self._cusum.share,
            self._alarm_us > 0, self._alarm_us, self._version,
        )  # fmt: skip


class ShapeGuard:
    """Watches one distribution of one product, window by window, each held against what its kinds are expected to be.

    So a day of more first limits and fewer raises is no drift, and a kind that was never learned is not judged.
    """

    def __init__(self, signal: str, product: str, normal: Shape, version: int) -> None:
        self._signal, self._product, self._version, self._normal = signal, product, version, normal
        self._window: list[int | None] = []
        self._kinds: Counter[int] = Counter()
        self._index = 0.0
        self._alarm_us = 0

    def add(self, kind: Kind, value: int | None, decided_us: int) -> None:
        """Take a value into account, of a kind that was learned."""
        if kind not in self._normal.found:
            return
        self._window.append(value)
        self._kinds[kind] += 1
        if len(self._window) == WINDOW:
            found = counts(self._window, self._normal.bounds)
            self._index = stability_index(expected(self._normal, self._kinds), found)
            self._window.clear()
            self._kinds.clear()
            self._alarm_us = alarm_since(self._alarm_us, self._index / PSI_ALARM, decided_us)

    @property
    def is_learned(self) -> bool:
        """Whether there is a kind to hold anything against."""
        return bool(self._normal.found)

    def signal(self) -> Signal:
        """Give what is seen."""
        return Signal(
            self._signal, self._product, int(self._index * PARTS), int(PSI_ALARM * PARTS), self._index / PSI_ALARM,
            self._alarm_us > 0, self._alarm_us, self._version,
        )  # fmt: skip


def alarm_since(since_us: int, share: float, now_us: int) -> int:
    """Give since when a signal alarms, 0 where it doesn't: it begins at its threshold and ends at half of it."""
    if since_us:
        return since_us if share > RECOVERED else 0
    return now_us if share >= 1 else 0


class Watch:
    """Every guard of one product."""

    def __init__(self, baseline: Baseline) -> None:
        normal = msgspec.json.decode(baseline.content, type=Normal)
        product, version = baseline.product, baseline.version
        self._rates = [
            RateGuard(signal, product, counted, version)
            for signal, counted in normal.rates.items()
            if signal != COMPLAINTS and _is_watchable(counted)
        ]
        # A baseline of before there were complaints has none.
        complaints = normal.rates.get(COMPLAINTS, (0, 0))
        is_watched = _is_watchable(complaints)
        self._complaints = RateGuard(COMPLAINTS, product, complaints, version) if is_watched else None
        self._are_rates_whole = all(counted[1] >= RATE_COUNT_LEAST for counted in normal.rates.values())
        nothing = Shape((), {})
        shapes = {
            signal: ShapeGuard(signal, product, normal.by_kind.get(signal, nothing), version)
            for signal in (*FACT_SHAPES, "score_psi", "age_psi")
        }
        self._facts = [(place, shapes[signal]) for signal, place in FACT_SHAPES.items()]
        self._scores, self._ages = shapes["score_psi"], shapes["age_psi"]
        self._shapes = [one for one in shapes.values() if one.is_learned]
        self._learned = set(normal.by_kind.get("age_psi", nothing).found)
        self._unlearned: Counter[int] = Counter()
        self.version = version

    @property
    def is_whole(self) -> bool:
        """Whether every rate was seen often enough to be learned, and every kind that comes in often enough now."""
        return self._are_rates_whole and all(count < SHAPE_COUNT_LEAST for count in self._unlearned.values())

    def add(self, look: Look) -> None:
        """Take a decision into account."""
        if not look.is_asked:
            return
        if look.kind not in self._learned:
            self._unlearned[look.kind] += look.is_plain
        for rate in self._rates:
            rate.add(look)
        if self._complaints is not None and look.is_plain:
            self._complaints.note(look.decided_us, found=False)
        for place, guard in self._facts:
            guard.add(look.kind, look.values[place], look.decided_us)
        self._ages.add(look.kind, look.behaviour_days, look.decided_us)
        if look.score is not None and look.is_plain:
            self._scores.add(look.kind, look.score, look.decided_us)

    def hear(self, complaint: Complaint) -> None:
        """Take a complaint into account."""
        if self._complaints is not None:
            self._complaints.note(complaint.said_us, found=True)

    def signals(self) -> list[Signal]:
        """Give what is seen."""
        rates = [*self._rates, *([self._complaints] if self._complaints is not None else [])]
        return [rate.signal() for rate in rates] + [guard.signal() for guard in self._shapes]


def _is_watchable(counted: tuple[int, int]) -> bool:
    """Claim that a rate was seen often enough, and is seldom enough, to be watched."""
    return counted[1] >= RATE_COUNT_LEAST and upper_bound(*counted) <= RATE_MOST


class Act(NamedTuple):
    """A playbook that a guard puts in force."""

    signal: Signal
    playbook: str


class Guards:
    """Every guard of every product, and what they ask for."""

    def __init__(self, acting: Mapping[str, str]) -> None:
        """Make guards; `acting` gives the playbook by signal family where a guard acts by itself."""
        self._acting = acting
        self._watches: dict[str, Watch] = {}
        self._told: dict[tuple[str, str], int] = {}
        self._acted_us = -COOL_DOWN_US
        self.others: list[Signal] = []
        """Signals that are not of decisions: errors and latency."""

    def learn(self, baselines: Iterable[Baseline]) -> None:
        """Take baselines over; a product whose baseline is the same keeps what it has seen."""
        for baseline in baselines:
            watch = self._watches.get(baseline.product)
            if watch is None or watch.version != baseline.version:
                self._watches[baseline.product] = Watch(baseline)

    def lacks(self, product: str) -> bool:
        """Claim that a product has no baseline yet, or one in which a rate was seen too seldom."""
        watch = self._watches.get(product)
        return watch is None or not watch.is_whole

    def add(self, looks: Iterable[Look]) -> None:
        """Take decisions into account, oldest first."""
        for look in looks:
            watch = self._watches.get(look.product)
            if watch is not None:
                watch.add(look)

    def hear(self, complaints: Iterable[Complaint]) -> None:
        """Take complaints into account, oldest first."""
        for complaint in complaints:
            watch = self._watches.get(complaint.product)
            if watch is not None:
                watch.hear(complaint)

    def signals(self) -> list[Signal]:
        """Give every signal, the loudest first."""
        found = [signal for watch in self._watches.values() for signal in watch.signals()]
        return sorted((*found, *self.others), key=lambda signal: (-signal.share, signal.name, signal.product))

    def news(self) -> list[Signal]:
        """Give the signals that began to alarm since this was last asked."""
        alarming = {(one.name, one.product): one for one in self.signals() if one.is_alarming}
        new = [one for key, one in alarming.items() if self._told.get(key) != one.since_us]
        self._told = {key: one.since_us for key, one in alarming.items()}
        return new

    def acts(self, new: Sequence[Signal], activations: Sequence[Activation], now_us: int) -> list[Act]:
        """Give at most one act for new alarms; `activations` are the newest, over ones included."""
        for signal in new:
            playbook = self._acting.get(signal.name.partition(":")[0])
            if playbook is None or now_us - self._acted_us < COOL_DOWN_US:
                continue
            if any(_forbids(one, signal.product, now_us) for one in activations):
                continue
            self._acted_us = now_us
            return [Act(signal, playbook)]
        return []


def _forbids(activation: Activation, product: str, now_us: int) -> bool:
    """Claim that an activation keeps guards from acting: a person's, or one of theirs, in force or lately ended."""
    if activation.scope.product and product and activation.scope.product != product:
        return False
    if is_in_force(activation, now_us):
        return True
    is_automatic = activation.requested_by.startswith(OWN_PREFIX)
    ended_by_person = bool(activation.ended_us) and not activation.ended_by.startswith(OWN_PREFIX)
    return is_automatic and ended_by_person and now_us - activation.ended_us < COOL_DOWN_US
