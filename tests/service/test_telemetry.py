"""Metrics, traces and logs of a live server."""

import socket
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import grpc
from holdline.client import Client
from holdline.v1 import limit_service_pb2_grpc

from service import telemetry
from service.local_server import running_server
from tests.proof.journal import wait_until
from tests.service.wire import assign, refusal


def _free_ports() -> int:
    """Give a port that is free together with the next two: engine, gateway, sentry."""
    while True:
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                third.bind(("127.0.0.1", port + 2))
            except OSError:
                continue
            return port


def _metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        return str(response.read().decode())


def test_prometheus_shows_rate_errors_duration_queue_wait_batch_size_and_commit_time(tmp_path: Path) -> None:
    port = _free_ports()
    with (
        running_server(tmp_path, "--metrics-port", str(port)) as server,
        grpc.insecure_channel(server.listen) as channel,
    ):
        stub = limit_service_pb2_grpc.LimitServiceStub(channel)
        for _ in range(3):
            stub.Decide(assign(), timeout=5)
        refusal(lambda: stub.Decide(assign(request_id=""), timeout=5))
        with Client(server.listen, caller="olga") as client:
            client.activate("freeze_raises", ttl_seconds=60, reason="seen in the metrics")
        wait_until(lambda: 'playbook="freeze_raises/v1"} 1.0' in _metrics(port + 2), 10, "seen")
        engine, gateway, sentry = _metrics(port), _metrics(port + 1), _metrics(port + 2)

    assert 'rpc_method="holdline.v1.LimitService/Decide"' in gateway
    assert 'rpc_grpc_status_code="OK"' in gateway
    assert 'rpc_grpc_status_code="INVALID_ARGUMENT"' in gateway
    assert "holdline_rpc_duration_seconds_bucket" in gateway
    assert "holdline_queue_wait_seconds_count" in gateway
    assert "holdline_batch_size_count" in engine
    assert "holdline_commit_duration_seconds_count" in engine
    assert "holdline_decisions_total{" in engine
    assert 'outcome="APPROVED"' in engine
    assert "holdline_guard_level{" in sentry
    assert 'signal="latency"' in sentry


class _Collector(BaseHTTPRequestHandler):
    paths: list[str] = []  # noqa: RUF012 - one list for the class is what is meant.

    def do_POST(self) -> None:
        self.paths.append(self.path)
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_sampled_calls_and_metrics_go_to_the_otlp_collector(tmp_path: Path) -> None:
    _Collector.paths.clear()
    with HTTPServer(("127.0.0.1", 0), _Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        flags = ("--set", f"otlp_endpoint=http://127.0.0.1:{collector.server_port}")
        with running_server(tmp_path, *flags) as server, grpc.insecure_channel(server.listen) as channel:
            stub = limit_service_pb2_grpc.LimitServiceStub(channel)
            parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            stub.Decide(assign(), timeout=5, metadata=(("traceparent", parent),))
        wait_until(lambda: {"/v1/traces", "/v1/metrics"} <= set(_Collector.paths), 20, "traces and metrics sent")
        collector.shutdown()


def test_an_account_is_hashed_and_the_hash_is_stable() -> None:
    assert telemetry.account_hash("a-1") == telemetry.account_hash("a-1")
    assert telemetry.account_hash("a-1") != telemetry.account_hash("a-2")
    assert "a-1" not in telemetry.account_hash("a-1")
