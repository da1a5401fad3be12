"""Playbooks, guards and their messages in SQLite: the tables of migration 2.

Promises the same transaction as the rest of the store: it runs statements through the store that owns the connection.
"""

from typing import Final

from service.domain.activation import Activation, ActivationChange, Approval
from service.domain.mode import Scope
from service.domain.playbook import Value
from service.domain.watch import Baseline, EngineSeen
from service.storage.sqlite.before import Left
from service.storage.sqlite.forms import FLAG, Form, json_of
from service.storage.sqlite.sql import STATEMENTS, Execute

ACTIVATIONS: Final = Form(
    Activation,
    {
        "parameters": json_of(tuple[tuple[str, Value], ...]),
        "scope": json_of(Scope),
        "approvals": json_of(tuple[Approval, ...]),
        "is_break_glass": FLAG,
        "is_forced": FLAG,
    },
    reads="activations_open activation activations_newest",
    enters="enter_activation",
)
ACTIVATION_CHANGES: Final = Form(
    ActivationChange, reads="activation_change activation_changes", enters="insert_activation_change"
)
ENGINES: Final = Form(EngineSeen, reads="engines", enters="enter_engine")
BASELINES: Final = Form(Baseline, reads="baseline baselines", enters="insert_baseline")


class SqlitePlaybooks:
    """The statements of migration 2."""

    def __init__(self, run: Execute, left: Left) -> None:
        self._run = run
        self._left = left

    def activations_open(self, now_us: int) -> list[Activation]:
        """Read the activations that may be in force after a time."""
        return ACTIVATIONS.records(self._run(STATEMENTS["activations_open"], (now_us,)))

    def activation(self, number: int) -> Activation | None:
        """Find one activation."""
        return ACTIVATIONS.first(self._run(STATEMENTS["activation"], (number,)))

    def activations_newest(self, before: int, count: int) -> list[Activation]:
        """Read activations, newest first, from before a number."""
        return ACTIVATIONS.records(self._run(STATEMENTS["activations_newest"], (before, count)))

    def next_number(self) -> int:
        """Give the number of the next activation."""
        return int(self._run(STATEMENTS["next_activation"], ())[0][0])

    def change(self, key: str) -> ActivationChange | None:
        """Find the change that a key stands for."""
        return ACTIVATION_CHANGES.first(self._run(STATEMENTS["activation_change"], (key,)))

    def changes(self, after: int, count: int) -> list[ActivationChange]:
        """Read changes after a sequence, oldest first."""
        return ACTIVATION_CHANGES.records(self._run(STATEMENTS["activation_changes"], (after, count)))

    def last_change(self) -> int:
        """Give the newest change's sequence, 0 before the first."""
        return int(self._run(STATEMENTS["last_change"], ())[0][0])

    def write(self, activation: Activation, change: ActivationChange) -> None:
        """Enter an activation or what became of it, the change, and that every engine must look."""
        self._run(STATEMENTS["enter_activation"], ACTIVATIONS.bound(activation))
        name = "insert_activation_change" if self._left() is None else "insert_activation_change_of_both"
        self._run(STATEMENTS[name], ACTIVATION_CHANGES.bound(change))
        self._run(STATEMENTS["next_generation"], ())

    def engines(self, since_us: int) -> list[EngineSeen]:
        """Read the engines seen since a time."""
        return ENGINES.records(self._run(STATEMENTS["engines"], (since_us,)))

    def note_engine(self, engine: EngineSeen, forget_before_us: int) -> None:
        """Note that an engine was seen, and forget those that were not for long."""
        self._run(STATEMENTS["enter_engine"], ENGINES.bound(engine))
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
        return BASELINES.records(self._run(STATEMENTS["baselines"], ()))

    def baseline(self, key: str) -> Baseline | None:
        """Find the baseline that a key stands for."""
        return BASELINES.first(self._run(STATEMENTS["baseline"], (key,)))

    def keep_baseline(self, baseline: Baseline) -> None:
        """Keep a baseline under the next version."""
        self._run(STATEMENTS["insert_baseline"], BASELINES.bound(baseline))
