"""Explanations as messages: contributions, rules, advice, and texts in the languages that a caller wants."""

from holdline.v1 import decision_pb2, money_pb2, text_pb2

from service.domain.advice import Advice, Change, change_texts
from service.domain.days import iso
from service.domain.decision import Decided, Decision
from service.domain.explain import Explanation, Finding, advised, summaries
from service.domain.facts import CHARACTERISTICS, FACTS, MONEY_FACTS
from service.domain.policy import Policy
from service.rpc import pages
from service.rpc.wire import ALL_LANGUAGES, Languages

_FACT_OF = {fact.name: index for index, fact in enumerate(CHARACTERISTICS)}
_KNOWN = decision_pb2.FACT_STANDING_KNOWN


def texts(told: tuple[str, str], languages: Languages) -> list[text_pb2.LocalizedText]:
    """Write a text, Chinese and English, in the languages that are wanted; empty ones are left out."""
    return [
        text_pb2.LocalizedText(language_code=language, text=text)
        for language, text in zip(ALL_LANGUAGES, told, strict=True)
        if text and language in languages
    ]


def whole(
    decided: Decided, policy: Policy, explained: Explanation, languages: Languages
) -> list[text_pb2.LocalizedText]:
    """Write the whole explanation as the customer reads it."""
    return texts(summaries(decided.decision, policy, decided.currency, explained), languages)


def contributions(explained: Explanation, decision: Decision, currency: str) -> list[decision_pb2.Contribution]:
    """Write the points that each characteristic gave."""
    return [
        decision_pb2.Contribution(
            characteristic=piece.characteristic,
            standing=_standing(piece.characteristic, piece.value, decision),
            value=_value(piece.characteristic, piece.value, currency),
            points=piece.points,
            points_max=piece.points_max,
            reason_code=piece.reason,
        )
        for piece in explained.contributions
    ]


def finding(found: Finding, decision: Decision, currency: str) -> decision_pb2.RuleFinding:
    """Write one rule that took part."""
    return decision_pb2.RuleFinding(
        path=found.path,
        reason_code=found.reason,
        fact=found.fact,
        requirement=found.requirement,
        standing=_standing(found.fact, found.value, decision),
        value=_value(found.fact, found.value, currency),
    )


def advice(explained: Explanation, decided: Decided, languages: Languages) -> decision_pb2.Advice | None:
    """Write what the customer can do; nothing where nothing went against him."""
    told = texts(advised(explained, decided.currency), languages)
    found = explained.advice
    if found is None:
        if not explained.is_adverse:
            return None
        return decision_pb2.Advice(nothing_known=decision_pb2.NothingKnown(), texts=told)
    if found.from_day:
        return decision_pb2.Advice(
            ask_again=decision_pb2.AskAgain(
                from_date=iso(found.from_day), changes=_changes(found, decided, languages),
                limit_then=_limit_then(found, decided), outcome_then=_outcome_then(found),
            ),
            texts=told,
        )  # fmt: skip
    return decision_pb2.Advice(
        change_together=decision_pb2.ChangeTogether(
            changes=_changes(found, decided, languages), limit_then=_limit_then(found, decided),
            outcome_then=_outcome_then(found), temporary_until=pages.timestamp(found.until_us),
        ),
        texts=told,
    )  # fmt: skip


def _limit_then(found: Advice, decided: Decided) -> money_pb2.Money:
    return money_pb2.Money(minor_units=found.limit_then_minor, currency_code=decided.currency)


def _outcome_then(found: Advice) -> decision_pb2.Outcome.ValueType:
    return decision_pb2.Outcome.ValueType(int(found.outcome_then))


def _changes(found: Advice, decided: Decided, languages: Languages) -> list[decision_pb2.FactChange]:
    return [_change(change, decided, languages) for change in (*found.changes, *found.by_then)]


def _change(change: Change, decided: Decided, languages: Languages) -> decision_pb2.FactChange:
    name, currency = FACTS[change.fact].name, decided.currency
    return decision_pb2.FactChange(
        fact=name,
        standing=_standing(name, change.current, decided.decision),
        current=_value(name, change.current, currency),
        target=_value(name, change.target, currency),
        texts=texts(change_texts(change, currency), languages),
    )


def _standing(name: str, used: int | None, decision: Decision) -> decision_pb2.FactStanding.ValueType:
    """Tell a fact that nobody told from one that was too old to be used."""
    if not name:
        return decision_pb2.FACT_STANDING_UNSPECIFIED
    if used is not None:
        return _KNOWN
    fact = _FACT_OF[name]
    is_told = fact < len(FACTS) and decision.profile.values[fact] is not None
    return decision_pb2.FACT_STANDING_STALE if is_told else decision_pb2.FACT_STANDING_MISSING


def _value(name: str, value: int | None, currency: str) -> decision_pb2.FactValue | None:
    if value is None:
        return None
    if _FACT_OF[name] in MONEY_FACTS:
        return decision_pb2.FactValue(amount=money_pb2.Money(minor_units=value, currency_code=currency))
    return decision_pb2.FactValue(number=value)
