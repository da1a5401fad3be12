"""Two kinds of process: restart, drain, several gateways, deadlines, overload, a full disk."""

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from holdline.client import Client, Overloaded, Retry
from holdline.v1 import limit_service_pb2, limit_service_pb2_grpc

from service import bootstrap
from service.local_server import running_server
from service.storage.opening import open_ledger
from service.storage.verify import verify
from tests.proof.journal import Journal, wait_until
from tests.service.wire import assign, refusal, taken_apart

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def _health(channel: grpc.Channel, service: str = "") -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    try:
        return int(stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=2).status)
    except grpc.RpcError:
        return -1


def test_a_dead_engine_answers_unavailable_with_retry_info_and_comes_back(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, grpc.insecure_channel(server.listen) as channel:
        stub = limit_service_pb2_grpc.LimitServiceStub(channel)
        stub.Decide(assign(), timeout=5)
        engine = server.pids()["engine"]
        os.kill(engine, signal.SIGSTOP)
        waiting = stub.Decide.future(assign(), timeout=10)
        time.sleep(0.2)
        os.kill(engine, signal.SIGKILL)

        in_flight = taken_apart(waiting.exception())
        meanwhile = [refusal_or_none(stub) for _ in range(20)]
        wait_until(lambda: _health(channel, "holdline.v1.LimitService") == SERVING, 20, "serving again")
        later = stub.Decide(assign(), timeout=5)

    assert (in_flight.code, in_flight.reason) == (grpc.StatusCode.UNAVAILABLE, "ENGINE_UNAVAILABLE")
    assert in_flight.retry_ms > 0
    assert all(found is None or found == "ENGINE_UNAVAILABLE" for found in meanwhile)
    assert later.decision.decision_id


def refusal_or_none(stub: limit_service_pb2_grpc.LimitServiceStub) -> str | None:
    try:
        stub.Decide(assign(), timeout=5)
    except grpc.RpcError as error:
        return taken_apart(error).reason
    return None


def test_health_says_not_serving_while_the_engine_is_away(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, grpc.insecure_channel(server.listen) as channel:
        before = _health(channel)
        states = []
        for _ in range(5):
            engine = server.pids()["engine"]
            os.kill(engine, signal.SIGKILL)
            while server.pids()["engine"] == engine:
                states.append(_health(channel))
            wait_until(lambda: _health(channel) == SERVING, 20, "serving again")

    assert before == SERVING
    assert NOT_SERVING in states


def test_work_whose_deadline_passed_in_the_queue_is_never_done(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, grpc.insecure_channel(server.listen) as channel:
        stub = limit_service_pb2_grpc.LimitServiceStub(channel)
        requests = [assign() for _ in range(20)]
        engine = server.pids()["engine"]
        os.kill(engine, signal.SIGSTOP)
        waiting = [stub.Decide.future(request, timeout=0.3) for request in requests]
        codes = {taken_apart(future.exception()).code for future in waiting}
        os.kill(engine, signal.SIGCONT)
        # The gateway may still be letting go of callers that have gone; the client's retries ride over that.
        with Client(server.listen) as client:
            retried = [client.send(request).replayed for request in requests]

    assert codes == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert retried == [False] * 20


def test_beyond_the_queue_calls_are_shed_with_retry_info_the_batch_ones_first(tmp_path: Path) -> None:
    flags = ("--set", "queue_calls_max=10", "--set", "batch_calls_max=1", "--set", "frames_in_flight=1")
    with (
        running_server(tmp_path, *flags, "--set", "queue_wait_ms_max=10000") as server,
        grpc.insecure_channel(server.listen) as channel,
    ):
        stub = limit_service_pb2_grpc.LimitServiceStub(channel)
        stub.Decide(assign(), timeout=5)
        engine = server.pids()["engine"]
        os.kill(engine, signal.SIGSTOP)
        first = stub.Decide.future(assign(), timeout=20)
        time.sleep(0.2)
        batch = [
            stub.Decide.future(assign(), timeout=20, metadata=(("x-holdline-criticality", "batch"),)) for _ in range(10)
        ]
        time.sleep(0.05)
        interactive = [stub.Decide.future(assign(), timeout=20) for _ in range(10)]
        time.sleep(0.05)
        over = refusal(lambda: stub.Decide(assign(), timeout=20))
        os.kill(engine, signal.SIGCONT)
        put_out = [taken_apart(future.exception()) for future in batch]
        answered = [future.result().decision.decision_id for future in [first, *interactive]]

    assert (over.code, over.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert over.retry_ms > 0
    assert {found.reason for found in put_out} == {"OVERLOADED"}
    assert {found.metadata["criticality"] for found in put_out} == {"batch"}
    assert all(answered)


def test_sigterm_drains_what_is_in_flight_refuses_what_is_new_and_exits_with_zero(tmp_path: Path) -> None:
    with running_server(tmp_path, "--set", "drain_notice_ms=2000") as server:
        with grpc.insecure_channel(server.listen) as channel:
            stub = limit_service_pb2_grpc.LimitServiceStub(channel)
            stub.Decide(assign(), timeout=5)
            engine = server.pids()["engine"]
            os.kill(engine, signal.SIGSTOP)
            in_flight = stub.Decide.future(assign(), timeout=10)
            time.sleep(0.2)
            server.process.terminate()
            wait_until(lambda: _health(channel) == NOT_SERVING, 10, "health says NOT_SERVING")
            new = refusal(lambda: stub.Decide(assign(), timeout=5))
            os.kill(engine, signal.SIGCONT)
            ended = in_flight.result()
        code = server.process.wait(30)

    assert ended.decision.decision_id
    assert (new.code, new.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert new.retry_ms > 0
    assert code == 0
    with open_ledger(f"sqlite:///{tmp_path / 'holdline.db'}", bootstrap.now_us) as ledger:
        assert verify(ledger).faults == ()


def test_two_gateways_share_the_port_and_one_truth(tmp_path: Path) -> None:
    with running_server(tmp_path, "--gateways", "2") as server:
        assert len(server.pids()["gateways"]) == 2
        request = assign()
        before = [_connections(pid) for pid in server.pids()["gateways"]]
        # Channels of one process share connections unless their arguments differ.
        channels = [grpc.insecure_channel(server.listen, options=[("holdline.test", n)]) for n in range(16)]
        answers = [limit_service_pb2_grpc.LimitServiceStub(channel).Decide(request, timeout=5) for channel in channels]
        after = [_connections(pid) for pid in server.pids()["gateways"]]
        for channel in channels:
            channel.close()

    assert len({answer.decision.decision_id for answer in answers}) == 1
    assert [answer.replayed for answer in answers] == [False] + [True] * 15
    assert all(later > earlier for earlier, later in zip(before, after, strict=True))


def _connections(pid: int) -> int:
    return sum(
        str(entry.readlink()).startswith("socket:") for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()
    )


def test_a_stray_second_server_cannot_take_part_of_the_traffic(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, socket.socket() as stray:
        stray.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        host, _, port = server.listen.partition(":")

        with pytest.raises(OSError, match="in use"):
            stray.bind((host, int(port)))


def test_a_full_disk_answers_unavailable_and_the_server_goes_on_when_room_returns(tmp_path: Path) -> None:
    path = tmp_path / "holdline.db"
    with running_server(tmp_path) as server, Client(server.listen, retry=Retry(attempts_max=1)) as client:
        engine = server.pids()["engine"]
        acknowledged = [client.send(assign()) for _ in range(20)]
        room = max(path.stat().st_size, Path(f"{path}-wal").stat().st_size)
        # A file may not grow beyond this: the next write fails in the kernel, as on a full disk.
        resource.prlimit(engine, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        refused: list[limit_service_pb2.DecideRequest] = []
        for _ in range(1_000):
            # The log reaches the limit after some dozens of commits.
            if len(refused) == 20:
                break
            request = assign()
            found = _send(client, request)
            if found == "STORE_UNAVAILABLE":
                refused.append(request)
            else:
                assert found == ""
                acknowledged.append(client.send(request))
        account = client.account(acknowledged[0].account.account_id)
        resource.prlimit(engine, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        retried = [client.send(request) for request in refused]

    assert refused
    assert account.version == 1
    assert [response.replayed for response in retried] == [False] * len(refused)
    assert server.process.returncode == 0
    with open_ledger(f"sqlite:///{path}", bootstrap.now_us) as ledger:
        found_in_store = verify(ledger)
    assert found_in_store.faults == ()
    assert found_in_store.decisions == len(acknowledged) + len(retried)


def _send(client: Client, request: limit_service_pb2.DecideRequest) -> str:
    from holdline.client import Unavailable

    try:
        client.send(request)
    except Unavailable as error:
        return error.reason
    return ""


def test_rolling_restart_of_gateways_under_load_fails_nobody_for_good(tmp_path: Path) -> None:
    with running_server(tmp_path, "--gateways", "2") as server:
        with Journal(server.listen, seed=7) as journal:
            for _ in range(2):
                journal.wait_for(len(journal.acknowledged) + 50)
                victim = server.pids()["gateways"][0]
                os.kill(victim, signal.SIGTERM)
                wait_until(lambda victim=victim: victim not in server.pids()["gateways"], 30, "restarted")  # type: ignore[misc]  # a bound default.
            journal.wait_for(len(journal.acknowledged) + 50)
        journal.reconcile(server.listen, tmp_path / "holdline.db")


def test_the_clients_own_retries_ride_over_an_overload(tmp_path: Path) -> None:
    flags = ("--set", "queue_calls_max=4", "--set", "batch_calls_max=1", "--set", "frames_in_flight=1")
    with running_server(tmp_path, *flags) as server:
        outcomes: list[str] = []

        def send() -> None:
            with Client(server.listen, timeout_seconds=20.0, retry=Retry(attempts_max=10)) as client:
                for _ in range(10):
                    try:
                        client.send(assign())
                        outcomes.append("made")
                    except Overloaded:
                        outcomes.append("shed")

        threads = [threading.Thread(target=send) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    assert len(outcomes) == 120
    assert outcomes.count("made") > 60


def test_a_stop_that_comes_while_a_child_is_started_again_still_drains(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        for role in ("engine", "sentry"):
            os.kill(server.pids()[role], signal.SIGKILL)
        time.sleep(0.05)

    assert server.process.returncode == 0


@pytest.mark.parametrize("stopped", ["supervisor", "engine", "sentry", "gateways"])
def test_a_process_that_is_stopped_and_goes_on_ends_nothing(tmp_path: Path, stopped: str) -> None:
    """Ctrl-Z and `fg` do that to the supervisor; its waits are half a second, so it is stopped for longer."""
    with running_server(tmp_path) as server, Client(server.listen, caller="stopped") as client:
        client.send(assign())
        pids = server.pids()
        held = pids[stopped] if stopped != "gateways" else pids[stopped][0]
        for _ in range(3):
            os.kill(held, signal.SIGSTOP)
            _until_state(held, "T")
            over = threading.Event()
            threading.Timer(1.2, over.set).start()
            over.wait()
            os.kill(held, signal.SIGCONT)
            client.send(assign())
        is_running, after = server.process.poll() is None, server.pids()

    assert is_running
    assert {name: after[name] for name in ("supervisor", "engine", "gateways")} == {
        name: pids[name] for name in ("supervisor", "engine", "gateways")
    }
    assert server.process.returncode == 0


def _until_state(pid: int, state: str) -> None:
    wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == state, 10, "stopped")


def _serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service.cli.main", "serve", *arguments],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("gateways", ["1", "2"])
def test_a_port_that_is_taken_ends_serve_with_a_sentence_and_5(tmp_path: Path, gateways: str) -> None:
    store = f"sqlite:///{tmp_path / 'other.db'}"
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        listening = _serve("--store", store, "--listen", f"127.0.0.1:{port}", "--gateways", gateways)
        measuring = _serve("--store", store, "--listen", "127.0.0.1:0", "--metrics-port", str(port - 1))

    for run, named in ((listening, port), (measuring, port)):
        assert run.returncode == 5
        assert f"can't listen on 127.0.0.1:{named}: Address already in use" in run.stderr
        assert "Traceback" not in run.stderr
    assert not (tmp_path / "other.db").exists()


def test_a_store_that_is_not_to_be_had_ends_serve_with_5(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all, but a text of some length" * 20)
    stores = [tmp_path / "text.db", tmp_path / "nowhere" / "at.db"]

    for store in stores:
        run = _serve("--store", f"sqlite:///{store}", "--listen", "127.0.0.1:0")
        assert run.returncode == 5, run.stderr
        assert "Traceback" not in run.stderr, run.stderr
        assert "store" in run.stderr
