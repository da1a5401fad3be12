"""Appeals and what customers said, in SQLite: the tables of migration 8.

Promises the same transaction as the rest of the store: it runs statements through the store that owns the connection.
"""

from collections.abc import Sequence
from typing import Any

from service.domain.case import Case, CaseChange, CaseState, Voice, VoiceKind
from service.storage import rows
from service.storage.sqlite.sql import STATEMENTS, Execute, numbers_of


class SqliteCases:
    """The statements of migration 8."""

    def __init__(self, run: Execute) -> None:
        self._run = run

    def enter(self, case: Case) -> Case:
        """Enter a case, or what became of it; gives it with its number."""
        row = (case.number or None, *case[1:3], int(case.state), case.statement, rows.news_bytes(case.news), *case[6:])
        ((number,),) = self._run(STATEMENTS["enter_case"], row)
        return case._replace(number=number)

    def case(self, number: int) -> Case | None:
        """Find one case."""
        found = self._run(STATEMENTS["case"], (number,))
        return _case(found[0]) if found else None

    def of_decision(self, decision: int) -> Case | None:
        """Find the case that appeals a decision."""
        found = self._run(STATEMENTS["case_of_decision"], (decision,))
        return _case(found[0]) if found else None

    def of_account(self, account_id: str, before: int, count: int) -> list[Case]:
        """Read an account's cases, newest first, from before a number."""
        return [_case(row) for row in self._run(STATEMENTS["cases_of_account"], (account_id, before, count))]

    def listed(
        self, account_id: str, states: Sequence[CaseState], due_before_us: int, before: int, count: int
    ) -> list[Case]:
        """Read cases of some states, of an account or of all, due before a time; newest first, from a number."""
        narrowed = (numbers_of(states), due_before_us, before, count)
        if account_id:
            found = self._run(STATEMENTS["cases_of_account_and_states"], (account_id, *narrowed))
        else:
            found = self._run(STATEMENTS["cases_of_states"], narrowed)
        return [_case(row) for row in found]

    def change(self, key: str) -> CaseChange | None:
        """Find the change that a key stands for."""
        found = self._run(STATEMENTS["case_change"], (key,))
        return CaseChange(*found[0]) if found else None

    def words(self, number: int, after: int, count: int) -> list[CaseChange]:
        """Read what was said on a case since it was opened, oldest first, from after so many words."""
        return [CaseChange(*row) for row in self._run(STATEMENTS["case_changes_of"], (number, count, after))]

    def enter_change(self, change: CaseChange) -> None:
        """Record a change."""
        self._run(STATEMENTS["insert_case_change"], change)

    def enter_voice(self, voice: Voice) -> int:
        """Enter what a customer said; gives its number."""
        row = (*voice[1:3], int(voice.kind), *voice[4:8], ",".join(voice.reasons), *voice[9:])
        return int(self._run(STATEMENTS["insert_voice"], row)[0][0])

    def voice(self, key: str) -> Voice | None:
        """Find what a key stands for."""
        found = self._run(STATEMENTS["voice"], (key,))
        return _voice(found[0]) if found else None

    def voices_after(self, number: int, count: int) -> list[Voice]:
        """Read what customers said after a number, oldest first."""
        return [_voice(row) for row in self._run(STATEMENTS["voices_after"], (number, count))]

    def voices_since(self, since_us: int, count: int) -> list[Voice]:
        """Read what customers said since a time, newest first."""
        return [_voice(row) for row in self._run(STATEMENTS["voices_since"], (since_us, count))]


def _case(row: Sequence[Any]) -> Case:
    return Case._make([*row[:3], CaseState(row[3]), row[4], rows.news_of(row[5]), *row[6:]])


def _voice(row: Sequence[Any]) -> Voice:
    reasons = tuple(row[8].split(",")) if row[8] else ()
    return Voice._make([*row[:3], VoiceKind(row[3]), *row[4:8], reasons, *row[9:]])
