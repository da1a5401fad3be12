"""Answers within what clients take: pages end before they are too large, batches leave out texts they gave before."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.rpc import error_details_pb2, status_pb2
from holdline.v1 import (
    account_pb2,
    account_service_pb2,
    decision_pb2,
    event_service_pb2,
    limit_service_pb2,
    policy_service_pb2,
)

from service import bootstrap, telemetry
from service.engine.ports.codec import Answer, Call
from service.engine.process import Engine
from service.rpc.fields import BATCH_ITEMS_MAX
from service.rpc.methods import INDEX_OF, PUBLISH
from service.rpc.pages import ANSWER_BYTES_MAX, PAGE_BYTES_MAX
from service.rpc.status import ITEM_STATUS_BYTES_MAX
from service.storage.sqlite.store import SqliteStore
from service.storage.verify import verify
from tests.builders import document, settings, sqlite
from tests.service.wire import RAISE, assign, facts, fresh

CLIENT_BYTES_MAX = 4 << 20
"""What gRPC clients take by default."""
MODULES: dict[str, Any] = {
    "BatchDecide": limit_service_pb2,
    "ImportAccounts": account_service_pb2,
    "RecordEvents": event_service_pb2,
    "StreamDecisions": limit_service_pb2,
}
SERVICES = {
    "BatchDecide": "LimitService",
    "ImportAccounts": "AccountService",
    "RecordEvents": "EventService",
    "StreamDecisions": "LimitService",
}
BAD = facts(dpd_now=90, misuse_flags=3, enquiries_30d=40, bureau_score=310, identity_level=0, payment_ratio_bp=0)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    store = sqlite(tmp_path / "holdline.db")
    yield bootstrap.make_engine(store, settings(), telemetry.engine_meters(None))
    assert verify(store).faults == ()
    store.close()


def ask(engine: Engine, path: str, body: bytes, caller: str = "tests") -> Answer:
    call = Call(INDEX_OF[f"/holdline.v1.{path}"], caller, 1 << 62, "", body)
    return dict(engine.answers([call], 0))[0]


def _with_long_texts(engine: Engine) -> None:
    """Publish and promote the reference policy with texts as long as they have room in a document."""
    tree = yaml.safe_load(document())
    tree["policy"] = "long-texts"
    for text in tree["texts"].values():
        text.update(zh="汉" * 400, en="x" * 500)
    published = policy_service_pb2.PublishPolicyRequest(
        request_id=fresh(), document=yaml.safe_dump(tree, allow_unicode=True)
    )
    promoted = policy_service_pb2.PromotePolicyRequest(
        request_id=fresh(), version="long-texts", target_state=policy_service_pb2.POLICY_STATE_ACTIVE, reason="r"
    )
    assert not ask(engine, "PolicyService/PublishPolicy", published.SerializeToString()).code
    assert not ask(engine, "PolicyService/PromotePolicy", promoted.SerializeToString()).code


def _bad_requests(count: int) -> list[limit_service_pb2.DecideRequest]:
    return [assign(request_id=f"{place:064}", account_id=f"a{place:063}", facts=BAD) for place in range(count)]


@pytest.mark.parametrize(
    ("path", "request_kind", "response_kind", "field"),
    [
        ("BatchDecide", limit_service_pb2.BatchDecideRequest, limit_service_pb2.BatchDecideResponse, "requests"),
        ("StreamDecisions", limit_service_pb2.StreamDecisionsRequest, limit_service_pb2.StreamDecisionsResponse, "requests"),
    ],
)  # fmt: skip
def test_a_batch_whose_texts_would_make_it_too_large_gives_each_of_them_once(
    engine: Engine, path: str, request_kind: Any, response_kind: Any, field: str
) -> None:
    _with_long_texts(engine)
    request = request_kind(**{field: _bad_requests(BATCH_ITEMS_MAX)})

    answer = ask(engine, f"LimitService/{path}", request.SerializeToString())
    results = response_kind.FromString(answer.body).results
    reasons = [reason for result in results for reason in result.response.decision.reasons]
    told = {reason.code for reason in reasons if len(reason.texts) == 2}

    assert (answer.code, len(results)) == (0, BATCH_ITEMS_MAX)
    assert len(answer.body) <= ANSWER_BYTES_MAX < CLIENT_BYTES_MAX
    assert {result.response.decision.outcome for result in results} == {decision_pb2.OUTCOME_DECLINED}
    assert len(reasons) == 4 * BATCH_ITEMS_MAX
    assert told == {reason.code for reason in reasons}
    assert sum(bool(reason.texts) for reason in reasons) == len(told)


def test_a_batch_of_ordinary_answers_has_all_its_texts(engine: Engine) -> None:
    request = limit_service_pb2.BatchDecideRequest(requests=_bad_requests(BATCH_ITEMS_MAX))

    answer = ask(engine, "LimitService/BatchDecide", request.SerializeToString())
    results = limit_service_pb2.BatchDecideResponse.FromString(answer.body).results

    assert len(answer.body) <= ANSWER_BYTES_MAX
    assert all(reason.texts for result in results for reason in result.response.decision.reasons)


@pytest.mark.parametrize("path", ["BatchDecide", "StreamDecisions", "ImportAccounts", "RecordEvents"])
def test_ids_that_are_far_too_long_do_not_make_an_answer_too_large(engine: Engine, path: str) -> None:
    too_long = "x" * ANSWER_BYTES_MAX
    items: Any = [{"request_id": too_long, "account_id": "a"}, {"request_id": "r", "account_id": "?"}]
    if path == "RecordEvents":
        items = [{"event_id": "e", "account_id": too_long}, {"event_id": too_long, "account_id": "a"}]
    field = {"ImportAccounts": "accounts", "RecordEvents": "events"}.get(path, "requests")
    request = getattr(MODULES[path], f"{path}Request")(**{field: items})

    answer = ask(engine, f"{SERVICES[path]}/{path}", request.SerializeToString())
    results = getattr(MODULES[path], f"{path}Response").FromString(answer.body).results

    assert answer.code == 0
    assert [result.error.code for result in results] == [grpc.StatusCode.INVALID_ARGUMENT.value[0]] * 2
    assert len(answer.body) < 2 * ITEM_STATUS_BYTES_MAX + 2_048


@pytest.mark.parametrize("path", ["BatchDecide", "StreamDecisions", "ImportAccounts", "RecordEvents"])
def test_a_batch_of_nothing_but_mistakes_is_answered_item_by_item_within_bounds(engine: Engine, path: str) -> None:
    counts = [field for field in account_pb2.Facts.DESCRIPTOR.fields if field.message_type is None]
    wrong = account_pb2.Facts()
    for count in counts:
        setattr(wrong, count.name, -(1 << 31))
    name = "汉" * 21
    items: Any = [
        {"request_id": f"{name}{place}", "account_id": "?" * 64, "product": "!" * 64, "facts": wrong}
        for place in range(BATCH_ITEMS_MAX)
    ]
    if path == "RecordEvents":
        items = [{"event_id": f"{name}{place}", "account_id": "?" * 64} for place in range(BATCH_ITEMS_MAX)]
    field = {"ImportAccounts": "accounts", "RecordEvents": "events"}.get(path, "requests")
    request = getattr(MODULES[path], f"{path}Request")(**{field: items})

    answer = ask(engine, f"{SERVICES[path]}/{path}", request.SerializeToString())
    results = getattr(MODULES[path], f"{path}Response").FromString(answer.body).results

    assert (answer.code, len(results)) == (0, BATCH_ITEMS_MAX)
    assert {result.error.code for result in results} == {grpc.StatusCode.INVALID_ARGUMENT.value[0]}
    assert len(answer.body) <= ANSWER_BYTES_MAX


@pytest.mark.parametrize("count", [2, 200, BATCH_ITEMS_MAX])
@pytest.mark.parametrize("path", ["BatchDecide", "ImportAccounts", "RecordEvents", "StreamDecisions"])
def test_repeated_ids_are_one_refusal_of_bounded_size(engine: Engine, path: str, count: int) -> None:
    field = {"ImportAccounts": "accounts", "RecordEvents": "events"}.get(path, "requests")
    item = (
        {"event_id": "x" * 64, "account_id": "a"}
        if path == "RecordEvents"
        else {"request_id": "x" * 64, "account_id": "a"}
    )
    request = getattr(MODULES[path], f"{path}Request")(**{field: [item] * count})

    answer = ask(engine, f"{SERVICES[path]}/{path}", request.SerializeToString())
    info = error_details_pb2.ErrorInfo()
    status_pb2.Status.FromString(answer.body).details[0].Unpack(info)

    assert answer.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert (info.reason, info.metadata["violations"]) == ("INVALID_REQUEST", str(count - 1))
    assert len(answer.body) < 4_000


def test_a_page_ends_before_it_is_too_large_and_the_rest_is_behind_its_token(engine: Engine) -> None:
    _with_long_texts(engine)
    account = fresh("a")
    ask(engine, "LimitService/Decide", assign(account_id=account).SerializeToString())
    raises = [
        limit_service_pb2.DecideRequest(request_id=fresh(), account_id=account, kind=RAISE, facts=BAD)
        for _ in range(300)
    ]
    batch = limit_service_pb2.BatchDecideRequest(requests=raises)
    assert not ask(engine, "LimitService/BatchDecide", batch.SerializeToString()).code

    found, sizes, token = [], [], ""
    while True:
        request = limit_service_pb2.ListDecisionsRequest(account_id=account, page_size=1_000, page_token=token)
        answer = ask(engine, "LimitService/ListDecisions", request.SerializeToString())
        page = limit_service_pb2.ListDecisionsResponse.FromString(answer.body)
        found += [decision.decision_id for decision in page.decisions]
        sizes.append(len(answer.body))
        token = page.next_page_token
        if not token:
            break

    assert len(sizes) > 2
    assert max(sizes) <= PAGE_BYTES_MAX + 64
    assert len(found) == len(set(found)) == 301
    assert found == sorted(found, reverse=True)


def test_a_document_is_answered_with_all_its_violations(engine: Engine) -> None:
    bad = "\n".join(f"k{place}: 1" for place in range(8_000))

    request = policy_service_pb2.ValidatePolicyRequest(document=bad)
    answer = ask(engine, "PolicyService/ValidatePolicy", request.SerializeToString())
    violations = policy_service_pb2.ValidatePolicyResponse.FromString(answer.body).violations

    assert {f"k{place}" for place in range(8_000)} <= {violation.path for violation in violations}
    assert len(answer.body) <= PAGE_BYTES_MAX + 64


def test_more_violations_than_an_answer_holds_are_counted(engine: Engine) -> None:
    bad = f"facts:\n  {'x' * 900}:\n    {{{', '.join(f'k{place}: 1' for place in range(9_000))}}}"

    request = policy_service_pb2.ValidatePolicyRequest(document=bad)
    answer = ask(engine, "PolicyService/ValidatePolicy", request.SerializeToString())
    violations = policy_service_pb2.ValidatePolicyResponse.FromString(answer.body).violations

    assert len(answer.body) <= PAGE_BYTES_MAX + 256
    assert violations[-1].message.endswith("more violations; mend these first")
    assert int(violations[-1].message.split()[0]) + len(violations) - 1 > 9_000


def test_a_refused_publication_lists_the_first_violations(engine: Engine) -> None:
    bad = "\n".join(f"{'汉' * 300}{place}: 1" for place in range(100))

    request = policy_service_pb2.PublishPolicyRequest(request_id="p", document=bad)
    answer = ask(engine, "PolicyService/PublishPolicy", request.SerializeToString())

    assert answer.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert len(answer.body) < 4_000


def test_the_engine_stores_what_the_reader_checked_and_reads_no_document(tmp_path: Path, engine: Engine) -> None:
    reading = SqliteStore(tmp_path / "holdline.db", bootstrap.now_us, read_only=True)
    reader, _ = bootstrap.make_reader(reading, settings())
    tree = {**yaml.safe_load(document()), "policy": "checked-1"}
    request = policy_service_pb2.PublishPolicyRequest(
        request_id="p-1", document=yaml.safe_dump(tree, allow_unicode=True)
    )
    call = Call(INDEX_OF["/holdline.v1.PolicyService/PublishPolicy"], "ann", 1 << 62, "", request.SerializeToString())

    checked = reader.query(call)
    answers = [dict(engine.answers([call._replace(method=PUBLISH, body=checked.body)], 0))[0] for _ in range(2)]
    whole = dict(engine.answers([call], 0))[0]
    published = [policy_service_pb2.PublishPolicyResponse.FromString(answer.body) for answer in (*answers, whole)]
    reading.close()

    assert (checked.code, [answer.code for answer in answers], whole.code) == (0, [0, 0], 0)
    assert [one.replayed for one in published] == [False, True, True]
    assert {one.policy.version for one in published} == {"checked-1"}
    assert len({one.policy.content_hash for one in published}) == 1
