"""Cases as they are read: one, with why it was decided so, or many."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from service.domain.account import Account, settled
from service.domain.case import (
    Case,
    CaseChange,
    CaseState,
)
from service.domain.decision import Criticality, Decided
from service.domain.errors import (
    AccountNotFound,
    CaseNotFound,
    DecisionNotFound,
)
from service.domain.explain import Explanation, explain
from service.domain.mode import admit
from service.domain.playbook import Request
from service.domain.policy import Policy
from service.engine.control import Control
from service.engine.desks.retrial import Retrial, retry, suggestion_minor
from service.engine.ports.store import Store

OPEN_STATES: Final = (CaseState.OPEN, CaseState.AWAITING_SECOND)
FAR_US: Final = 1 << 62


class CaseAnswer(NamedTuple):
    """A case as it stands, its currency, and whether the call had been answered before."""

    case: Case
    currency: str
    replayed: bool


class FeedbackReads:
    """Reads cases and what was said on them."""

    def __init__(self, store: Store, control: Control) -> None:
        self._store = store
        self._control = control

    def now_us(self) -> int:
        """Give the store's time in microseconds since the epoch UTC."""
        return self._store.control().now_us

    def case(self, number: int) -> Case:
        """Give a case; raises CaseNotFound."""
        case = self._store.cases.case(number)
        if case is None:
            raise CaseNotFound(case_id=f"C{number}")
        return case

    def explained(self, number: int) -> tuple[CaseAnswer, Decided, Policy, Explanation]:
        """Give a case with the decision that it appeals, its policy and why; raises CaseNotFound."""
        case = self.case(number)
        if case.state in OPEN_STATES:
            # A process that only reads learns here what decides now.
            self._control.refresh(self._store)
            account = self._account(case.account_id)
            policy = self._control.active(account.product)
            account = settled(account, self.now_us())
            case = case._replace(suggested_minor=suggestion_minor(self._retried(case, account), account, case, policy))
        decided = self._decision(case.account_id, case.decision)
        policy = self._control.version(self._store, decided.decision.policy_version)
        mode = self._control.recorded_mode(self._store, decided.decision.activations)
        return (
            CaseAnswer(case, decided.currency, replayed=False),
            decided,
            policy,
            explain(decided.decision, policy, mode),
        )

    def listed(
        self, account_id: str, states: Sequence[CaseState], before: int, count: int, *, only_overdue: bool
    ) -> list[CaseAnswer]:
        """Give cases of some states, of an account or (empty) of all, newest first, from before a number.

        Raises AccountNotFound.
        """
        if account_id:
            self._account(account_id)
        due_before_us = self.now_us() if only_overdue else FAR_US
        found = self._store.cases.listed(account_id, states, due_before_us, before, count)
        return [_as_listed(case, self._account(case.account_id)) for case in found]

    def notes(self, number: int, after: int, count: int) -> tuple[list[CaseChange], str]:
        """Give what was said on a case, oldest first, from after so many, and its currency; raises CaseNotFound."""
        currency = self._account(self.case(number).account_id).currency
        return self._store.cases.words(number, after, count), currency

    def _account(self, account_id: str) -> Account:
        account = self._store.account(account_id)
        if account is None:
            raise AccountNotFound(account_id=account_id)
        return account

    def _admitted(self, account_id: str) -> Account:
        """Find an account that the mode in force lets be written to; raises AccountNotFound or what the mode says."""
        account = self._account(account_id)
        if self._control.refusal is not None:
            raise self._control.refusal
        request = Request(Criticality.INTERACTIVE)
        admit(self._control.mode, request, account_id, account.product, account.profile)
        return account

    def _decision(self, account_id: str, number: int) -> Decided:
        """Find one of an account's decisions; another's is as unknown as one that is not there."""
        decided = self._store.decision(number)
        if decided is None or decided.decision.account_id != account_id:
            raise DecisionNotFound(decision_id=f"{number:016x}", account_id=account_id)
        return decided

    def _retried(self, case: Case, account: Account) -> Retrial | None:
        """Judge the past again where a case corrects facts; what it corrects nothing of suggests no limit."""
        return retry(self._store, self._control, account, case) if case.news else None


def _as_listed(case: Case, account: Account) -> CaseAnswer:
    """Tell a case in a list: what was suggested when it was opened stands there while it would still give more."""
    if case.state in OPEN_STATES and case.suggested_minor <= account.limit_minor:
        case = case._replace(suggested_minor=0)
    return CaseAnswer(case, account.currency, replayed=False)
