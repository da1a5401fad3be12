"""Amounts and currencies: minor units by ISO 4217, and codes that are no currency refused wherever one is taken."""

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.rpc import status_pb2
from holdline.v1 import (
    account_service_pb2,
    decision_pb2,
    draw_service_pb2,
    event_pb2,
    event_service_pb2,
    feedback_service_pb2,
    limit_service_pb2,
)
from holdline.v1.money_pb2 import Money
from iso4217 import raw_table

from service import bootstrap
from service.cli import output
from service.domain.currencies import EXPONENTS
from service.domain.errors import InvalidRequest
from service.domain.money import display, is_currency
from service.engine.desks.policies import PolicyOrder
from service.rpc import contract
from service.storage.memory.store import MemoryStore
from tests.builders import REFERENCE, Bench, document, settings
from tests.in_process import Send, fields_of, sender

NO_CURRENCY = ("XXX", "XTS", "XAU", "XDR", "ABC", "ZWL", "DEM", "BGN", "cny", "CNYY", "CN", "", "ＣＮＹ", "C N")


@pytest.mark.parametrize(
    ("minor", "currency", "written"),
    [
        (1_837_000, "CLF", "CLF 183.7000"),
        (12_345, "UYW", "UYW 1.2345"),
        (12_345, "UYI", "UYI 12,345"),
        (12_345, "JPY", "JPY 12,345"),
        (12_345, "KWD", "KWD 12.345"),
        (-5, "TND", "TND -0.005"),
        (-7, "CLF", "CLF -0.0007"),
        (12_345, "MRU", "MRU 123.45"),
        (12_345, "MGA", "MGA 123.45"),
        (12_345, "HUF", "HUF 123.45"),
        (12_345, "ISK", "ISK 12,345"),
        (123_456_789, "CNY", "CNY 1,234,567.89"),
    ],
)
def test_an_amount_is_written_with_its_currencys_minor_units(minor: int, currency: str, written: str) -> None:
    assert display(minor, currency) == written


def test_every_currency_of_the_registrar_that_has_a_minor_unit_is_known_and_no_other_code() -> None:
    units = {code: str(row["CcyMnrUnts"]) for code, row in raw_table.items() if code}

    assert {code: str(exponent) for code, exponent in EXPONENTS.items()} == {
        code: unit for code, unit in units.items() if unit != "N.A."
    }
    assert len(EXPONENTS) > 150


@pytest.mark.parametrize("code", NO_CURRENCY)
def test_a_code_that_is_no_currency_is_refused_on_the_command_line_in_settings_and_in_documents(code: str) -> None:
    bench = Bench(MemoryStore(bootstrap.now_us))
    text = document().replace("currency: CNY", f'currency: "{code}"').replace(f"policy: {REFERENCE}", "policy: odd-1")

    assert not is_currency(code)
    with pytest.raises(ValueError, match=r"ISO 4217|CURRENCY:MINOR"):
        output.money_of(f"{code}:12500")
    for said in ({"appeal_alone": f"{code}=5"}, {"brake": f"{code}=5/9"}):
        with pytest.raises(ValueError, match=next(iter(said))):
            settings(**said)
    for call in (
        lambda: bench.policies.check(text),
        lambda: bench.policies.change(PolicyOrder("publish", "k", b"f", "ann", document=text)),
    ):
        with pytest.raises(InvalidRequest) as caught:
            call()
        assert {violation.field for violation in caught.value.violations} == {"document.currency"}


def test_a_version_that_was_published_with_an_odd_code_goes_on_deciding() -> None:
    odd, _ = bootstrap.read_policy(document().replace("currency: CNY", "currency: XTS"))

    assert odd.currency == "XTS"
    assert display(12_345, "XTS") == "XTS 123.45"


