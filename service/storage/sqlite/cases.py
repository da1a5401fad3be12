"""Appeals and what customers said, in SQLite: the tables of migration 8.

Promises the same transaction as the rest of the store: it runs statements through the store that owns the connection.
"""

from collections.abc import Sequence
from typing import Final

from service.domain.case import Case, CaseChange, CaseState, Voice, VoiceKind
from service.storage import records
from service.storage.sqlite.forms import WORDS, Form, Stored, number_of
from service.storage.sqlite.sql import STATEMENTS, Execute, numbers_of

CASES: Final = Form(
    Case,
    {
        # A new case is given its number by the store.
        "number": Stored(int, lambda number: number or None),
        "state": number_of(CaseState),
        "news": Stored(records.news_of, records.news_bytes),
    },
    reads="case case_of_decision cases_of_account cases_of_states cases_of_account_and_states",
    enters="enter_case",
)
CASE_CHANGES: Final = Form(CaseChange, reads="case_change case_changes_of", enters="insert_case_change")
VOICES: Final = Form(
    Voice,
    {"kind": number_of(VoiceKind), "reasons": WORDS},
    reads="voice voices_after voices_since",
    enters="insert_voice",
)


class SqliteCases:
    """The statements of migration 8."""

    def __init__(self, run: Execute) -> None:
        self._run = run

    def enter(self, case: Case) -> Case:
        """Enter a case, or what became of it; gives it with its number."""
        ((number,),) = self._run(STATEMENTS["enter_case"], CASES.bound(case))
        return case._replace(number=number)

    def case(self, number: int) -> Case | None:
        """Find one case."""
        return CASES.first(self._run(STATEMENTS["case"], (number,)))

    def of_decision(self, decision: int) -> Case | None:
        """Find the case that appeals a decision."""
        return CASES.first(self._run(STATEMENTS["case_of_decision"], (decision,)))

    def of_account(self, account_id: str, before: int, count: int) -> list[Case]:
        """Read an account's cases, newest first, from before a number."""
        return CASES.records(self._run(STATEMENTS["cases_of_account"], (account_id, before, count)))

    def listed(
        self, account_id: str, states: Sequence[CaseState], due_before_us: int, before: int, count: int
    ) -> list[Case]:
        """Read cases of some states, of an account or of all, due before a time; newest first, from a number."""
        narrowed = (numbers_of(states), due_before_us, before, count)
        if account_id:
            found = self._run(STATEMENTS["cases_of_account_and_states"], (account_id, *narrowed))
        else:
            found = self._run(STATEMENTS["cases_of_states"], narrowed)
        return CASES.records(found)

    def change(self, key: str) -> CaseChange | None:
        """Find the change that a key stands for."""
        return CASE_CHANGES.first(self._run(STATEMENTS["case_change"], (key,)))

    def words(self, number: int, after: int, count: int) -> list[CaseChange]:
        """Read what was said on a case since it was opened, oldest first, from after so many words."""
        return CASE_CHANGES.records(self._run(STATEMENTS["case_changes_of"], (number, count, after)))

    def enter_change(self, change: CaseChange) -> None:
        """Record a change."""
        self._run(STATEMENTS["insert_case_change"], CASE_CHANGES.bound(change))

    def enter_voice(self, voice: Voice) -> int:
        """Enter what a customer said; gives its number."""
        return int(self._run(STATEMENTS["insert_voice"], VOICES.bound(voice))[0][0])

    def voice(self, key: str) -> Voice | None:
        """Find what a key stands for."""
        return VOICES.first(self._run(STATEMENTS["voice"], (key,)))

    def voices_after(self, number: int, count: int) -> list[Voice]:
        """Read what customers said after a number, oldest first."""
        return VOICES.records(self._run(STATEMENTS["voices_after"], (number, count)))

    def voices_since(self, since_us: int, count: int) -> list[Voice]:
        """Read what customers said since a time, newest first."""
        return VOICES.records(self._run(STATEMENTS["voices_since"], (since_us, count)))
