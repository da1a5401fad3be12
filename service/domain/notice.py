"""Notices: what a customer is told of an outcome, in both languages, with reasons and advice and no internals.

Promises that whatever moves a customer's limit, refuses what was asked, or passes it to a person, has a notice, and
that a notice names no policy, score, mode or caller.
"""

from typing import Final, NamedTuple

from service.domain.decision import (
    APPEAL,
    APPROVED,
    ASSIGN,
    IMPORT,
    RAISE,
    TEMPORARY,
    UNCHANGED,
    Decision,
    is_adverse,
)
from service.domain.draw import Posting
from service.domain.entitlement import RUN_CALLER
from service.domain.explain import Explanation, advised, steps
from service.domain.policy import DAY_US, DEFAULT_TEXTS, LIMIT_USED, Policy, Text

TOPIC: Final = "notice"
TEMPORARY_ENDS: Final = "temporary_ends"
RAISE_WAITS: Final = "raise_waits"
"""A promised raise waits for the portfolio's budget; told on the first day of the wait."""
DRAW_DECLINED: Final = "draw_declined"
NOTICE_DAYS: Final = 3
"""So long before the end of a temporary raise the customer is told, where the policy says nothing."""
_MOVED: Final = {
    ASSIGN: "limit_assigned", TEMPORARY: "temporary_granted", APPEAL: "appeal_overturned",
}  # fmt: skip
APPEAL_RECEIVED: Final = "appeal_received"
APPEAL_UPHELD: Final = "appeal_upheld"
_ASKED: Final = (ASSIGN, RAISE, TEMPORARY)


class Notice(NamedTuple):
    """One notice to be told: the decision or posting that it is about, and when it is due (microseconds UTC)."""

    kind: str
    account_id: str
    record: int
    due_us: int


class Reason(NamedTuple):
    """A reason as the customer reads it."""

    code: str
    text: Text


class Told(NamedTuple):
    """A notice as it leaves; amounts in minor units, times in microseconds since the epoch UTC."""

    kind: str
    account_id: str
    record: int
    at_us: int
    currency: str
    limit_before_minor: int
    limit_after_minor: int
    until_us: int
    """When a temporary raise ends; 0 where there is none."""
    tell_by_day: int
    """Last business day to tell it; 0 where none is set."""
    reasons: tuple[Reason, ...]
    """A reason's advice stands only where its step was verified, or where it is ours and not the policy's."""
    advice_zh: str = ""
    advice_en: str = ""
    """What can be done about an outcome, verified, or that nothing is known to help; empty where nothing went wrong."""


def kind_of(decision: Decision) -> str:
    """Name the notice that a decision leads to; empty where the customer need not hear of it."""
    change = decision.new_limit_minor - decision.old_limit_minor
    if decision.kind is IMPORT or decision.outcome is UNCHANGED:
        return ""
    if decision.outcome is APPROVED:
        return _MOVED.get(decision.kind, "limit_raised" if change > 0 else "limit_cut") if change else ""
    if decision.kind not in _ASKED or decision.caller == RUN_CALLER:
        # Nobody asked, and nothing changes for the customer.
        return ""
    return f"{decision.kind.name.lower()}_{decision.outcome.name.lower()}"


def ending(decision: Decision, policy: Policy) -> Notice | None:
    """Give the notice that tells beforehand of the end of the temporary raise that a decision grants, if it does."""
    if decision.kind is not TEMPORARY or decision.outcome is not APPROVED or decision.temporary is None:
        return None
    days = policy.temporary.notice_days if policy.temporary is not None else NOTICE_DAYS
    due_us = max(decision.temporary.until_us - days * DAY_US, decision.decided_us)
    return Notice(TEMPORARY_ENDS, decision.account_id, decision.number, due_us)


def told_of_decision(
    kind: str, decision: Decision, policy: Policy, currency: str, explained: Explanation | None
) -> Told:
    """Write the notice of a decision; `explained` is None where this build can't judge it again."""
    temporary = decision.temporary if decision.kind is TEMPORARY else None
    before, after, codes = decision.old_limit_minor, decision.new_limit_minor, decision.reasons
    if kind == TEMPORARY_ENDS:
        before, after, codes, explained = after, before, ("TEMPORARY_ENDS",), None
    if kind in (APPEAL_RECEIVED, APPEAL_UPHELD):
        # What is told is about the appeal; the reasons of what was appealed follow.
        before, codes = after, (kind.upper(), *codes)
    verified = steps(policy, explained) if explained is not None else ()
    advice_zh, advice_en = advised(explained, currency) if explained is not None else ("", "")
    return Told(
        kind, decision.account_id, decision.number, decision.decided_us, currency, before, after,
        temporary.until_us if temporary is not None else 0, decision.notice_day,
        _reasons(codes, policy, verified, is_adverse=is_adverse(decision)), advice_zh, advice_en,
    )  # fmt: skip


def told_of_posting(kind: str, posting: Posting, policy: Policy, currency: str) -> Told:
    """Write the notice of a declined draw."""
    has_way = posting.outstanding_minor > 0 or posting.limit_minor > posting.held_minor + posting.outstanding_minor
    verified = tuple(policy.texts[code] for code in posting.reasons if code == LIMIT_USED.reason and has_way)
    return Told(
        kind, posting.account_id, posting.number, posting.posted_us, currency, posting.limit_minor, posting.limit_minor,
        0, 0, _reasons(posting.reasons, policy, verified, is_adverse=True),
    )  # fmt: skip


def _reasons(
    codes: tuple[str, ...], policy: Policy, verified: tuple[Text, ...], *, is_adverse: bool
) -> tuple[Reason, ...]:
    found = []
    for code in codes:
        text = policy.texts.get(code)
        if text is not None:
            is_ours = not is_adverse and text == DEFAULT_TEXTS.get(code)
            stays = text in verified or is_ours
            found.append(Reason(code, text if stays else text._replace(advice_zh="", advice_en="")))
    return tuple(found)
