"""One decision: the control flow from a command and an account to a record.

Promises that what is refused changes nothing, that growth caps hold over any sequence, and that the record alone, with
its policy, is enough to decide again. Reads no clock and does no I/O.
"""

from typing import Final

from service.domain import late
from service.domain.account import (
    ACTIVE,
    APPLICANT,
    CLOSED,
    UNBOUNDED,
    Account,
    Growth,
    Movement,
    Temporary,
    growth,
    growth_then,
    has_limit,
    known,
    moved,
    settled,
)
from service.domain.decision import (
    APPEAL,
    APPROVED,
    ASSIGN,
    DECLINED,
    IMPORT,
    RAISE,
    REDUCE,
    REVIEW,
    TEMPORARY,
    DecideCommand,
    Decision,
    Kind,
    Moment,
    Standing,
    Verdict,
    own_limit_minor,
    standing_of,
)
from service.domain.errors import (
    AccountClosed,
    AccountExists,
    InvalidRequest,
    NoLimitAssigned,
    VersionMismatch,
    Violation,
)
from service.domain.facts import CHARACTERISTICS, Profile, merge
from service.domain.judge import judge
from service.domain.mode import Judgement, Mode, judged
from service.domain.policy import (
    DAY_US,
    IMPORTED,
    PORTFOLIO,
    REASONS_MAX,
    Ground,
    Policy,
)
from service.domain.rules import CURRENT

TEMPORARY_DAYS_MAX: Final = 366
"""Longest temporary raise, whatever a policy or an operator says."""
_MOVES: Final = frozenset((RAISE, REDUCE, REVIEW, APPEAL))
"""Kinds whose change of an account's own limit counts as growth or cut; a first limit and an import do not."""


def decide(
    command: DecideCommand, account: Account, policy: Policy, mode: Mode, moment: Moment, number: int = 0
) -> tuple[Account, Decision]:
    """Decide one command on one account and give the account after it and the record.

    `number` is the record's, 0 where it will not be entered in a book.
    Raises AccountClosed, AccountExists, NoLimitAssigned, VersionMismatch or InvalidRequest; nothing has changed then.
    """
    check(command, account, moment.now_us)
    account = settled(account, moment.now_us)
    news_us = command.news_us or moment.now_us
    stated = merge(account.profile, command.news, news_us)
    profile = stated
    if account.behaviour is not None:
        # What comes with the decision counts for it, whatever events tell.
        profile = merge(known(account, moment.today or moment.business_day), command.news, news_us)
    before = (growth_then if command.business_day else growth)(account, moment.business_day)
    if moment.is_budget_spent:
        before = late.without_budget(before)
    if command.kind is IMPORT:
        verdict = Verdict(APPROVED, command.import_limit_minor, (), (IMPORTED,), 0)
        judgement = Judgement(verdict, policy, ())
        account = account._replace(outstanding_minor=command.import_outstanding_minor)
    else:
        room_minor = moment.portfolio_room_minor
        in_budget = before if room_minor == UNBOUNDED else before._replace(portfolio_room_minor=room_minor)
        standing = standing_of(account, profile, in_budget, command.asked)
        judgement = judge_in(mode, command.kind, account.account_id, account.product, standing, policy, moment)
        if room_minor < judgement.verdict.promised_minor or PORTFOLIO in judgement.verdict.grounds:
            # Room enough says nothing, and differs from one decision to the next.
            before = in_budget
    decision = _record(command, account, judgement, mode.mode_id, moment, profile, before, number)
    return _after(account, decision, stated), decision


def judge_in(
    mode: Mode, kind: Kind, account_id: str, product: str, standing: Standing, policy: Policy, moment: Moment
) -> Judgement:
    """Give what the policy says of a standing in a mode, for any kind but an import."""
    if not mode.measures:
        return Judgement(judge(kind, standing, policy, moment), policy, ())
    return judged(mode, judge, kind, account_id, product, standing, policy, moment)


def check(command: DecideCommand, account: Account, now_us: int) -> None:
    """Refuse a command that the account's state, its currency or the time rules out; what no mending helps first."""
    _refuse_state(command, account)
    if command.expected_version and command.expected_version != account.version:
        raise VersionMismatch(account.account_id, command.expected_version, account.version)
    violations: list[Violation] = []
    for fact, currency in command.news_currencies:
        if currency != account.currency:
            field = f"facts.{CHARACTERISTICS[fact].name}.currency_code"
            violations.append(Violation(field, f"{currency} is not the account's currency; send {account.currency}"))
    if command.product and command.product != account.product:
        violations.append(
            Violation("product", f"the account's product is {account.product}; leave this out or mend it")
        )
    if (
        command.kind is TEMPORARY
        and command.asked is not None
        and not now_us < command.asked.until_us <= now_us + TEMPORARY_DAYS_MAX * DAY_US
    ):
        what = f"send a time that lies ahead, by at most {TEMPORARY_DAYS_MAX} days"
        violations.append(Violation("temporary_raise.until", what))
    if command.asked_currency and command.asked_currency != account.currency:
        what = f"{command.asked_currency} is not the account's currency; send {account.currency}"
        violations.append(Violation("temporary_raise.extra.currency_code", what))
    if command.kind is IMPORT and command.import_currency != account.currency:
        violations.append(Violation("limit.currency_code", f"the product's currency is {account.currency}"))
    if violations:
        raise InvalidRequest(tuple(violations))


