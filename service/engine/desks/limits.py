"""Decisions, accounts, holds and postings as they are read, and decisions that are only evaluated.

Promises strongly consistent reads (the engine has made every acknowledged decision), also while the store takes no
writes.
"""

from collections.abc import Iterator
from typing import NamedTuple

from service.domain.account import Account, known, settled
from service.domain.book import key_of
from service.domain.daily_run import LAST_ID
from service.domain.decide import decide
from service.domain.decision import DecideCommand, Decided, Decision
from service.domain.draw import Hold, Posted, hold_at
from service.domain.errors import (
    AccountNotFound,
    DecisionNotFound,
    HoldNotFound,
    InvalidRequest,
    PolicyNotFound,
    PostingNotFound,
    Violation,
)
from service.domain.explain import Explanation, explain
from service.domain.mode import NORMAL
from service.domain.policy import Policy
from service.engine.control import Control
from service.engine.execute import moment_of, newcomer
from service.engine.ports.calendar import Calendar
from service.engine.ports.store import Store


class Evaluation(NamedTuple):
    """What a decision would be, the account after it, and why."""

    decision: Decision
    account: Account
    policy: Policy
    explanation: Explanation


class LimitDesk:
    """Reads and evaluations over one store."""

    def __init__(self, store: Store, control: Control, calendar: Calendar) -> None:
        self._store = store
        self._control = control
        self._calendar = calendar

    def policy(self, version: str) -> Policy:
        """Give a published version, compiled; raises PolicyNotFound."""
        return self._control.version(self._store, version)

    def account(self, account_id: str) -> Account:
        """Give an account as it stands now; raises AccountNotFound."""
        account = self._store.account(account_id)
        if account is None:
            raise AccountNotFound(account_id=account_id)
        if not account.holds and account.behaviour is None and account.temporary is None:
            return account
        now_us = self._store.control().now_us
        today = self._calendar.business_day(now_us)
        return settled(account, now_us)._replace(profile=known(account, today))

    def hold(self, account_id: str, number: int) -> tuple[Hold, str]:
        """Give a hold as it stands now, and its currency; raises AccountNotFound or HoldNotFound."""
        account = self.account(account_id)
        hold = self._store.hold(account_id, number)
        if hold is None:
            raise HoldNotFound(account_id=account_id, hold_id=f"{number:016x}")
        return hold_at(hold, self._store.control().now_us), account.currency

    def accounts_after(self, after_id: str, count: int) -> Iterator[Account]:
        """Give accounts as they stand now, by their ids, from after one ("": from the first), so many at most."""
        control = self._store.control()
        today = self._calendar.business_day(control.now_us)
        for account in self._store.runs.accounts_after(after_id, LAST_ID, count):
            yield settled(account, control.now_us)._replace(profile=known(account, today))

    def posting(self, number: int) -> Posted:
        """Give a posting by its number; raises PostingNotFound."""
        posted = self._store.posting(number) if number < 1 << 63 else None
        if posted is None:
            raise PostingNotFound(posting_id=f"{number:016x}")
        return posted

    def posting_of(self, caller: str, request_id: str) -> Posted:
        """Give the posting that a caller made with a key, while that is kept; raises PostingNotFound."""
        key = key_of(caller, request_id)
        found = self._store.recorded([key]).get(key)
        if not isinstance(found, Posted):
            raise PostingNotFound(request_id=request_id)
        return found

    def holds(self, account_id: str, before: int, count: int) -> tuple[list[Hold], str]:
        """Give holds as they stand now, newest first, from before a number (0: the newest), and their currency.

        Raises AccountNotFound.
        """
        account = self.account(account_id)
        now_us = self._store.control().now_us
        return [
            hold_at(hold, now_us) for hold in self._store.account_holds(account_id, before, count)
        ], account.currency

    def postings(self, account_id: str, before: int, count: int) -> list[Posted]:
        """Give an account's postings, newest first, from before a number (0: the newest); raises AccountNotFound."""
        self.account(account_id)
        return self._store.account_postings(account_id, before, count)

    def decision(self, decision_id: str) -> Decided:
        """Give a decision by its id, 16 hexadecimal digits; raises DecisionNotFound."""
        number = int(decision_id, 16)
        decided = self._store.decision(number) if number < 1 << 63 else None
        if decided is None:
            raise DecisionNotFound(decision_id=decision_id)
        return decided

    def decision_of(self, caller: str, request_id: str) -> Decided:
        """Give the decision that a caller made with a key, while that is kept; raises DecisionNotFound."""
        key = key_of(caller, request_id)
        found = self._store.recorded([key]).get(key)
        if not isinstance(found, Decided):
            raise DecisionNotFound(request_id=request_id)
        return found

    def account_decisions(self, account_id: str, before: int, count: int) -> list[Decided]:
        """Give an account's decisions, newest first, from before a number (0: the newest); raises AccountNotFound."""
        self.account(account_id)
        return self._store.account_decisions(account_id, before, count)

    def explained(self, decision_id: str) -> tuple[Decided, Policy, Explanation]:
        """Give a decision with its policy and explanation; raises DecisionNotFound."""
        decided = self.decision(decision_id)
        policy = self.policy(decided.decision.policy_version)
        mode = self._control.recorded_mode(self._store, decided.decision.activations)
        return decided, policy, explain(decided.decision, policy, mode)

    def evaluate(self, command: DecideCommand, policy_version: str, mode_id: str) -> Evaluation:
        """Compute a decision without writing it; raises what the decision would.

        `mode_id` is "normal", or the mode in force, which is also meant where it is empty.
        """
        row = self._control.refresh(self._store)
        if self._control.refusal is not None:
            raise self._control.refusal
        in_force = self._control.mode
        if mode_id not in ("", NORMAL.mode_id, in_force.mode_id):
            raise InvalidRequest((Violation("mode_id", f"send normal, {in_force.mode_id} (in force) or nothing"),))
        mode = NORMAL if mode_id == NORMAL.mode_id else in_force
        account = self._store.account(command.account_id) or newcomer(command, self._control)
        policy = self.policy(policy_version) if policy_version else self._control.active(account.product)
        if policy.product != account.product:
            raise PolicyNotFound(
                "this version decides for another product", version=policy_version, product=account.product
            )
        after, decision = decide(command, account, policy, mode, moment_of(self._calendar, row))
        # A playbook may have chosen another policy than the one that is active.
        policy = self.policy(decision.policy_version)
        return Evaluation(decision, after, policy, explain(decision, policy, mode))
