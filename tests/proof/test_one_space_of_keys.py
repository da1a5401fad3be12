"""A request id stands for one write of a caller, whichever service it was for.

Goal: no pair of writes shares a key. Method: each write that the contract has is made with one request id, then every
other with the same one; all are refused with IDEMPOTENCY_KEY_REUSED and no row of the store differs. The list of
writes is held against the contract, so that a new one can't be forgotten.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import apsw
import pytest
from google.protobuf import text_format
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2
from holdline.v1 import (
    account_service_pb2,
    decision_pb2,
    draw_service_pb2,
    feedback_service_pb2,
    limit_service_pb2,
    notification_service_pb2,
    operation_service_pb2,
    playbook_service_pb2,
    policy_service_pb2,
    run_service_pb2,
)
from holdline.v1.money_pb2 import Money

from service import bootstrap
from service.domain.daily_run import Closing, ClosingState
from service.domain.days import iso
from service.engine.ports.codec import Answer
from service.rpc.contract import FILES
from service.rpc.methods import METHODS
from service.storage.verify import verify
from tests.builders import REFERENCE, document, settings
from tests.conformance.conftest import STORES, Store
from tests.in_process import Send, reason_of, sender
from tests.service.wire import facts

KEY: Final = "the-one"
STREAMED: Final = "StreamDecisions"
"""Its messages are those of BatchDecide, and so is what becomes of them."""
STEPPED: Final = "ConfirmClock"
"""Written only while the machine's clock is off; tried by itself."""


class World(NamedTuple):
    """A store in which every write is possible, and the names that they need."""

    store: Store
    send: Send
    names: dict[str, str]


def _yuan(minor_units: int) -> Money:
    return Money(minor_units=minor_units, currency_code="CNY")


def _decide(request_id: str, account_id: str, kind: str, **said: object) -> limit_service_pb2.DecideRequest:
    number = decision_pb2.DecisionKind.Value(f"DECISION_KIND_{kind}")
    product = "revolving" if kind == "ASSIGN" else ""
    request = limit_service_pb2.DecideRequest(
        request_id=request_id, account_id=account_id, product=product, kind=number
    )
    request.facts.CopyFrom(facts(**said) if said or product else request.facts)  # type: ignore[arg-type]  # ints.
    return request


def _temporary(request_id: str) -> account_service_pb2.GrantTemporaryRaiseRequest:
    request = account_service_pb2.GrantTemporaryRaiseRequest(request_id=request_id, account_id="a", reason="why")
    request.temporary_raise.extra.CopyFrom(_yuan(10_000))
    request.temporary_raise.until.FromMicroseconds(bootstrap.now_us() + 86_400_000_000)
    return request


def _import(request_id: str) -> account_service_pb2.ImportAccountsRequest:
    account = account_service_pb2.ImportAccount(
        request_id=request_id, account_id="i", product="revolving", limit=_yuan(1_000_000)
    )
    return account_service_pb2.ImportAccountsRequest(accounts=[account])


def _activate(request_id: str, name: str) -> playbook_service_pb2.ActivatePlaybookRequest:
    made = playbook_service_pb2.ActivatePlaybookRequest(
        request_id=request_id, name=name, ttl_seconds=600, reason="tests"
    )
    if name == "rollback_policy":
        made.scope.product = "revolving"
        made.parameters.add(name="to_version", value=playbook_service_pb2.ParameterValue(text=REFERENCE))
    else:
        made.scope.product = "instalment"
    return made


def _promote(request_id: str, version: str) -> policy_service_pb2.PromotePolicyRequest:
    return policy_service_pb2.PromotePolicyRequest(
        request_id=request_id, version=version, target_state=policy_service_pb2.POLICY_STATE_ACTIVE, reason="tests"
    )