def _refuse_state(command: DecideCommand, account: Account) -> None:
    if account.status is CLOSED:
        raise AccountClosed(account_id=account.account_id)
    opens = command.kind is ASSIGN or command.kind is IMPORT
    if command.kind is APPEAL:
        return
    if opens and account.status is ACTIVE:
        raise AccountExists(account_id=account.account_id)
    if not opens and account.status is APPLICANT:
        raise NoLimitAssigned(account_id=account.account_id)
    if command.business_day and not has_limit(account, command.business_day):
        raise NoLimitAssigned(account_id=account.account_id)


def principal_reasons(grounds: tuple[Ground, ...]) -> tuple[str, ...]:
    """Give the first four different reason codes of an outcome's grounds."""
    if len(grounds) == 1:
        return (grounds[0].reason,)
    return tuple(dict.fromkeys(ground.reason for ground in grounds))[:REASONS_MAX]


def growth_minor(before: Account, decision: Decision) -> int:
    """Give what a decision moved of an account's own limit that growth caps count, negative for a cut, in minor units.

    However it was granted: a raise, a review, an appeal. What ends by itself is no growth, nor is a first limit, which
    an appeal may give, too.
    """
    change = decision.new_limit_minor - decision.old_limit_minor
    return change if change and decision.kind in _MOVES and before.status is ACTIVE else 0


def _record(
    command: DecideCommand,
    account: Account,
    judgement: Judgement,
    mode_id: str,
    moment: Moment,
    profile: Profile,
    before: Growth,
    number: int,
) -> Decision:
    verdict, policy, activations = judgement
    limit = account.limit_minor
    approved = verdict.outcome is APPROVED
    notice_owed = verdict.outcome is DECLINED or (approved and verdict.new_limit_minor < limit)
    notice_days = verdict.notice_days or policy.notice_days
    return Decision(
        number, account.last_decision, account.account_id, account.version + 1, command.kind, verdict.outcome,
        ACTIVE if approved else account.status,
        limit, verdict.new_limit_minor, account.held_minor, account.outstanding_minor, profile, before,
        verdict.points, principal_reasons(verdict.grounds), policy.version, mode_id, activations,
        command.caller, command.request_id, command.fingerprint, command.trace_id,
        moment.now_us, moment.business_day, moment.business_day + notice_days if notice_owed else 0,
        verdict.promised_minor, command.asked, _temporary_after(command, account, verdict), CURRENT,
    )  # fmt: skip


def _temporary_after(command: DecideCommand, account: Account, verdict: Verdict) -> Temporary | None:
    """Give the temporary raise after a verdict: a new one takes the place of one in force, a cut ends it."""
    if verdict.outcome is APPROVED:
        if command.kind is TEMPORARY and command.asked is not None:
            return Temporary(verdict.new_limit_minor - account.limit_minor, command.asked.until_us)
        if verdict.new_limit_minor < account.limit_minor:
            return None
    return account.temporary


def _after(account: Account, decision: Decision, stated: Profile) -> Account:
    """Give the account after a decision."""
    last_raise_day, last_cut_day, movements = moves_after(account, decision)
    return Account(
        account.account_id, account.product, account.currency, decision.status, own_limit_minor(decision),
        account.held_minor, account.outstanding_minor, decision.account_version, stated,
        last_raise_day, last_cut_day, movements, decision.number or account.last_decision, *account[13:17],
        decision.temporary, account.behaviour, _limit_since(account, decision),
    )  # fmt: skip


def moves_after(account: Account, decision: Decision) -> tuple[int, int, tuple[Movement, ...]]:
    """Give the days of the last raise and cut and the movements after a decision on an account.

    An appeal that knows the right course puts it in the place of the one that was; what it gives beyond that is a raise
    of its own day.
    """
    last_raise_day, last_cut_day, movements = account.last_raise_day, account.last_cut_day, account.movements
    change = growth_minor(account, decision)
    if not change:
        return last_raise_day, last_cut_day, movements
    day = decision.business_day
    if decision.asked is not None and decision.asked.course is not None:
        rightly_minor, last_raise_day, last_cut_day, movements = decision.asked.course
        change = decision.new_limit_minor - max(rightly_minor, decision.old_limit_minor)
        if change <= 0:
            return last_raise_day, last_cut_day, movements
    if change > 0:
        return max(last_raise_day, day), last_cut_day, moved(movements, day, change)
    return last_raise_day, max(last_cut_day, day), moved(movements, day, change)


def _limit_since(account: Account, decision: Decision) -> int:
    """Give the first day on which an account has a limit, after a decision that may be the one that gave it."""
    if account.status is ACTIVE or decision.status is not ACTIVE or decision.kind is IMPORT:
        return account.limit_since_day
    return decision.business_day