def _amounts(message: Descriptor, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Give the paths of all amounts in a message."""
    found = []
    for field in message.fields:
        if field.message_type is Money.DESCRIPTOR:
            found.append((*path, field.name))
        elif field.message_type is not None:
            found += _amounts(field.message_type, (*path, field.name))
    return found


TAKING = (
    limit_service_pb2.DecideRequest, limit_service_pb2.EvaluateRequest, account_service_pb2.ImportAccount,
    account_service_pb2.GrantTemporaryRaiseRequest, draw_service_pb2.AuthorizeDrawRequest,
    draw_service_pb2.CaptureDrawRequest, draw_service_pb2.RecordRepaymentRequest, event_pb2.Event,
    feedback_service_pb2.SubmitAppealRequest, feedback_service_pb2.ResolveAppealRequest,
)  # fmt: skip
METHOD = {
    account_service_pb2.ImportAccount: "ImportAccounts", event_pb2.Event: "RecordEvents",
    draw_service_pb2.RecordRepaymentRequest: "RecordRepayment",
}  # fmt: skip
CASES = [(kind, path) for kind in TAKING for path in _amounts(kind.DESCRIPTOR)]


def _with_amount(kind: type[Message], path: tuple[str, ...], code: str) -> Message:
    """Make a request that is good but for the currency of one amount."""
    temporary = path[0] == "temporary_raise"
    good = {
        "request_id": "r", "event_id": "e", "account_id": "a", "product": "revolving", "hold_id": "0" * 15 + "1",
        "kind": decision_pb2.DECISION_KIND_TEMPORARY_RAISE if temporary else decision_pb2.DECISION_KIND_ASSIGN,
        "decision_id": "0" * 16, "statement": "no", "case_id": "C1", "note": "n",
        "resolution": feedback_service_pb2.RESOLUTION_OVERTURNED, "limit": Money(minor_units=5, currency_code="CNY"),
    }  # fmt: skip
    names = kind.DESCRIPTOR.fields_by_name
    request = kind(**{name: value for name, value in good.items() if name in names and "occurred_at" not in names})
    if "occurred_at" in names:
        request = kind(event_id="e", account_id="a")
        request.occurred_at.FromMicroseconds(bootstrap.now_us())  # type: ignore[attr-defined]  # an event's.
    inner = request
    for name in path[:-1]:
        inner = getattr(inner, name)
    getattr(inner, path[-1]).CopyFrom(Money(minor_units=5, currency_code=code))
    if temporary:
        request.temporary_raise.until.FromMicroseconds(bootstrap.now_us() * 2)  # type: ignore[attr-defined]  # its own.
    return request


@pytest.fixture(scope="module")
def send() -> Send:
    return sender(MemoryStore(bootstrap.now_us))


@pytest.mark.parametrize(("kind", "path"), CASES, ids=[f"{kind.__name__}.{'.'.join(path)}" for kind, path in CASES])
def test_every_amount_of_the_contract_is_refused_in_what_is_no_currency(
    send: Send, kind: type[Message], path: tuple[str, ...]
) -> None:
    for code in ("XTS", "ABC", "cny", ""):
        request = _with_amount(kind, path, code)
        if isinstance(request, account_service_pb2.ImportAccount):
            request = account_service_pb2.ImportAccountsRequest(accounts=[request])
        elif isinstance(request, event_pb2.Event):
            request = event_service_pb2.RecordEventsRequest(events=[request])
        answer = send(METHOD.get(kind, kind.__name__.removesuffix("Request")), request, "tests")

        if kind is account_service_pb2.ImportAccount:
            status = account_service_pb2.ImportAccountsResponse.FromString(answer.body).results[0].error
        elif kind is event_pb2.Event:
            status = event_service_pb2.RecordEventsResponse.FromString(answer.body).results[0].error
        else:
            status = status_pb2.Status.FromString(answer.body)
        assert f"{'.'.join(path)}.currency_code" in fields_of(status), status


def test_every_request_that_has_an_amount_is_tried() -> None:
    inner = {kind.DESCRIPTOR.name for kind in (account_service_pb2.ImportAccount, event_pb2.Event)}
    tried = {kind.DESCRIPTOR.name for kind in TAKING}
    having = {
        name for file in contract.FILES
        for name, message in file.DESCRIPTOR.message_types_by_name.items() if name.endswith("Request")
        and any(not path or path[0] not in ("requests", "accounts", "events") for path in _amounts(message))
    }  # fmt: skip

    assert having == tried - inner