Make = Callable[[dict[str, str]], Message]
L, F, P, B = limit_service_pb2, feedback_service_pb2, policy_service_pb2, playbook_service_pb2
R = run_service_pb2
WRITES: Final[dict[str, Make]] = {
    "Decide": lambda _: _decide(KEY, "n", "ASSIGN"),
    "BatchDecide": lambda _: L.BatchDecideRequest(requests=[_decide(KEY, "b", "ASSIGN")]),
    "ImportAccounts": lambda _: _import(KEY),
    "GrantTemporaryRaise": lambda _: _temporary(KEY),
    "AuthorizeDraw": lambda _: draw_service_pb2.AuthorizeDrawRequest(request_id=KEY, account_id="a", amount=_yuan(700)),
    "CaptureDraw": lambda n: draw_service_pb2.CaptureDrawRequest(
        request_id=KEY, account_id="a", hold_id=n["hold"], amount=_yuan(100)
    ),
    "VoidDraw": lambda n: draw_service_pb2.VoidDrawRequest(request_id=KEY, account_id="a", hold_id=n["hold"]),
    "RecordRepayment": lambda _: draw_service_pb2.RecordRepaymentRequest(request_id=KEY, account_id="a", amount=_yuan(50)),
    "SubmitFeedback": lambda _: F.SubmitFeedbackRequest(
        request_id=KEY, account_id="a", category=F.FEEDBACK_CATEGORY_UNCLEAR, text="why"
    ),
    "SubmitSurvey": lambda _: F.SubmitSurveyRequest(request_id=KEY, account_id="a", score=4),
    "SubmitAppeal": lambda n: F.SubmitAppealRequest(
        request_id=KEY, account_id="a", decision_id=n["refusal"], statement="no"
    ),
    "ResolveAppeal": lambda n: F.ResolveAppealRequest(
        request_id=KEY, case_id=n["case"], resolution=F.RESOLUTION_UPHELD, note="it stands"
    ),
    "PublishPolicy": lambda _: P.PublishPolicyRequest(request_id=KEY, document=_renamed("new-2")),
    "PromotePolicy": lambda _: _promote(KEY, "new-1"),
    "RollbackPolicy": lambda _: P.RollbackPolicyRequest(
        request_id=KEY, product="revolving", from_version="new-0", to_version=REFERENCE, reason="tests"
    ),
    "ActivatePlaybook": lambda _: _activate(KEY, "freeze_raises"),
    "ApproveActivation": lambda n: B.ApproveActivationRequest(request_id=KEY, activation_id=n["pending"]),
    "ExtendActivation": lambda n: B.ExtendActivationRequest(
        request_id=KEY, activation_id=n["active"], ttl_seconds=900, reason="longer"
    ),
    "LearnBaseline": lambda _: B.LearnBaselineRequest(request_id=KEY, product="revolving", reason="tests"),
    "EndActivation": lambda n: B.EndActivationRequest(
        request_id=KEY, activation_id=n["active"], reason="over"
    ),
    "CancelOperation": lambda n: operation_service_pb2.CancelOperationRequest(
        request_id=KEY, operation_id=f"run-{n['running']}", reason="wrong"
    ),
    "RedriveMessages": lambda _: notification_service_pb2.RedriveMessagesRequest(
        request_id=KEY, message_ids=["0" * 16], reason="seen"
    ),
    "StartDailyRun": lambda n: R.StartDailyRunRequest(request_id=KEY, business_date=n["today"]),
    "ResumeDailyRun": lambda n: R.ResumeDailyRunRequest(request_id=KEY, business_date=n["running"], reason="go on"),
    "CancelDailyRun": lambda n: R.CancelDailyRunRequest(request_id=KEY, business_date=n["running"], reason="wrong"),
    "CloseBusinessDay": lambda n: R.CloseBusinessDayRequest(request_id=KEY, business_date=n["open"]),
    "MakeGoodBusinessDay": lambda n: R.MakeGoodBusinessDayRequest(
        request_id=KEY, business_date=n["closed"], reason="missed"
    ),
}  # fmt: skip


def _renamed(version: str) -> str:
    return document().replace(f"policy: {REFERENCE}", f"policy: {version}")


@pytest.fixture(params=STORES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    store = STORES[request.param](tmp_path)
    send = sender(store)

    def before(name: str, made: Message) -> bytes:
        answer = send(name, made, "before")
        assert answer.code == 0, status_pb2.Status.FromString(answer.body)
        return answer.body

    for version in ("new-0", "new-1"):
        before("PublishPolicy", P.PublishPolicyRequest(request_id=version, document=_renamed(version)))
    before("PromotePolicy", _promote("p", "new-0"))
    before("Decide", _decide("1", "a", "ASSIGN"))
    refusals = [
        L.DecideResponse.FromString(before("Decide", _decide(str(number), "a", "RAISE", dpd_now=5))).decision
        for number in (2, 3)
    ]
    held = before(
        "AuthorizeDraw", draw_service_pb2.AuthorizeDrawRequest(request_id="4", account_id="a", amount=_yuan(900))
    )
    hold_id = draw_service_pb2.AuthorizeDrawResponse.FromString(held).posting.hold.hold_id
    capture = draw_service_pb2.CaptureDrawRequest(request_id="5", account_id="a", hold_id=hold_id, amount=_yuan(100))
    before("CaptureDraw", capture)
    appeal = F.SubmitAppealRequest(request_id="6", account_id="a", decision_id=refusals[0].decision_id, statement="no")
    case = F.SubmitAppealResponse.FromString(before("SubmitAppeal", appeal)).case
    activations = [
        B.ActivatePlaybookResponse.FromString(before("ActivatePlaybook", _activate(name, name))).activation
        for name in ("freeze_reductions", "rollback_policy")
    ]
    today = bootstrap.ZoneCalendar(settings().business_time_zone).business_day(bootstrap.now_us())
    before("StartDailyRun", R.StartDailyRunRequest(request_id="run", business_date=iso(today - 1)))
    store.begin()
    store.runs.enter_closing(Closing(today - 3, ClosingState.CLOSED, "before", 1, 2, "", "", 0, 0, (), "day", 2))
    store.commit()
    yield World(store, send, {
        "today": iso(today), "running": iso(today - 1), "open": iso(today - 2), "closed": iso(today - 3),
        "hold": hold_id, "refusal": refusals[1].decision_id, "case": case.case_id,
        "active": activations[0].activation_id, "pending": activations[1].activation_id,
    })  # fmt: skip
    store.close()


def _rows(store: Store) -> object:
    """Give everything that a store holds; of memory, what its records come to."""
    file = getattr(store, "_path", None)
    if file is None:
        return verify(store), store.policies(), store.playbooks.last_change(), len(store.cases.voices_after(0, 100))
    connection = apsw.Connection(str(file), apsw.SQLITE_OPEN_READONLY)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}"))) for name in tables}
    connection.close()
    return found


