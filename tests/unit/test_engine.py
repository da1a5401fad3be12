"""The engine process in one process: deadlines, bugs of one command, bounds of a commit, frames."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import structlog
from google.rpc import status_pb2
from holdline.v1 import limit_service_pb2

from service import bootstrap, telemetry
from service.domain import decide as rules
from service.engine import execute, frames, process
from service.engine.ports.codec import Answer, Call
from service.engine.process import Engine
from service.rpc.methods import INDEX_OF
from service.storage.sqlite.store import SqliteStore
from service.storage.verify import verify
from service.telemetry import account_hash
from tests.builders import settings, sqlite
from tests.service.wire import assign

DECIDE = INDEX_OF["/holdline.v1.LimitService/Decide"]
LATER = 1 << 62


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = sqlite(tmp_path / "holdline.db")
    yield opened
    opened.close()


@pytest.fixture
def engine(store: SqliteStore) -> Engine:
    return bootstrap.make_engine(store, settings(commands_per_commit_max=3), telemetry.engine_meters(None))


def _call(deadline_us: int = LATER, account_id: str = "") -> Call:
    request = assign(account_id=account_id) if account_id else assign()
    return Call(DECIDE, "tests", deadline_us, "", request.SerializeToString())


def _answers(engine: Engine, calls: list[Call], now_us: int = 0) -> list[Answer]:
    found = dict(engine.answers(calls, now_us))
    return [found[position] for position in range(len(calls))]


def _code(answer: Answer) -> int:
    assert answer.code == (status_pb2.Status.FromString(answer.body).code if answer.code else 0)
    return answer.code


def test_an_expired_call_is_dropped_and_its_neighbours_are_decided(engine: Engine, store: SqliteStore) -> None:
    answers = _answers(engine, [_call(), _call(deadline_us=1_000), _call()], now_us=1_000)

    assert [_code(answer) for answer in answers] == [0, grpc.StatusCode.DEADLINE_EXCEEDED.value[0], 0]
    assert verify(store).decisions == 2


def test_more_commands_than_a_commit_takes_are_decided_in_several(engine: Engine, store: SqliteStore) -> None:
    answers = _answers(engine, [_call() for _ in range(10)])

    assert {_code(answer) for answer in answers} == {0}
    assert verify(store).decisions == 10


def test_a_bug_met_by_one_command_answers_internal_to_that_one_alone(
    engine: Engine, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listener = telemetry.start_logs("info")
    # One that a test before has used keeps how logs were written then.
    monkeypatch.setattr(process, "log", structlog.get_logger("holdline.engine"))

    def buggy(command: object, account: object, *rest: object) -> object:
        if getattr(account, "account_id", "") == "cursed-account":
            raise ZeroDivisionError
        return rules.decide(command, account, *rest)  # type: ignore[arg-type]  # passed through.

    monkeypatch.setattr(execute, "decide", buggy)
    answers = _answers(engine, [_call(), _call(account_id="cursed-account"), _call()])
    listener.stop()
    logging.getLogger().handlers.clear()

    assert [_code(answer) for answer in answers] == [0, grpc.StatusCode.INTERNAL.value[0], 0]
    assert verify(store).decisions == 2
    told = capsys.readouterr().err
    assert "cursed-account" not in told
    record = json.loads(told.splitlines()[-1])
    assert (record["event"], record["account"]) == ("command failed", account_hash("cursed-account"))
    assert record["request_id"]


def test_frames_are_put_together_again_from_any_pieces() -> None:
    sent = [_call(), _call()]
    stream = frames.frame(sent) + frames.frame(sent[:1])
    buffer = bytearray()
    received = []

    for position in range(0, len(stream), 7):
        buffer += stream[position : position + 7]
        received += [frames.calls(body) for body in frames.split(buffer)]

    assert received == [sent, sent[:1]]
    assert frames.answers(frames.split(bytearray(frames.frame([Answer(0, b"x")])))[0]) == [Answer(0, b"x")]


def test_a_frame_longer_than_either_end_sends_is_refused() -> None:
    with pytest.raises(frames.FrameBroken):
        frames.split(bytearray((frames.FRAME_BYTES_MAX + 1).to_bytes(4, "big")))


def test_a_replay_costs_no_decision(engine: Engine, store: SqliteStore) -> None:
    call = _call()

    first, second = (_answers(engine, [call])[0] for _ in range(2))

    assert limit_service_pb2.DecideResponse.FromString(second.body).replayed
    assert second.body == first.body + b"\x18\x01"
    assert verify(store).decisions == 1
