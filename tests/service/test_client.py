"""The Python client: typed errors, retries that are safe, one key a call, a budget."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from holdline.client import (
    AsyncClient,
    Budget,
    Client,
    InvalidRequest,
    KeyReused,
    NotFound,
    Overloaded,
    Retry,
    Unavailable,
    VersionMismatch,
    in_language,
    money,
    requests,
)
from holdline.client.retry import arguments
from holdline.v1 import limit_service_pb2, limit_service_pb2_grpc
from holdline.v1.money_pb2 import Money

from service.local_server import Server
from service.rpc.contract import SERVICE_NAMES
from tests.builders import GOOD_FACTS
from tests.service.wire import fresh

FACTS: dict[str, "int | Money"] = {
    **GOOD_FACTS,
    "monthly_income": money(1_200_000, "CNY"),
    "mean_transaction": money(8_000, "CNY"),
}


class Flaky(limit_service_pb2_grpc.LimitServiceServicer):
    """A server that fails so many times with a status before it answers; it notes every request it saw."""

    def __init__(self, failures: int, code: grpc.StatusCode, *, says_when: bool = True) -> None:
        self.failures = failures
        self.code = code
        self.says_when = says_when
        self.seen: list[limit_service_pb2.DecideRequest] = []

    def Decide(  # noqa: N802 - gRPC's name
        self, request: limit_service_pb2.DecideRequest, context: grpc.ServicerContext
    ) -> limit_service_pb2.DecideResponse:
        self.seen.append(request)
        if len(self.seen) <= self.failures:
            detail = any_pb2.Any()
            detail.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=1_000_000)))
            details = [detail] if self.says_when else []
            status = status_pb2.Status(code=self.code.value[0], message="made to fail", details=details)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(self.code, "made to fail")
        return limit_service_pb2.DecideResponse(replayed=True)


@pytest.fixture
def flaky(request: pytest.FixtureRequest) -> Iterator[tuple[Flaky, str]]:
    failures, code, *says_when = request.param
    servicer = Flaky(failures, code, says_when=says_when != [False])  # type: ignore[abstract]  # one method is enough.
    server = grpc.server(futures.ThreadPoolExecutor(2))
    limit_service_pb2_grpc.add_LimitServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.mark.parametrize(
    "flaky",
    [(3, grpc.StatusCode.UNAVAILABLE), (2, grpc.StatusCode.RESOURCE_EXHAUSTED)],
    indirect=True,
    ids=["unavailable", "exhausted"],
)
def test_what_is_safe_is_retried_with_the_same_key(flaky: tuple[Flaky, str]) -> None:
    servicer, target = flaky

    with Client(target) as client:
        response = client.decide("a", "raise")

    assert response.replayed
    assert len(servicer.seen) == servicer.failures + 1
    assert len({request.request_id for request in servicer.seen}) == 1


@pytest.mark.parametrize("flaky", [(3, grpc.StatusCode.UNAVAILABLE)], indirect=True)
def test_the_service_config_of_the_readme_retries_with_the_same_key(flaky: tuple[Flaky, str]) -> None:
    servicer, target = flaky
    readme = (Path(__file__).parents[2] / "protos" / "README.md").read_text(encoding="utf-8")
    config = readme.partition("```json\n")[2].partition("```")[0]
    named = {name["service"] for part in json.loads(config)["methodConfig"] for name in part["name"]}

    with grpc.insecure_channel(target, options=[("grpc.service_config", config)]) as channel:
        answer = limit_service_pb2_grpc.LimitServiceStub(channel).Decide(requests.decide("a", "raise"), timeout=10)

    assert answer.replayed
    assert len({request.request_id for request in servicer.seen}) == 1
    assert len(servicer.seen) == servicer.failures + 1
    assert named <= set(SERVICE_NAMES)


@pytest.mark.parametrize(
    "flaky",
    [
        *(
            (9, code)
            for code in (grpc.StatusCode.ABORTED, grpc.StatusCode.INTERNAL, grpc.StatusCode.FAILED_PRECONDITION)
        ),
        (9, grpc.StatusCode.RESOURCE_EXHAUSTED, False),
    ],
    indirect=True,
    ids=["aborted", "internal", "precondition", "exhausted without RetryInfo"],
)
def test_what_is_not_safe_is_tried_once(flaky: tuple[Flaky, str]) -> None:
    servicer, target = flaky

    with Client(target) as client, pytest.raises(Exception, match="made to fail"):
        client.decide("a", "raise")

    assert len(servicer.seen) == 1


@pytest.mark.parametrize("flaky", [(99, grpc.StatusCode.UNAVAILABLE)], indirect=True)
def test_attempts_and_the_budget_bound_retries(flaky: tuple[Flaky, str]) -> None:
    servicer, target = flaky
    budget = Budget(share=0.0, tokens=3.0)

    with Client(target, budget=budget, retry=Retry(attempts_max=3, wait_seconds_first=0.001)) as client:
        for _ in range(3):
            with pytest.raises(Unavailable):
                client.decide("a", "raise")

    # Three first tries, and as many retries as there were tokens.
    assert len(servicer.seen) == 6


def test_the_wait_is_what_the_server_asked_for_plus_full_jitter() -> None:
    given = arguments(Retry(wait_seconds_first=0.1, wait_seconds_max=0.4), Budget(), lambda: 9.0, random.Random(7))

    class State:
        attempt_number = 4

        class outcome:  # noqa: N801 - tenacity's name
            @staticmethod
            def exception() -> Exception:
                return Overloaded("", retry_after_seconds=1.5)

    waits = [given["wait"](State) for _ in range(200)]

    assert min(waits) >= 1.5
    assert max(waits) <= 1.9
    assert max(waits) - min(waits) > 0.3


def test_errors_are_typed(server: Server) -> None:
    with Client(server.listen, caller="typed") as client:
        account, key = fresh("a"), fresh("k")
        client.decide(account, "assign", product="revolving", facts=FACTS, request_id=key)

        with pytest.raises(KeyReused) as reused:
            client.decide(account, "raise", request_id=key)
        with pytest.raises(VersionMismatch):
            client.decide(account, "raise", expected_version=8)
        with pytest.raises(NotFound):
            client.account("nobody")
        with pytest.raises(InvalidRequest) as invalid:
            client.decide("?", "raise", facts={"dpd_now": -1})

    assert reused.value.request_id == key
    assert [violation.field for violation in invalid.value.violations] == ["account_id", "facts.dpd_now"]


def test_a_batch_gives_answers_and_typed_errors_in_order(server: Server) -> None:
    from holdline.client import decide

    with Client(server.listen) as client:
        results = client.batch(
            [
                decide(fresh("a"), "assign", product="revolving", facts=FACTS),
                decide("nobody", "raise"),
            ]
        )

    assert isinstance(results[0], limit_service_pb2.DecideResponse)
    assert isinstance(results[1], NotFound)


def test_a_fact_that_the_contract_lacks_is_refused_before_it_is_sent(server: Server) -> None:
    with Client(server.listen) as client, pytest.raises(ValueError, match="no fact is called shoe_size"):
        client.decide("a", "raise", facts={"shoe_size": 44})


def test_nobody_there_is_unavailable() -> None:
    with Client("127.0.0.1:1", timeout_seconds=0.5) as client, pytest.raises(Unavailable):
        client.account("a")


def test_the_asynchronous_client_does_the_same(server: Server) -> None:
    async def work() -> None:
        async with AsyncClient(server.listen, caller="aio") as client:
            account = fresh("a")
            made = await client.decide(account, "assign", product="revolving", facts=FACTS)
            listed = [decision async for decision in client.decisions(account)]
            explained = await client.explain(made.decision.decision_id)
            assert [decision.decision_id for decision in listed] == [made.decision.decision_id]
            assert in_language(explained.summaries, "en")
            with pytest.raises(NotFound):
                await client.account("nobody")

    asyncio.run(work())


def test_the_client_is_importable_without_the_servers_dependencies() -> None:
    script = """
import sys
blocked = {"apsw", "msgspec", "uvloop", "structlog", "opentelemetry", "typer", "rich", "pydantic", "pydantic_settings", "yaml"}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ImportError(f"{name} is the server's")
sys.meta_path.insert(0, Blocker())
import holdline.client
holdline.client.Client("127.0.0.1:1").close()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)

    assert run.returncode == 0, run.stderr
