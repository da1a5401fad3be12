"""A live server for the tests that speak to it over the wire."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from holdline.client import Client
from holdline.v1 import (
    account_service_pb2_grpc,
    draw_service_pb2_grpc,
    event_service_pb2_grpc,
    limit_service_pb2_grpc,
    policy_service_pb2_grpc,
)

from service.local_server import Server, running_server
from tests.proof.journal import ONCE
from tests.service.oncall import As
from tests.service.wire import Stubs

ROLES = """
callers:
  olga: [on_call]
  oscar: [on_call]
  ada: [approver]
  abe: [approver, on_call]
  ann: [analyst]
  root: [admin]
others: [caller]
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[Server]:
    # Shedding has tests of its own; here a slow machine must not shed.
    patience = ("--set", "queue_wait_ms_max=10000", "--set", "queue_wait_ms_target=10000")
    with running_server(folder, *patience) as running:
        yield running
    assert running.process.returncode == 0


@pytest.fixture
def stubs(server: Server) -> Iterator[Stubs]:
    with grpc.insecure_channel(server.listen, options=[("grpc.max_receive_message_length", 1 << 24)]) as channel:
        yield Stubs(
            limit_service_pb2_grpc.LimitServiceStub(channel),
            account_service_pb2_grpc.AccountServiceStub(channel),
            draw_service_pb2_grpc.DrawServiceStub(channel),
            event_service_pb2_grpc.EventServiceStub(channel),
            policy_service_pb2_grpc.PolicyServiceStub(channel),
            channel,
        )


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("oncall")
    (folder / "roles.yaml").write_text(ROLES, encoding="utf-8")
    flags = ("--gateways", "2", "--set", f"roles_file={folder / 'roles.yaml'}", "--set", "mode_poll_ms=50")
    with running_server(folder, *flags) as running:
        yield running
    assert running.process.returncode == 0


@pytest.fixture
def as_(guarded: Server) -> Iterator[As]:
    """Give clients by caller's name; afterwards nothing is in force."""
    with ExitStack() as stack:
        clients: dict[str, Client] = {}

        def client(name: str) -> Client:
            if name not in clients:
                clients[name] = stack.enter_context(Client(guarded.listen, caller=name, retry=ONCE))
            return clients[name]

        yield client
        mode = client("root").mode().mode
        for one in (*mode.activations, *mode.pending):
            client("root").end_activation(one.activation_id, reason="the test is over")
