"""Execute a batch of commands: one transaction in three phases, fetch all, decide all, write all.

Promises one answer a command, in order: a decision that is durable, or the error that the command met. A refusal is
an answer too and never touches its neighbours; when the store fails, every command is answered with that and nothing
of the batch remains.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from service.domain import late, notice
from service.domain.account import Account, known, opened
from service.domain.book import Answered, Book, Command, Elsewhere, Recorded, key_of, wanted
from service.domain.decide import decide, growth_minor, judge_in
from service.domain.decision import (
    ASSIGN,
    DECLINED,
    IMPORT,
    DecideCommand,
    Decided,
    Decision,
    Moment,
    recorded_standing,
)
from service.domain.draw import DrawCommand, Posted, post
from service.domain.entitlement import RUN_CALLER, entitlement_of
from service.domain.errors import AccountNotFound, HoldlineError, IdempotencyKeyReused, Unavailable
from service.domain.event import TAKEN, TAKEN_BEFORE, EventCommand, check
from service.domain.growing import Growing
from service.domain.mode import admit
from service.domain.playbook import Request
from service.domain.policy import LATER_DECIDED, Policy
from service.engine.budget import Purse
from service.engine.control import Control
from service.engine.ports.calendar import Calendar
from service.engine.ports.store import ControlRow, Store
from service.engine.safety.brake import Brake, BrakeTripped

Beside = Callable[[ControlRow, Sequence[Answered | HoldlineError]], None]
"""Writes something in the transaction of a batch, with its answers known."""
_OPENING: Final = (ASSIGN, IMPORT)


def execute(
    commands: Sequence[Command], store: Store, control: Control, calendar: Calendar, brake: Brake
) -> list[Answered | HoldlineError]:
    """Decide commands in order and make the decisions durable; gives as many answers as commands."""
    try:
        return execute_beside(commands, store, control, calendar, brake, lambda _, __: None)
    except Unavailable as error:
        return [error] * len(commands)


def execute_beside(
    commands: Sequence[Command], store: Store, control: Control, calendar: Calendar, brake: Brake, beside: Beside
) -> list[Answered | HoldlineError]:
    """Decide commands, and write something beside them in the same transaction; raises what `beside` or a store does.

    Where the batch would let exposure grow beyond the brake's limits, nothing of it is kept: the brake puts its safe
    mode in force, durably, and the batch is decided anew in that mode.
    """
    try:
        return _decided(commands, store, control, calendar, brake, beside)
    except BrakeTripped as trip:
        with transaction(store, control) as row:
            brake.pull(trip, store, row.now_us)
        return _decided(commands, store, control, calendar, brake, beside)


def _decided(
    commands: Sequence[Command], store: Store, control: Control, calendar: Calendar, brake: Brake, beside: Beside
) -> list[Answered | HoldlineError]:
    """Decide a batch in one transaction; raises BrakeTripped or Unavailable, and nothing of it remains."""
    with transaction(store, control) as row:
        book = store.fetch(wanted(commands), row.last_number)
        moment = moment_of(calendar, row)
        purse = Purse(store.runs)
        answers = _answers(commands, book, control, purse, moment)
        if not book.is_blank:
            brake.allow(book, store, moment.now_us)
            purse.write()
            store.write(book)
        beside(row, answers)
    return answers


def _answers(
    commands: Sequence[Command], book: Book, control: Control, purse: Purse, moment: Moment
) -> list[Answered | HoldlineError]:
    """Answer commands in order, neighbouring events together."""
    answers: list[Answered | HoldlineError] = []
    events: list[EventCommand] = []
    for one in commands:
        if isinstance(one, EventCommand):
            events.append(one)
            continue
        if events:
            answers += _taken(events, book, control, moment)
            events.clear()
        answers.append(answer(one, book, control, purse, moment))
    return answers + _taken(events, book, control, moment) if events else answers


def _taken(
    events: Sequence[EventCommand], book: Book, control: Control, moment: Moment
) -> list[Answered | HoldlineError]:
    """Take events into the behaviour of their accounts, each once."""
    growing: dict[str, Growing] = {}
    new: list[EventCommand] = []
    answers: list[Answered | HoldlineError] = []
    taken, accounts, is_measured = book.taken, book.accounts, bool(control.mode.measures)
    for event in events:
        before = taken.get(event.key)
        if before is not None:
            is_same = before == event.fingerprint
            answers.append(TAKEN_BEFORE if is_same else IdempotencyKeyReused(request_id=event.request_id))
            continue
        account_id = event.account_id
        account = accounts.get(account_id)
        if control.refusal is not None or account is None:
            answers.append(control.refusal or AccountNotFound(account_id=account_id))
            continue
        grown = growing.get(account_id)
        if grown is None:
            grown = growing[account_id] = Growing(account.behaviour, moment.business_day, moment.now_us)
        try:
            if is_measured:
                _admit(event, account._replace(behaviour=grown.behaviour()), control, moment)
            check(event, account, moment)
            grown.take(event.event)
        except HoldlineError as refusal:
            answers.append(refusal)
        else:
            taken[event.key] = event.fingerprint
            new.append(event)
            answers.append(TAKEN)
    book.enter_events(new, growing)
    return answers


def _admit(command: Command, account: Account, control: Control, moment: Moment) -> None:
    """Refuse a command that the mode in force keeps out; raises HoldlineError."""
    if control.mode.measures:
        request = Request(command.criticality)
        admit(control.mode, request, account.account_id, account.product, known(account, moment.business_day))


def answer(
    command: DecideCommand | DrawCommand, book: Book, control: Control, purse: Purse, moment: Moment
) -> Recorded | HoldlineError:
    """Answer one command from the book and enter what it changes."""
    key = key_of(command.caller, command.request_id)
    recorded = book.answers.get(key)
    if recorded is not None:
        if isinstance(recorded, Elsewhere):
            return IdempotencyKeyReused(request_id=command.request_id)
        record = recorded.posting if isinstance(recorded, Posted) else recorded.decision
        if record.fingerprint != command.fingerprint:
            return IdempotencyKeyReused(request_id=command.request_id)
        return recorded if recorded.replayed else recorded._replace(replayed=True)
    if control.refusal is not None:
        return control.refusal
    try:
        account = book.accounts.get(command.account_id) or newcomer(command, control)
        _admit(command, account, control, moment)
        policy = control.active(account.product)
        if isinstance(command, DecideCommand):
            return _enter_decision(command, key, account, policy, book, control, purse, moment)
        hold = book.holds.get(command.hold_number)
        after, posting = post(command, account, hold, policy.version, control.mode.mode_id, moment.now_us)
    except HoldlineError as refusal:
        return refusal
    posted = book.enter_posting(key, after, posting)
    if posting.outcome is DECLINED:
        book.tell(notice.DRAW_DECLINED, posting.account_id, posted.posting.number, moment.now_us)
    return posted


def _enter_decision(
    command: DecideCommand, key: str, account: Account, policy: Policy, book: Book, control: Control, purse: Purse,
    moment: Moment,
) -> Decided:  # fmt: skip
    """Decide, and enter the decision with what it settles of the promise ledger; raises HoldlineError."""
    if command.business_day and command.business_day != moment.business_day:
        moment = _on_day(moment, command.business_day)
        if purse.is_spent_by_later(policy, moment.business_day):
            moment = moment._replace(is_budget_spent=True)
    if policy.caps.portfolio_per_day_minor is not None:
        moment = moment._replace(portfolio_room_minor=purse.room(policy, moment.business_day))
    number = book.next_number(moment.now_us)
    after, decision = decide(command, account, policy, control.mode, moment, number)
    made = book.enter(key, after, decision)
    if kind := notice.kind_of(decision):
        book.tell(kind, decision.account_id, decision.number, moment.now_us)
    if account.temporary is not None and after.temporary != account.temporary:
        book.withdraw(account.account_id)
    if decision.asked is not None and (ending := notice.ending(decision, policy)) is not None:
        book.notices.append(ending)
    if decision.promised_minor:
        decided_by = control.mode.policies.get(decision.policy_version, policy)
        entitlement = entitlement_of(decision, decided_by)
        if entitlement.waiting_since:
            entitlement = purse.in_turn(entitlement)
            if entitlement.waiting_since == decision.business_day and decision.caller == RUN_CALLER:
                book.tell(notice.RAISE_WAITS, decision.account_id, decision.number, moment.now_us)
        book.entitlements.append(entitlement)
        if entitlement.reason == LATER_DECIDED.reason and policy.caps.portfolio_per_day_minor is not None:
            purse.set_aside(policy.product, decision.business_day, _withheld_minor(decision, policy, control))
    if policy.caps.portfolio_per_day_minor is not None and (raised_minor := growth_minor(account, decision)) > 0:
        purse.spend(policy, decision.business_day, raised_minor)
    return made


def _withheld_minor(decision: Decision, policy: Policy, control: Control) -> int:
    """Give what the days in order would have given where a later one came first, in minor units."""
    standing = recorded_standing(decision)
    ordered = late.in_order(standing)
    moment = Moment(decision.decided_us, decision.business_day)
    names = decision.account_id, policy.product
    verdict = judge_in(control.mode, decision.kind, *names, ordered, policy, moment).verdict
    return late.in_order_minor(verdict, standing)


@lru_cache(maxsize=64)
def _on_day(moment: Moment, business_day: int) -> Moment:
    """Give the moment of a raise that was promised on a day; cached because a batch has one."""
    return moment._replace(business_day=business_day, today=moment.business_day)


def newcomer(command: DecideCommand | DrawCommand, control: Control) -> Account:
    """Open an account for a first limit or an import; raises AccountNotFound for other commands, or PolicyNotFound."""
    if not isinstance(command, DecideCommand) or command.kind not in _OPENING:
        raise AccountNotFound(account_id=command.account_id)
    policy = control.active(command.product)
    return opened(command.account_id, policy.product, policy.currency)


def moment_of(calendar: Calendar, row: ControlRow) -> Moment:
    """Give the time of a batch: the store's, and the business day."""
    return Moment(row.now_us, calendar.business_day(row.now_us))


@contextmanager
def transaction(store: Store, control: Control) -> Iterator[ControlRow]:
    """Open a transaction with fresh control; commits at the end, rolls back on any error."""
    store.begin()
    try:
        yield control.refresh(store)
        store.commit()
    except BaseException:
        control.forget()
        store.rollback()
        raise
