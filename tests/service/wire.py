"""What tests over the wire share: stubs, good requests, and errors taken apart."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

import grpc
from google.rpc import error_details_pb2, status_pb2
from holdline.v1 import (
    account_pb2,
    account_service_pb2_grpc,
    decision_pb2,
    draw_service_pb2_grpc,
    event_service_pb2_grpc,
    limit_service_pb2,
    limit_service_pb2_grpc,
    policy_service_pb2_grpc,
)
from holdline.v1.money_pb2 import Money

from tests.builders import GOOD_FACTS

ASSIGN = decision_pb2.DECISION_KIND_ASSIGN
RAISE = decision_pb2.DECISION_KIND_RAISE
_numbers = itertools.count()


class Stubs(NamedTuple):
    limits: limit_service_pb2_grpc.LimitServiceStub
    accounts: account_service_pb2_grpc.AccountServiceStub
    draws: draw_service_pb2_grpc.DrawServiceStub
    events: event_service_pb2_grpc.EventServiceStub
    policies: policy_service_pb2_grpc.PolicyServiceStub
    channel: grpc.Channel


class Refusal(NamedTuple):
    """An error taken apart; `fields` are the paths of its violations, `retry_ms` that of RetryInfo."""

    code: grpc.StatusCode
    reason: str
    fields: tuple[str, ...]
    retry_ms: int
    message: str
    metadata: dict[str, str]


def fresh(prefix: str = "n") -> str:
    """Give a name that no test had before."""
    return f"{prefix}-{next(_numbers)}"


def facts(**said: int) -> account_pb2.Facts:
    values: dict[str, Any] = {**GOOD_FACTS, **said}
    for name in ("monthly_income", "mean_transaction"):
        values[name] = Money(minor_units=values[name], currency_code="CNY")
    return account_pb2.Facts(**values)


def assign(**said: Any) -> limit_service_pb2.DecideRequest:
    """Give a good request for a first limit on a new account, some fields said otherwise."""
    good = {
        "request_id": fresh("r"), "account_id": fresh("a"), "product": "revolving", "kind": ASSIGN, "facts": facts(),
    }  # fmt: skip
    return limit_service_pb2.DecideRequest(**{**good, **said})


def refusal(call: Callable[[], object]) -> Refusal:
    """Make a call that must be refused, and take the refusal apart."""
    try:
        call()
    except grpc.RpcError as error:
        return taken_apart(error)
    raise AssertionError("the call was not refused")


def _metadata(error: grpc.RpcError) -> dict[str, bytes]:
    return dict(cast("Iterable[tuple[str, bytes]]", error.trailing_metadata() or ()))


def taken_apart(error: Exception | None) -> Refusal:
    assert isinstance(error, grpc.RpcError)
    details = _metadata(error).get("grpc-status-details-bin")
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    if details is not None:
        status = status_pb2.Status.FromString(details)
        assert status.code == error.code().value[0]
        for detail in status.details:
            for message in (info, bad, retry):
                if detail.Is(message.DESCRIPTOR):
                    detail.Unpack(message)
        assert info.domain == "holdline"
    fields = tuple(violation.field for violation in bad.field_violations)
    return Refusal(
        error.code(),
        info.reason,
        fields,
        retry.retry_delay.ToMilliseconds(),
        error.details() or "",
        dict(info.metadata),
    )


def title_of(ref: decision_pb2.ActivationRef) -> str:
    """Give an activation's title: "A17@cap_growth/v1"."""
    return f"{ref.id}@{ref.playbook}/v{ref.version}"
