"""A live server for the tests that speak to it over the wire."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from holdline.v1 import limit_service_pb2_grpc, policy_service_pb2_grpc

from service.cli.demonstration import Server, running_server
from tests.service.wire import Stubs


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[Server]:
    # Shedding has tests of its own; here a slow machine must not shed.
    with running_server(folder, "--set", "queue_wait_ms_max=10000") as running:
        yield running
    assert running.process.returncode == 0


@pytest.fixture
def stubs(server: Server) -> Iterator[Stubs]:
    with grpc.insecure_channel(server.listen, options=[("grpc.max_receive_message_length", 1 << 24)]) as channel:
        yield Stubs(
            limit_service_pb2_grpc.LimitServiceStub(channel),
            policy_service_pb2_grpc.PolicyServiceStub(channel),
            channel,
        )
