"""Requests as callers write them: plain arguments in, messages out; request ids made where none is given.

Promises that both clients send the same messages.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Final

from holdline.v1 import (
    account_pb2,
    decision_pb2,
    draw_service_pb2,
    event_pb2,
    limit_service_pb2,
    money_pb2,
    playbook_service_pb2,
    policy_service_pb2,
    text_pb2,
)

CALLER_KEY: Final = "x-holdline-caller"
CRITICALITY_KEY: Final = "x-holdline-criticality"
MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024

FactValues = Mapping[str, "int | money_pb2.Money"]
"""Facts by their field name in `Facts`; amounts as `money(minor_units, currency_code)`."""

CHANNEL_OPTIONS: Final = (
    # Retries are ours (holdline.client.retry); two layers on one status multiply attempts.
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 120_000),
    # A server that comes back is found within a second; the default grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


def money(minor_units: int, currency_code: str) -> money_pb2.Money:
    """Make an amount: minor units and an ISO 4217 code."""
    return money_pb2.Money(minor_units=minor_units, currency_code=currency_code)


def new_request_id() -> str:
    """Make an idempotency key."""
    return str(uuid.uuid4())


def kind_of(kind: str | int) -> decision_pb2.DecisionKind.ValueType:
    """Give a decision kind from "assign", "raise", "reduce", "review" or "temporary_raise", or its number."""
    if isinstance(kind, int):
        return decision_pb2.DecisionKind.ValueType(kind)
    return decision_pb2.DecisionKind.Value(f"DECISION_KIND_{kind.upper()}")


def in_language(texts: Iterable[text_pb2.LocalizedText], language_code: str) -> str:
    """Give the text in a language ("zh" or "en"); empty where there is none."""
    return next((one.text for one in texts if one.language_code == language_code), "")


def facts_of(values: "FactValues | account_pb2.Facts | None") -> account_pb2.Facts | None:
    """Make Facts from values by name.

    Raises ValueError for a name that the contract doesn't have, and for a value that the fact can't hold.
    """
    if values is None or isinstance(values, account_pb2.Facts):
        return values
    facts = account_pb2.Facts()
    for name, value in values.items():
        if name not in account_pb2.Facts.DESCRIPTOR.fields_by_name:
            known = ", ".join(field.name for field in account_pb2.Facts.DESCRIPTOR.fields)
            raise ValueError(f"no fact is called {name}; choose from {known}")
        is_amount = account_pb2.Facts.DESCRIPTOR.fields_by_name[name].message_type is not None
        if isinstance(value, money_pb2.Money) != is_amount:
            kind = "an amount: send minor units with their currency" if is_amount else "a whole number, no amount"
            raise ValueError(f"{name} is {kind}")
        if isinstance(value, money_pb2.Money):
            getattr(facts, name).CopyFrom(value)
        else:
            _set(facts, name, value)
    return facts


def _set(facts: account_pb2.Facts, name: str, value: int) -> None:
    try:
        setattr(facts, name, value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: {value!r} is no whole number that it can hold") from error


def decide(
    account_id: str,
    kind: str | int,
    *,
    product: str = "",
    facts: "FactValues | account_pb2.Facts | None" = None,
    expected_version: int = 0,
    temporary_raise: account_pb2.TemporaryRaise | None = None,
    language_codes: Sequence[str] = (),
    request_id: str = "",
) -> limit_service_pb2.DecideRequest:
    """Make a request for one decision, with a new request id where none is given.

    With the kind "temporary_raise" goes `temporary_raise`, as `raise_until` makes it. `language_codes` ("zh", "en") are
    those of the texts in the answer; none: all.
    """
    return limit_service_pb2.DecideRequest(
        request_id=request_id or new_request_id(),
        account_id=account_id,
        product=product,
        kind=kind_of(kind),
        facts=facts_of(facts),
        expected_version=expected_version,
        temporary_raise=temporary_raise,
        language_codes=language_codes,
    )


def get_decision(decision_id: str, request_id: str) -> limit_service_pb2.GetDecisionRequest:
    """Make a request to read a decision by its id or, where there is none, by the request id it was made with."""
    if decision_id:
        return limit_service_pb2.GetDecisionRequest(decision_id=decision_id)
    return limit_service_pb2.GetDecisionRequest(request_id=request_id)


def raise_until(extra: money_pb2.Money, until: datetime) -> account_pb2.TemporaryRaise:
    """Say how much more may be owed, and until when (with its time zone). Raises ValueError."""
    if until.tzinfo is None:
        raise ValueError("until needs its time zone")
    made = account_pb2.TemporaryRaise(extra=extra)
    made.until.FromDatetime(until)
    return made


def evaluate(
    account_id: str,
    kind: str | int,
    *,
    product: str = "",
    facts: "FactValues | account_pb2.Facts | None" = None,
    policy_version: str = "",
    temporary_raise: account_pb2.TemporaryRaise | None = None,
    language_codes: Sequence[str] = (),
) -> limit_service_pb2.EvaluateRequest:
    """Make a request to compute a decision."""
    return limit_service_pb2.EvaluateRequest(
        account_id=account_id,
        product=product,
        kind=kind_of(kind),
        facts=facts_of(facts),
        policy_version=policy_version,
        temporary_raise=temporary_raise,
        language_codes=language_codes,
    )


def authorize(
    account_id: str, amount: money_pb2.Money, *, ttl_seconds: int = 0, reference: str = "", request_id: str = ""
) -> draw_service_pb2.AuthorizeDrawRequest:
    """Make a request to hold an amount, for 7 days where `ttl_seconds` is 0."""
    return draw_service_pb2.AuthorizeDrawRequest(
        request_id=request_id or new_request_id(), account_id=account_id, amount=amount, ttl_seconds=ttl_seconds,
        reference=reference,
    )  # fmt: skip


def capture(
    account_id: str,
    hold_id: str,
    amount: money_pb2.Money,
    *,
    is_final: bool = False,
    reference: str = "",
    request_id: str = "",
) -> draw_service_pb2.CaptureDrawRequest:
    """Make a request to capture all or part of a hold."""
    return draw_service_pb2.CaptureDrawRequest(
        request_id=request_id or new_request_id(), account_id=account_id, hold_id=hold_id, amount=amount,
        is_final=is_final, reference=reference,
    )  # fmt: skip


def void(
    account_id: str, hold_id: str, *, reference: str = "", request_id: str = ""
) -> draw_service_pb2.VoidDrawRequest:
    """Make a request to release a hold."""
    return draw_service_pb2.VoidDrawRequest(
        request_id=request_id or new_request_id(), account_id=account_id, hold_id=hold_id, reference=reference
    )


def repay(
    account_id: str, amount: money_pb2.Money, *, reference: str = "", request_id: str = ""
) -> draw_service_pb2.RecordRepaymentRequest:
    """Make a request that takes a repayment off what is owed."""
    return draw_service_pb2.RecordRepaymentRequest(
        request_id=request_id or new_request_id(), account_id=account_id, amount=amount, reference=reference
    )


def promote(
    version: str,
    *,
    reason: str,
    target_state: str = "active",
    share_bp: int | None = None,
    effective_at: datetime | None = None,
    request_id: str = "",
) -> policy_service_pb2.PromotePolicyRequest:
    """Make a request that moves a policy version to a stage: "active" today.

    Raises ValueError for a stage that the contract doesn't have, and for a time without its time zone.
    """
    made = policy_service_pb2.PromotePolicyRequest(
        request_id=request_id or new_request_id(), version=version, reason=reason, share_bp=share_bp,
        target_state=policy_service_pb2.PolicyState.Value(f"POLICY_STATE_{target_state.upper()}"),
    )  # fmt: skip
    if effective_at is not None:
        if effective_at.tzinfo is None:
            raise ValueError("effective_at needs its time zone")
        made.effective_at.FromDatetime(effective_at)
    return made


def iso_date(business_date: "date | str") -> str:
    """Give a business date as YYYY-MM-DD."""
    return business_date if isinstance(business_date, str) else business_date.isoformat()


def parameters_of(values: Mapping[str, int | str] | None) -> list[playbook_service_pb2.Parameter]:
    """Make a playbook's parameters from values by name."""
    return [
        playbook_service_pb2.Parameter(
            name=name,
            value=playbook_service_pb2.ParameterValue(whole=value)
            if isinstance(value, int)
            else playbook_service_pb2.ParameterValue(text=value),
        )
        for name, value in (values or {}).items()
    ]


