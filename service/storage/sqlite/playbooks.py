"""Playbooks, guards and their messages in SQLite: the tables of migration 2.

Promises the same transaction as the rest of the store: it runs statements through the store that owns the connection.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from service.domain.activation import Activation, ActivationChange, Approval
from service.domain.mode import Scope
from service.domain.playbook import Value
from service.domain.watch import Baseline, EngineSeen
from service.storage.sqlite.sql import STATEMENTS, Execute

_parameters: Final = msgspec.json.Decoder(tuple[tuple[str, Value], ...]).decode
_scope: Final = msgspec.json.Decoder(Scope).decode
_approvals: Final = msgspec.json.Decoder(tuple[Approval, ...]).decode


def _json(content: object) -> str:
    return msgspec.json.encode(content).decode()


class SqlitePlaybooks:
    """The statements of migration 2."""

    def __init__(self, run: Execute) -> None:
        self._run = run

    def activations_open(self, now_us: int) -> list[Activation]:
        """Read the activations that may be in force after a time."""
        return [_activation(row) for row in self._run(STATEMENTS["activations_open"], (now_us,))]

    def activation(self, number: int) -> Activation | None:
        """Find one activation."""
        found = self._run(STATEMENTS["activation"], (number,))
        return _activation(found[0]) if found else None

    def activations_newest(self, before: int, count: int) -> list[Activation]:
        """Read activations, newest first, from before a number."""
        return [_activation(row) for row in self._run(STATEMENTS["activations_newest"], (before, count))]

    def next_number(self) -> int:
        """Give the number of the next activation."""
        return int(self._run(STATEMENTS["next_activation"], ())[0][0])

    def change(self, key: str) -> ActivationChange | None:
        """Find the change that a key stands for."""
        found = self._run(STATEMENTS["activation_change"], (key,))
        return ActivationChange(*found[0][:8]) if found else None

    def changes(self, after: int, count: int) -> list[ActivationChange]:
        """Read changes after a sequence, oldest first."""
        return [ActivationChange(*row[:8]) for row in self._run(STATEMENTS["activation_changes"], (after, count))]

    def last_change(self) -> int:
        """Give the newest change's sequence, 0 before the first."""
        return int(self._run(STATEMENTS["last_change"], ())[0][0])

    def write(self, activation: Activation, change: ActivationChange) -> None:
        """Enter an activation or what became of it, the change, and that every engine must look."""
        row = (
            *activation[:4], _json(activation.parameters), _json(activation.scope), *activation[6:12],
            _json(activation.approvals), int(activation.is_break_glass), int(activation.is_forced), *activation[15:],
        )  # fmt: skip
        self._run(STATEMENTS["enter_activation"], row)
        self._run(STATEMENTS["insert_activation_change"], change[1:])
        self._run(STATEMENTS["next_generation"], ())

    def engines(self, since_us: int) -> list[EngineSeen]:
        """Read the engines seen since a time."""
        return [EngineSeen(*row) for row in self._run(STATEMENTS["engines"], (since_us,))]

    def note_engine(self, engine: EngineSeen, forget_before_us: int) -> None:
        """Note that an engine was seen, and forget those that were not for long."""
        self._run(STATEMENTS["enter_engine"], engine)
        self._run(STATEMENTS["forget_engines"], (forget_before_us,))

    def growth(self, since_minute: int) -> list[tuple[str, int, int]]:
        """Read what was granted since a minute: currency, minute since the epoch, minor units."""
        return [tuple(row) for row in self._run(STATEMENTS["growth"], (since_minute,))]

    def add_growth(self, currency: str, minute: int, raised_minor: int, forget_before: int) -> None:
        """Add what was granted in a minute, and forget minutes that no window reaches."""
        self._run(STATEMENTS["add_growth"], (currency, minute, raised_minor))
        self._run(STATEMENTS["forget_growth"], (forget_before,))

    def baselines(self) -> list[Baseline]:
        """Read the newest baseline of each product."""
        return [Baseline(*row) for row in self._run(STATEMENTS["baselines"], ())]

    def baseline(self, key: str) -> Baseline | None:
        """Find the baseline that a key stands for."""
        found = self._run(STATEMENTS["baseline"], (key,))
        return Baseline(*found[0]) if found else None

    def keep_baseline(self, baseline: Baseline) -> None:
        """Keep a baseline under the next version."""
        self._run(STATEMENTS["insert_baseline"], baseline[1:])


def _activation(row: Sequence[Any]) -> Activation:
    decoded = [_parameters(row[4]), _scope(row[5]), *row[6:12], _approvals(row[12]), bool(row[13]), bool(row[14])]
    return Activation._make([*row[:4], *decoded, *row[15:]])
