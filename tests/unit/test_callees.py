"""Each RPC is looked up by its full path, so that two services may have RPCs of one name."""

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest

from service.engine.ports.codec import Call
from service.rpc import codec as codecs
from service.rpc.accounts import AccountCalls
from service.rpc.codec import ProtoCodec
from service.rpc.draws import PATHS as DRAWS
from service.rpc.draws import DrawCalls
from service.rpc.events import PATHS as EVENTS
from service.rpc.feedback import FeedbackCalls
from service.rpc.limits import PATHS as LIMITS
from service.rpc.limits import LimitCalls
from service.rpc.methods import ACCOUNTS, INDEX_OF, METHODS, REPORT, UNARY_BYTES_MAX, Method, Shape
from service.rpc.notifications import NotificationCalls
from service.rpc.operations import OperationCalls
from service.rpc.playbooks import PlaybookCalls
from service.rpc.policies import PolicyCalls
from service.rpc.runs import RunCalls
from service.rpc.sentry import SentryCodec

NOBODY = cast("Any", None)
POLICIES = PolicyCalls(NOBODY)
ENGINE = (
    LimitCalls(NOBODY), AccountCalls(NOBODY), DrawCalls(NOBODY), POLICIES, PlaybookCalls(NOBODY, NOBODY),
    RunCalls(NOBODY), NotificationCalls(NOBODY), FeedbackCalls(NOBODY), OperationCalls(NOBODY),
)  # fmt: skip
DECIDING = (Shape.DECISION, Shape.BATCH, Shape.STREAM)
OTHER = "/holdline.v1.OtherService/"


def _codec() -> ProtoCodec:
    return ProtoCodec(*[NOBODY] * 10)


def _paths(*shapes: Shape) -> set[str]:
    return {method.path for method in METHODS if method.shape in shapes}


def test_every_path_has_exactly_one_callee() -> None:
    queries = [METHODS[REPORT].path, *(path for calls in ENGINE for path in calls.queries)]
    asked = SentryCodec(NOBODY, NOBODY, NOBODY)._queries
    deciding = (*LIMITS, *DRAWS, *EVENTS)

    assert Counter([*queries, *asked, *deciding]) == Counter(method.path for method in METHODS)
    assert set(deciding) == _paths(*DECIDING)
    assert set(asked) == _paths(Shape.SENTRY)
    assert set(POLICIES.checks) == _paths(Shape.CHECKED)


@pytest.mark.parametrize(
    ("path", "shape"),
    [(path, METHODS[INDEX_OF[path]].shape) for path in (*LIMITS, *DRAWS, *EVENTS)]
    + [(f"{ACCOUNTS}GetAccount", Shape.QUERY)],
)  # fmt: skip
def test_an_rpc_of_another_service_is_not_answered_by_its_namesake(
    monkeypatch: pytest.MonkeyPatch, path: str, shape: Shape
) -> None:
    namesake = OTHER + path.rpartition("/")[2]
    monkeypatch.setattr(codecs, "METHODS", (*METHODS, Method(namesake, shape, UNARY_BYTES_MAX, ())))

    with pytest.raises(KeyError, match=namesake):
        _codec()


def test_a_request_of_another_service_is_not_checked_as_its_namesakes_are(monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = POLICIES.checks
    namesake = OTHER + path.rpartition("/")[2]
    queries = {**OperationCalls(NOBODY).queries, namesake: lambda _: b""}
    monkeypatch.setattr(codecs, "OperationCalls", lambda _: SimpleNamespace(queries=queries))
    monkeypatch.setattr(codecs, "METHODS", (*METHODS, Method(namesake, Shape.CHECKED, UNARY_BYTES_MAX, ())))

    with pytest.raises(KeyError, match=namesake):
        _codec()


def test_namesakes_of_two_services_are_answered_each_by_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    path, namesake = f"{ACCOUNTS}GetAccount", f"{OTHER}GetAccount"
    accounts = {**AccountCalls(NOBODY).queries, path: lambda _: b"an account's"}
    operations = {**OperationCalls(NOBODY).queries, namesake: lambda _: b"the other's"}
    monkeypatch.setattr(codecs, "AccountCalls", lambda _: SimpleNamespace(queries=accounts))
    monkeypatch.setattr(codecs, "OperationCalls", lambda _: SimpleNamespace(queries=operations))
    monkeypatch.setattr(codecs, "METHODS", (*METHODS, Method(namesake, Shape.QUERY, UNARY_BYTES_MAX, ())))
    codec = _codec()

    found = [codec.query(Call(index, "tests", 1 << 62, "", b"")).body for index in (INDEX_OF[path], len(METHODS))]

    assert found == [b"an account's", b"the other's"]
