"""Notices as they leave: JSON made of the decision or posting that they are about.

Promises what receivers build on: the fields that service/README.md lists, and nothing of policy, score, mode or caller.
"""

import json
from datetime import UTC, datetime
from typing import Any, Protocol

from service.domain.days import iso
from service.domain.decision import Decision
from service.domain.draw import Posting
from service.domain.errors import ActivationNotFound, BuildLacksPlaybook
from service.domain.explain import Explanation, explain
from service.domain.notice import Reason, Told, told_of_decision, told_of_posting
from service.domain.policy import Policy
from service.domain.watch import Message
from service.engine.control import Control
from service.engine.ports.ledger import SealedPosting
from service.engine.ports.store import Store


class Postings(Protocol):
    """A store that gives postings by number."""

    def sealed_posting(self, number: int) -> SealedPosting | None: ...  # noqa: D102 - the class docstring covers it.


class NoticeStore(Store, Postings, Protocol):
    """What notices are made from."""


class Notices:
    """Writes notices from a store's records."""

    def __init__(self, store: NoticeStore, control: Control) -> None:
        self._store = store
        self._control = control

    def written(self, message: Message) -> Message:
        """Give a message with the body that receivers get."""
        decided = self._store.decision(message.record)
        if decided is not None:
            policy = self._control.version(self._store, decided.decision.policy_version)
            explained = self._explained(decided.decision, policy)
            told = told_of_decision(message.body, decided.decision, policy, decided.currency, explained)
        else:
            told = self._of_posting(message)
        return message._replace(body=body_of(message.sequence, told))

    def _explained(self, decision: Decision, policy: Policy) -> Explanation | None:
        """Explain a decision; None where this build can't judge it again, so that nothing can be said of what helps."""
        try:
            mode = self._control.recorded_mode(self._store, decision.activations)
        except (ActivationNotFound, BuildLacksPlaybook):
            return None
        return explain(decision, policy, mode)

    def _of_posting(self, message: Message) -> Told:
        sealed = self._store.sealed_posting(message.record)
        account = self._store.account(message.account_id)
        assert sealed is not None, "a notice is about a record of the store"
        assert account is not None, "a posting has its account"
        posting: Posting = sealed.posting
        policy = self._control.version(self._store, posting.policy_version)
        return told_of_posting(message.body, posting, policy, account.currency)


def body_of(sequence: int, told: Told) -> str:
    """Write a notice as JSON."""

    def money(minor_units: int) -> dict[str, Any]:
        return {"minor_units": minor_units, "currency_code": told.currency}

    content: dict[str, Any] = {
        "id": f"n-{sequence}",
        "kind": told.kind,
        "account_id": told.account_id,
        "record": f"{told.record:016x}",
        "at": _time(told.at_us),
        "limit_before": money(told.limit_before_minor),
        "limit_after": money(told.limit_after_minor),
    }
    if told.until_us:
        content["until"] = _time(told.until_us)
    if told.tell_by_day:
        content["tell_by"] = iso(told.tell_by_day)
    if told.advice_en:
        content["advice"] = _in_languages(told.advice_zh, told.advice_en)
    content["reasons"] = [_reason(reason) for reason in told.reasons]
    return json.dumps(content, ensure_ascii=False)


def _time(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _reason(reason: Reason) -> dict[str, Any]:
    text = reason.text
    advice = _in_languages(text.advice_zh, text.advice_en)
    return {
        "code": reason.code,
        "texts": _in_languages(text.zh, text.en),
        **({"advice": advice} if advice else {}),
    }


def _in_languages(zh: str, en: str) -> list[dict[str, str]]:
    """Give a text as the contract's LocalizedText does, in ProtoJSON's original names."""
    return [{"language_code": code, "text": text} for code, text in (("zh", zh), ("en", en)) if text]
