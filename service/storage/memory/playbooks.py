"""Playbooks and guards in memory, by the same rules as the durable stores."""

from copy import copy

from service.domain.activation import Activation, ActivationChange
from service.domain.watch import Baseline, EngineSeen


class MemoryPlaybooks:
    """Plain dictionaries; `snapshot` and `restore` make them part of the store's transaction."""

    def __init__(self) -> None:
        self._activations: dict[int, Activation] = {}
        self._changes: dict[str, ActivationChange] = {}
        self._engines: dict[str, EngineSeen] = {}
        self._growth: dict[tuple[str, int], int] = {}
        self._baselines: list[Baseline] = []
        self.generation = 0

    def snapshot(self) -> dict[str, object]:
        """Give what `restore` needs."""
        return {name: copy(value) for name, value in vars(self).items()}

    def restore(self, snapshot: dict[str, object]) -> None:
        """Go back to a snapshot."""
        vars(self).update(snapshot)

    def activations_open(self, now_us: int) -> list[Activation]:
        """Read the activations that may be in force after a time."""
        return [one for one in self._activations.values() if not one.ended_us and one.until_us > now_us]

    def activation(self, number: int) -> Activation | None:
        """Find one activation."""
        return self._activations.get(number)

    def activations_newest(self, before: int, count: int) -> list[Activation]:
        """Read activations, newest first, from before a number."""
        return [self._activations[number] for number in sorted(self._activations, reverse=True) if number < before][
            :count
        ]

    def next_number(self) -> int:
        """Give the number of the next activation."""
        return max(self._activations, default=0) + 1

    def change(self, key: str) -> ActivationChange | None:
        """Find the change that a key stands for."""
        return self._changes.get(key)

    def changes(self, after: int, count: int) -> list[ActivationChange]:
        """Read changes after a sequence, oldest first."""
        return [change for change in self._changes.values() if change.sequence > after][:count]

    def last_change(self) -> int:
        """Give the newest change's sequence, 0 before the first."""
        return len(self._changes)

    def write(self, activation: Activation, change: ActivationChange) -> None:
        """Enter an activation or what became of it, the change, and that every engine must look."""
        self._activations[activation.number] = activation
        self._changes[change.key] = change._replace(sequence=len(self._changes) + 1)
        self.generation += 1

    def engines(self, since_us: int) -> list[EngineSeen]:
        """Read the engines seen since a time."""
        return [self._engines[name] for name in sorted(self._engines) if self._engines[name].seen_us >= since_us]

    def note_engine(self, engine: EngineSeen, forget_before_us: int) -> None:
        """Note that an engine was seen, and forget those that were not for long."""
        self._engines[engine.engine_id] = engine
        self._engines = {name: one for name, one in self._engines.items() if one.seen_us >= forget_before_us}

    def growth(self, since_minute: int) -> list[tuple[str, int, int]]:
        """Read what was granted since a minute: currency, minute since the epoch, minor units."""
        return [(*key, raised) for key, raised in self._growth.items() if key[1] >= since_minute]

    def add_growth(self, currency: str, minute: int, raised_minor: int, forget_before: int) -> None:
        """Add what was granted in a minute, and forget minutes that no window reaches."""
        self._growth[currency, minute] = self._growth.get((currency, minute), 0) + raised_minor
        self._growth = {key: raised for key, raised in self._growth.items() if key[1] >= forget_before}

    def baselines(self) -> list[Baseline]:
        """Read the newest baseline of each product."""
        return list({baseline.product: baseline for baseline in self._baselines}.values())

    def baseline(self, key: str) -> Baseline | None:
        """Find the baseline that a key stands for."""
        return next((baseline for baseline in self._baselines if key and baseline.key == key), None)

    def keep_baseline(self, baseline: Baseline) -> None:
        """Keep a baseline under the next version."""
        self._baselines.append(baseline._replace(version=len(self._baselines) + 1))
