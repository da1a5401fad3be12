"""What customers say: feedback, surveys and appeals, taken once for a key, and appeals resolved.

Promises that a case, its change and the decision that overturns it commit in one transaction, and that an appeal is
judged again by the policy and the mode that made the decision.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from service.domain import notice
from service.domain.account import UNBOUNDED, WINDOW_DAYS, Account, known, settled
from service.domain.book import Answered
from service.domain.case import (
    Case,
    CaseChange,
    CaseState,
    Resolution,
    Voice,
    VoiceKind,
    refuse_appeal,
    refuse_over,
    resolved,
)
from service.domain.decision import Ask, DecideCommand, Decided, Decision, Kind, Outcome
from service.domain.errors import (
    AppealExists,
    AppealHeld,
    HoldlineError,
    InvalidRequest,
    StoreUnavailable,
    VersionMismatch,
    Violation,
)
from service.domain.facts import FACTS
from service.domain.hindsight import corrected_profile, is_for_a_person, news_that_stand
from service.domain.notice import Notice
from service.domain.policy import DAY_US, PORTFOLIO
from service.engine import once
from service.engine.budget import Purse
from service.engine.control import Control
from service.engine.desks.feedback_reads import CaseAnswer, FeedbackReads
from service.engine.desks.retrial import CASES_MAX, Retrial, retry, suggestion_minor
from service.engine.execute import execute_beside, transaction
from service.engine.ports.calendar import Calendar
from service.engine.ports.store import NUMBER_MAX, ControlRow, Store
from service.engine.safety.brake import Brake

APPEALS_CALLER: Final = "holdline:appeals"
NOBODY: Final = "holdline:corrected-facts"
"""Who resolves a case whose corrected facts settle it."""
ALONE_US: Final = WINDOW_DAYS * DAY_US
"""So far back what one person alone gave an account counts towards what one person alone may give it."""


class Said(NamedTuple):
    """What a caller sends of a customer's words; which fields count depends on the kind."""

    kind: VoiceKind
    key: str
    fingerprint: bytes
    caller: str
    account_id: str
    decision: int
    text: str
    category: int = 0
    score: int = 0
    news: tuple[tuple[int, int], ...] = ()
    news_currencies: tuple[tuple[int, str], ...] = ()


class Word(NamedTuple):
    """A person's word on a case."""

    key: str
    fingerprint: bytes
    caller: str
    number: int
    resolution: Resolution
    limit_minor: int
    currency: str
    note: str


ATTEMPTS_MAX: Final = 5
"""So often another's word on a case, or another decision on its account, may be first."""


class _CaseMoved(Exception):
    """A case or its account is no longer what it was read to be."""


