"""Callers that share none of our stubs: Node, raw HTTP/2, and buf curl by reflection."""

import json
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from service.local_server import Server, running_server

ROOT = Path(__file__).resolve().parents[2]
NODE = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.mark.skipif(shutil.which("npm") is None, reason="no Node here; the raw HTTP/2 caller below needs nothing")
def test_a_node_caller_decides_retries_and_reads_errors(server: Server, tmp_path: Path) -> None:
    shutil.copytree(NODE, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(["npm", "ci", "--no-fund", "--no-audit"], cwd=tmp_path, check=True, capture_output=True, timeout=180)
    run = subprocess.run(
        ["node", "call.mjs", server.listen, str(ROOT / "protos"), str(ROOT / "protos" / "vendored")],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    told = json.loads(run.stdout)
    assert told["outcome"] == "OUTCOME_APPROVED"
    assert told["limit"] == {"minor_units": "3600000", "currency_code": "CNY"}
    assert told["replayed"] == [False, True]
    assert told["same"]
    assert told["caller"] == "node"
    assert (told["code"], told["has_details"]) == (3, 1)
    assert "request_id" in told["message"]
    assert "kind" in told["message"]


def _text(field: int, content: bytes) -> bytes:
    return bytes((field << 3 | 2, len(content))) + content


def _call(listen: str, body: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """Make one gRPC call with nothing but HTTP/2; gives headers and trailers together, and the body."""
    host, _, port = listen.partition(":")
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
    connection.initiate_connection()
    headers = {
        ":method": "POST", ":scheme": "http", ":path": "/holdline.v1.LimitService/Decide", ":authority": listen,
        "te": "trailers", "content-type": "application/grpc", "grpc-timeout": "5S", "x-holdline-caller": "raw",
    }  # fmt: skip
    connection.send_headers(1, list(headers.items()))
    connection.send_data(1, b"\0" + struct.pack(">I", len(body)) + body, end_stream=True)
    received: dict[bytes, bytes] = {}
    content = b""
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(connection.data_to_send())
        while True:
            for event in connection.receive_data(wire.recv(65_536)):
                if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    received |= {bytes(name): bytes(value) for name, value in event.headers}
                elif isinstance(event, h2.events.DataReceived):
                    content += event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    return received, content[5:]
            wire.sendall(connection.data_to_send())


def test_a_caller_with_nothing_but_http2_decides_and_retries(server: Server) -> None:
    facts = bytes((0x08, 2, 0x10)) + b"\xd0\x05" + _text(3, b"\x08\x80\x9f\x49" + _text(2, b"CNY")) + bytes((0x28, 1))
    facts += bytes((0x30, 8, 0x38)) + b"\xa8\x46" + bytes((0x40, 0, 0x48, 0, 0x50, 0))
    request = _text(1, b"raw-1") + _text(2, b"raw-account") + _text(3, b"revolving") + b"\x20\x01" + _text(5, facts)

    first, answer = _call(server.listen, request)
    again, repeated = _call(server.listen, request)

    assert first[b"grpc-status"] == again[b"grpc-status"] == b"0"
    assert b"raw-account" in answer
    assert repeated == answer + b"\x18\x01", "the recorded answer, and replayed = true"


def test_a_caller_with_nothing_but_http2_reads_status_and_message(server: Server) -> None:
    trailers, answer = _call(server.listen, _text(1, b"raw-2"))

    assert trailers[b"grpc-status"] == b"3"
    assert b"account_id" in trailers[b"grpc-message"]
    assert trailers[b"grpc-status-details-bin"]
    assert answer == b""


def test_buf_curl_finds_the_service_by_reflection(server: Server, tmp_path: Path) -> None:
    request = {"account_id": "curl", "product": "revolving", "kind": "DECISION_KIND_ASSIGN"}

    run = subprocess.run(
        [Path(sys.executable).parent / "buf", "curl", "--protocol", "grpc", "--reflect", "--http2-prior-knowledge", "-d", json.dumps(request),
         f"http://{server.listen}/holdline.v1.LimitService/Evaluate"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["decision"]["outcome"] == "OUTCOME_DECLINED"
