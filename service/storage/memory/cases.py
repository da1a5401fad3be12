"""Appeals and what customers said, in memory, by the same rules as the durable stores."""

from collections.abc import Sequence
from copy import copy

from service.domain.case import Case, CaseChange, CaseState, Voice


class MemoryCases:
    """Plain dictionaries; `snapshot` and `restore` make them part of the store's transaction."""

    def __init__(self) -> None:
        self._cases: dict[int, Case] = {}
        self._changes: dict[str, CaseChange] = {}
        self._voices: dict[str, Voice] = {}

    def snapshot(self) -> dict[str, object]:
        """Give what `restore` needs."""
        return {name: copy(value) for name, value in vars(self).items()}

    def restore(self, snapshot: dict[str, object]) -> None:
        """Go back to a snapshot."""
        vars(self).update(snapshot)

    def enter(self, case: Case) -> Case:
        """Enter a case, or what became of it; gives it with its number."""
        case = case._replace(number=case.number or len(self._cases) + 1)
        self._cases[case.number] = case
        return case

    def case(self, number: int) -> Case | None:
        """Find one case."""
        return self._cases.get(number)

    def of_decision(self, decision: int) -> Case | None:
        """Find the case that appeals a decision."""
        return next((case for case in self._cases.values() if case.decision == decision), None)

    def of_account(self, account_id: str, before: int, count: int) -> list[Case]:
        """Read an account's cases, newest first, from before a number."""
        found = [case for case in reversed(self._cases.values()) if case.account_id == account_id]
        return [case for case in found if case.number < before][:count]

    def listed(
        self, account_id: str, states: Sequence[CaseState], due_before_us: int, before: int, count: int
    ) -> list[Case]:
        """Read cases of some states, of an account or of all, due before a time; newest first, from a number."""
        found = [case for case in reversed(self._cases.values()) if case.state in states and case.number < before]
        own = [case for case in found if account_id in ("", case.account_id)]
        return [case for case in own if case.due_us < due_before_us][:count]

    def change(self, key: str) -> CaseChange | None:
        """Find the change that a key stands for."""
        return self._changes.get(key)

    def words(self, number: int, after: int, count: int) -> list[CaseChange]:
        """Read what was said on a case since it was opened, oldest first, from after so many words."""
        said = [change for change in self._changes.values() if change.number == number and change.is_word]
        return sorted(said, key=lambda change: (change.changed_us, change.key))[after : after + count]

    def enter_change(self, change: CaseChange) -> None:
        """Record a change."""
        self._changes[change.key] = change

    def enter_voice(self, voice: Voice) -> int:
        """Enter what a customer said; gives its number."""
        number = len(self._voices) + 1
        self._voices[voice.key] = voice._replace(number=number)
        return number

    def voice(self, key: str) -> Voice | None:
        """Find what a key stands for."""
        return self._voices.get(key)

    def voices_after(self, number: int, count: int) -> list[Voice]:
        """Read what customers said after a number, oldest first."""
        return [voice for voice in self._voices.values() if voice.number > number][:count]

    def voices_since(self, since_us: int, count: int) -> list[Voice]:
        """Read what customers said since a time, newest first."""
        return [voice for voice in reversed(self._voices.values()) if voice.said_us >= since_us][:count]