class FeedbackDesk(FeedbackReads):
    """Takes what customers say, and resolves appeals."""

    def __init__(
        self, store: Store, control: Control, calendar: Calendar, brake: Brake, appeal_us: int,
        rooms_minor: Mapping[str, int],
    ) -> None:  # fmt: skip
        """`appeal_us` is the service level; `rooms_minor` by how much one person alone may raise, by currency."""
        super().__init__(store, control)
        self._calendar = calendar
        self._brake = brake
        self._appeal_us = appeal_us
        self._rooms_minor = rooms_minor

    def say(self, said: Said) -> tuple[int, bool]:
        """Record feedback or a survey; gives its number and whether it was recorded before.

        Raises AccountNotFound, DecisionNotFound or IdempotencyKeyReused.
        """
        with transaction(self._store, self._control) as row:
            return self._say(said, row.now_us)

    def _say(self, said: Said, now_us: int) -> tuple[int, bool]:
        recorded = once.taken(self._store, said, self._store.cases.voice, now_us)
        if recorded is not None:
            return recorded.number, True
        account = self._admitted(said.account_id)
        version = ""
        reasons: tuple[str, ...] = ()
        if said.decision:
            decision = self._decision(said.account_id, said.decision).decision
            version, reasons = decision.policy_version, decision.reasons
        voice = Voice(
            0, said.key, said.fingerprint, said.kind, said.account_id, said.decision, account.product, version,
            reasons, said.category, said.score, said.text, now_us,
        )  # fmt: skip
        return self._store.cases.enter_voice(voice), False

    def appeal(self, said: Said) -> CaseAnswer:
        """Open a case, and settle it where its corrected facts do so within what one person may grant.

        Raises AccountNotFound, DecisionNotFound, NothingToAppeal, AppealExists, InvalidRequest or IdempotencyKeyReused.
        """
        told, again = self._open(said)
        for _ in range(ATTEMPTS_MAX):
            # A retry settles what a crash left between the two commits.
            if told.case.state is not CaseState.OPEN or not told.case.news:
                break
            if again is None:
                again = retry(self._store, self._control, self._account(told.case.account_id), told.case)
            try:
                return self._settled(told, again)
            except AppealHeld:
                break
            except _CaseMoved:
                told, again = told._replace(case=self.case(told.case.number)), None
        # Where nothing settled it, a person decides when nothing holds it any more.
        return told

    def _settled(self, told: CaseAnswer, again: Retrial | None) -> CaseAnswer:
        """Let corrected facts settle a case where nothing wants a person's eye; raises AppealHeld."""
        case, account = told.case, self._account(told.case.account_id)
        row = self._store.control()
        policy = self._control.active(account.product)
        limit_minor = suggestion_minor(again, settled(account, row.now_us), case, policy)
        today = self._calendar.business_day(row.now_us)
        profile = corrected_profile(known(account, today), again.corrections if again is not None else ())
        if (
            again is None
            or not limit_minor
            or limit_minor - account.limit_minor > self._rooms_minor.get(account.currency, 0)
            or limit_minor > policy.caps.automatic.bound
            or is_for_a_person(account, profile, policy, row.now_us)
        ):
            return told
        overturned = case._replace(
            state=CaseState.OVERTURNED, resolved_by=NOBODY, resolved_us=row.now_us, suggested_minor=limit_minor
        )
        key = f"{NOBODY}/{case.name}"
        change = CaseChange(key, b"", case.number, "settle", NOBODY, row.now_us, "", limit_minor)
        return told._replace(case=self._overturned(case, overturned, again.course.limit_minor, change, account, again))

    def _open(self, said: Said) -> tuple[CaseAnswer, Retrial | None]:
        """Open a case, and judge the past again with what it corrects; not where the case was opened before."""
        with transaction(self._store, self._control) as row:
            account = self._account(said.account_id)
            number, is_known = self._say(said, row.now_us)
            decided = self._decision(said.account_id, said.decision)
            existing = self._store.cases.of_decision(said.decision)
            if is_known and existing is not None:
                return CaseAnswer(existing, account.currency, replayed=True), None
            if existing is not None:
                raise AppealExists(case_id=existing.name, decision_id=f"{said.decision:016x}")
            refuse_appeal(decided.decision)
            self._refuse_currencies(said, account)
            opened = Case(
                0, said.account_id, said.decision, CaseState.OPEN, said.text, said.news, said.caller, row.now_us,
                row.now_us + self._appeal_us, 0,
            )  # fmt: skip
            again = self._retried(opened, account)
            policy = self._control.active(account.product)
            suggested_minor = suggestion_minor(again, settled(account, row.now_us), opened, policy)
            case = self._store.cases.enter(opened._replace(suggested_minor=suggested_minor))
            change = CaseChange(said.key, said.fingerprint, case.number, f"submit F{number}", said.caller, row.now_us)
            self._store.cases.enter_change(change)
            received = Notice(notice.APPEAL_RECEIVED, said.account_id, said.decision, row.now_us)
            self._store.outbox.tell([received], set(), row.now_us)
            return CaseAnswer(case, account.currency, replayed=False), again

    def resolve(self, word: Word) -> CaseAnswer:
        """Take a person's word on a case.

        Raises CaseNotFound, CaseOver, ApprovalRefused, AppealHeld, InvalidRequest or IdempotencyKeyReused.
        """
        for _ in range(ATTEMPTS_MAX):
            with contextlib.suppress(_CaseMoved):
                return self._resolved(word)
        raise StoreUnavailable(kind="Contended")

    def _resolved(self, word: Word) -> CaseAnswer:
        """Take a word on a case as it is read here; raises _CaseMoved where another's was first."""
        recorded = once.recorded(self._store, word, self._store.cases.change)
        case = self.case(word.number)
        account = self._account(case.account_id)
        if recorded is not None:
            return CaseAnswer(case, account.currency, replayed=True)
        refuse_over(case)
        if word.resolution is Resolution.OVERTURN:
            _refuse_limit(word, account)
        now_us = self.now_us()
        room = self._rooms_minor.get(account.currency, 0) - self._given_alone_minor(account, now_us)
        after = resolved(
            case, word.resolution, word.limit_minor, word.caller, word.note, room, now_us, account.limit_minor
        )
        action = after.state.name.lower()
        change = CaseChange(
            word.key, word.fingerprint, case.number, action, word.caller, now_us, word.note, word.limit_minor
        )
        if after.state is CaseState.OVERTURNED:
            again = retry(self._store, self._control, account, case)
            made = self._overturned(case, after, word.limit_minor, change, account, again)
            return CaseAnswer(made, account.currency, replayed=False)
        with once.once(self._store, self._control, word, self._store.cases.change) as (row, known):
            self._refuse_moved(case, known)
            self._admitted(case.account_id)
            self._store.cases.enter(after)
            self._store.cases.enter_change(change)
            if after.state is CaseState.UPHELD:
                upheld = Notice(notice.APPEAL_UPHELD, case.account_id, case.decision, row.now_us)
                self._store.outbox.tell([upheld], set(), row.now_us)
        return CaseAnswer(after, account.currency, replayed=False)

    def _refuse_moved(self, read: Case, known: CaseChange | None) -> None:
        """Refuse to write over what became of a case since it was read, inside the transaction that writes.

        `known` is what the key of the write stands for by now.
        """
        if known is not None or self.case(read.number) != read:
            raise _CaseMoved

    def _given_alone_minor(self, account: Account, now_us: int) -> int:
        """Give by how much the account's limit was raised of late on one person's word, so that many small are one."""
        given_minor = 0
        for case in self._store.cases.of_account(account.account_id, NUMBER_MAX, CASES_MAX):
            if case.result and case.resolved_by != NOBODY and case.resolved_us > now_us - ALONE_US:
                made = self._decision(account.account_id, case.result).decision
                is_by_two = case.proposed_minor == made.new_limit_minor and case.proposed_by != case.resolved_by
                given_minor += 0 if is_by_two else made.new_limit_minor - made.old_limit_minor
        return given_minor

    def _overturned(
        self, before: Case, case: Case, limit_minor: int, change: CaseChange, account: Account, again: Retrial | None
    ) -> Case:
        """Give the limit by an ordinary decision that cites the case, and enter both; raises AppealHeld or _CaseMoved.

        The decision stands on the account as it was when its past was judged again.
        """
        own = next((one for one in again.corrections if one.decision.number == case.decision), None) if again else None
        command = DecideCommand(
            APPEALS_CALLER, f"appeal/{case.name}", change.fingerprint, case.account_id, "", Kind.APPEAL,
            news_that_stand(account, own) if own is not None else (), (), account.version, "",
            asked=Ask(limit_minor, 0, case.resolved_by != NOBODY, again.course if again is not None else None),
            # What was wrong then is put right as of then: it grows stale as it would have.
            news_us=own.decision.decided_us if own is not None else 0,
        )  # fmt: skip
        entered: list[Case] = []

        def enter(row: ControlRow, answers: Sequence[Answered | HoldlineError]) -> None:
            known = once.taken(self._store, change, self._store.cases.change, row.now_us)
            self._refuse_moved(before, known)
            (answer,) = answers
            if isinstance(answer, VersionMismatch):
                raise _CaseMoved
            if isinstance(answer, HoldlineError):
                raise answer
            assert isinstance(answer, Decided), "a decision command is answered by a decision"
            decision = answer.decision
            if decision.outcome is not Outcome.APPROVED:
                raise AppealHeld(case_id=case.name, reasons=",".join(decision.reasons))
            if again is not None and case.resolved_by == NOBODY:
                self._take_of_budget(case, decision, again.corrections[0].decision.business_day)
            entered.append(self._store.cases.enter(case._replace(result=decision.number)))
            self._store.cases.enter_change(change)

        execute_beside([command], self._store, self._control, self._calendar, self._brake, enter)
        return entered[-1]

    def _take_of_budget(self, case: Case, made: Decision, business_day: int) -> None:
        """Take what corrected facts gave out of the budget of the day that was decided wrongly; raises AppealHeld.

        The budget of the day on which it is given is charged as for any raise.
        """
        if business_day == made.business_day:
            return
        policy, purse = self._control.version(self._store, made.policy_version), Purse(self._store.runs)
        room_minor, given_minor = purse.room(policy, business_day), made.new_limit_minor - made.old_limit_minor
        if room_minor == UNBOUNDED:
            return
        if given_minor > room_minor:
            raise AppealHeld(case_id=case.name, reasons=PORTFOLIO.reason)
        purse.spend(policy, business_day, given_minor)
        purse.write()

    @staticmethod
    def _refuse_currencies(said: Said, account: Account) -> None:
        wrong = tuple(
            Violation(
                f"corrected_facts.{FACTS[fact].name}.currency_code",
                f"{currency} is not the account's currency; send {account.currency}",
            )
            for fact, currency in said.news_currencies if currency != account.currency
        )  # fmt: skip
        if wrong:
            raise InvalidRequest(wrong)


def _refuse_limit(word: Word, account: Account) -> None:
    """Refuse a limit that overturns nothing; raises InvalidRequest."""
    violations = []
    if word.currency != account.currency:
        violations.append(Violation("new_limit.currency_code", f"the account's currency is {account.currency}"))
    if word.limit_minor <= account.limit_minor:
        what = f"{word.limit_minor} is not more than the present limit of {account.limit_minor}"
        violations.append(Violation("new_limit.minor_units", what))
    if violations:
        raise InvalidRequest(tuple(violations))