def _reason(answer: Answer) -> str:
    """Give the reason that a call, or the only item of a batch, was refused with; empty where it was answered."""
    status = status_pb2.Status.FromString(answer.body) if answer.code else _item_status(answer)
    return reason_of(status)


def _item_status(answer: Answer) -> status_pb2.Status:
    try:
        response = L.BatchDecideResponse.FromString(answer.body)
    except DecodeError:
        return status_pb2.Status()
    return response.results[0].error if response.results else status_pb2.Status()


@pytest.mark.parametrize("first", WRITES)
def test_a_request_id_that_stands_for_a_write_stands_for_no_other(world: World, first: str) -> None:
    made = WRITES[first](world.names)
    answer = world.send(first, made, "tests")
    assert not _reason(answer), (first, status_pb2.Status.FromString(answer.body))
    before = _rows(world.store)

    reasons = {
        name: _reason(world.send(name, make(world.names), "tests")) for name, make in WRITES.items() if name != first
    }
    again = world.send(first, made, "tests")

    assert set(reasons.values()) == {"IDEMPOTENCY_KEY_REUSED"}, reasons
    assert _rows(world.store) == before
    assert again.code == 0
    method = next(one for one in METHODS if one.path.endswith(f"/{first}"))
    service = method.path.split("/")[1].rpartition(".")[2]
    pool = {name: file for file in FILES for name in file.DESCRIPTOR.services_by_name}
    output = pool[service].DESCRIPTOR.services_by_name[service].methods_by_name[first].output_type
    response = getattr(pool[service], output.name).FromString(again.body)
    assert "replayed: true" in text_format.MessageToString(response)
    assert verify(world.store).faults == ()


def test_every_write_of_the_contract_that_bears_a_request_id_is_tried() -> None:
    bearing = set()
    for file in FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                fields = method.input_type.fields
                inner = [field.message_type.fields for field in fields if field.message_type is not None]
                names = {field.name for part in (fields, *inner) for field in part}
                if "request_id" in names and not method.name.startswith("Get"):
                    bearing.add(method.name)

    assert bearing - {STREAMED, STEPPED} == set(WRITES)


def test_a_key_of_another_write_confirms_no_clock(world: World) -> None:
    world.send("Decide", WRITES["Decide"](world.names), "tests")

    answer = world.send(
        STEPPED, playbook_service_pb2.ConfirmClockRequest(request_id=KEY, ahead_micros=1, reason="seen"), "tests"
    )

    assert _reason(answer) == "IDEMPOTENCY_KEY_REUSED"


def test_another_callers_same_request_id_is_another_key(world: World) -> None:
    world.send("Decide", WRITES["Decide"](world.names), "tests")

    answer = world.send("SubmitFeedback", WRITES["SubmitFeedback"](world.names), "others")

    assert answer.code == 0


def test_a_refused_write_leaves_its_key_free(world: World) -> None:
    unknown = F.SubmitFeedbackRequest(request_id=KEY, account_id="nobody", category=F.FEEDBACK_CATEGORY_OTHER, text="?")
    refused = world.send("SubmitFeedback", unknown, "tests")

    made = world.send("Decide", WRITES["Decide"](world.names), "tests")

    assert _reason(refused) == "ACCOUNT_NOT_FOUND"
    assert made.code == 0


def test_keys_of_writes_beside_decisions_are_purged_after_the_retention_too(world: World) -> None:
    world.send("SubmitSurvey", WRITES["SubmitSurvey"](world.names), "tests")
    store = world.store
    store.begin()
    store.purge(bootstrap.now_us() + 1, 1_000)
    store.commit()

    made = world.send("Decide", WRITES["Decide"](world.names), "tests")

    assert made.code == 0
    assert verify(store).faults == ()