def activation_state(state: str | int) -> playbook_service_pb2.ActivationState.ValueType:
    """Give an activation's state from "pending_approval", "active", "lapsed" or "ended", or its number.

    Raises ValueError for one that the contract doesn't have.
    """
    if isinstance(state, int):
        return playbook_service_pb2.ActivationState.ValueType(state)
    return playbook_service_pb2.ActivationState.Value(f"ACTIVATION_STATE_{state.upper()}")


def metadata(caller: str, *, is_batch: bool) -> tuple[tuple[str, str], ...]:
    """Make a call's metadata; raises ValueError for a name that metadata can't carry."""
    if not (caller.isascii() and caller.isprintable()):
        # gRPC would end every call with an internal error.
        raise ValueError(f"the caller's name is {caller!r}; write 1 to 64 of [A-Za-z0-9._:@-]")
    pairs: tuple[tuple[str, str], ...] = ((CALLER_KEY, caller),) if caller else ()
    return (*pairs, (CRITICALITY_KEY, "batch")) if is_batch else pairs


_EVENT_FIELDS: Final = {
    field.message_type.name: field.name
    for field in event_pb2.Event.DESCRIPTOR.oneofs_by_name["what"].fields
    if field.message_type is not None
}


def event(
    account_id: str,
    what: "event_pb2.Transaction | event_pb2.Enquiry | event_pb2.ProfileUpdate | event_pb2.MisuseFlag"
    " | event_pb2.Statement | event_pb2.Repayment",
    occurred_at: datetime,
    *,
    event_id: str,
) -> event_pb2.Event:
    """Make a behaviour event: what happened to an account, and when (with its time zone). Raises ValueError.

    `event_id` is the sender's own and names this one happening whenever it is sent.
    """
    if occurred_at.tzinfo is None:
        raise ValueError("occurred_at needs its time zone")
    made = event_pb2.Event(event_id=event_id, account_id=account_id)
    made.occurred_at.FromDatetime(occurred_at)
    getattr(made, _EVENT_FIELDS[what.DESCRIPTOR.name]).CopyFrom(what)
    return made
