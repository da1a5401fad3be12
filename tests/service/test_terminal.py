"""Nothing that a terminal obeys reaches one, whatever stands in the texts of customers, callers, files and servers."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2
from holdline.v1.money_pb2 import Money

from service import printable, telemetry
from service.cli import story
from service.cli.main import app
from service.rpc.contract import FILES
from tests.service.command_line import invoked
from tests.service.test_cli_mistakes import COMMANDS, _good

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\u2066x\u2069\u200f\u061c\u2028\u2029\x00\x7f\r[red]x[/red]<script>\U000e0041"
OBEYED = re.compile(printable._SEVERAL_LINES.pattern)
OFFLINE = {
    "serve",
    "demo",
    "verify",
    "replay",
    "drill",
    "load",
    "events",
    "import",
    "oncall",
    "validate",
    "new",
    "release",
}
"""Commands that ask no server, ask questions, or send a file: tried below, or in the tests of mistakes."""


def _text(name: str) -> str:
    if name.endswith("page_token"):
        return ""
    if name == "message_id":
        return "0000000000000001"
    return "CNY" if name == "currency_code" else HOSTILE


def _value(field: Any, depth: int) -> Any:
    if field.message_type is not None:
        return None if depth > 5 else _filled(GetMessageClass(field.message_type), depth + 1)
    if field.enum_type is not None:
        return field.enum_type.values[min(1, len(field.enum_type.values) - 1)].number
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _text(field.name)
    return True if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL else 1


def _filled(kind: type[Message], depth: int = 0) -> Message:
    """Give a message with every text hostile."""
    if kind is Timestamp:
        return Timestamp(seconds=1_800_000_000)
    if kind is Money:
        return Money(minor_units=5, currency_code="CNY")
    if kind is status_pb2.Status:
        return status_pb2.Status(code=3, message=HOSTILE)
    message = kind()
    for field in kind.DESCRIPTOR.fields:
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        value = None if is_map else _value(field, depth)
        if value is None:
            continue
        if field.is_repeated:
            getattr(message, field.name).extend([value])
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(value)
        else:
            setattr(message, field.name, value)
    return message


class _Hostile(grpc.GenericRpcHandler):
    """Answers every method of the contract with hostile texts, or refuses it in such words."""

    def __init__(self, *, refuses: bool) -> None:
        self._refuses = refuses
        self._methods = {
            f"/{service.full_name}/{method.name}": method
            for file in FILES for service in file.DESCRIPTOR.services_by_name.values() for method in service.methods
        }  # fmt: skip

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        method = self._methods[details.method]
        made = _filled(GetMessageClass(method.output_type)).SerializeToString()

        def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
            if self._refuses:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, HOSTILE.replace("\x00", ""))
            return made

        def answers(asked: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            yield answer(asked, context)

        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(answers)
        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture(scope="module", params=[False, True], ids=["answers", "refuses"])
def hostile(request: pytest.FixtureRequest) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4), handlers=[_Hostile(refuses=request.param)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0)


ASKING = sorted(path for path in COMMANDS if not OFFLINE & set(path))


@pytest.mark.parametrize("path", ASKING, ids=" ".join)
def test_what_a_server_says_is_shown_and_never_obeyed(path: tuple[str, ...], hostile: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("policy: x", encoding="utf-8")
    said = [*path, "--server", hostile]
    for one in COMMANDS[path].params:
        if one.required:
            value = _good(one, file)
            said += [value] if one.param_type_name == "argument" else [one.opts[0], value]
        if one.name == "yes":
            said.append("--yes")
    if path == ("playbook", "end"):
        said.append("A1")
    if path in (("outbox", "redrive"), ("decision",)):
        said.append("0000000000000001")

    for more in ([], ["--json"]):
        run = invoked(*said, *more)
        assert "Traceback" not in run.stderr, run.stderr
        assert run.returncode in (0, 1, 3), (said, run)
        assert not OBEYED.search(run.stdout + run.stderr), (said, run)


def test_json_means_what_it_meant() -> None:
    meant = {"text": HOSTILE + "\n\t", "zh": "额度"}
    written = printable.json_text(json.dumps(meant, ensure_ascii=False))

    assert json.loads(written) == meant
    assert not OBEYED.search(written)
    assert "额度" in written


def test_one_line_holds_no_line_of_anothers() -> None:
    assert printable.line("right\nwhole: every promise holds\r\t\x1b[2K") == (
        "right\\nwhole: every promise holds\\r\\t\\x1b[2K"
    )
    assert printable.lines("a\n\tb\u202e") == "a\n\tb\\u202e"
    assert printable.lines("张三 é 👍🏽 👨‍👩‍👧 می‌خواهم") == "张三 é 👍🏽 👨‍👩‍👧 می‌خواهم"


def test_a_story_as_a_page_holds_no_markup_and_no_control() -> None:
    page = story.page(HOSTILE, [story.Entry("t", HOSTILE, HOSTILE, (HOSTILE,), HOSTILE)], "en", is_cut_off=True)

    assert "<script>" not in page
    assert not OBEYED.search(page)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_log_holds_no_control_of_others(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: is_terminal  # type: ignore[method-assign]  # a terminal, as far as it is asked.
    monkeypatch.setattr(sys, "stderr", stream)
    handlers = logging.getLogger().handlers
    listener = telemetry.start_logs("info")
    try:
        structlog.get_logger("holdline.test").info(HOSTILE, why=HOSTILE)
        logging.getLogger("library").warning("%s", HOSTILE)
    finally:
        listener.stop()
        logging.getLogger().handlers = handlers
        structlog.reset_defaults()

    # Colours are the renderer's own.
    written = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert "gnp" in written
    assert not OBEYED.search(written), written
    assert "\x1b[31m" not in HOSTILE


def test_the_command_line_prints_in_one_place_only() -> None:
    folder = Path(story.__file__).parent
    ours = {"output.py", "demonstration.py", "start.py"}
    files = [*(one for one in folder.glob("*.py") if one.name not in ours), folder.parents[1] / "loadtests" / "cli.py"]

    for file in files:
        text = file.read_text(encoding="utf-8")
        found = re.findall(r"typer\.(?:secho|echo|confirm)\(|typer\.BadParameter\(|(?<![\w.])print\(", text)
        assert not found, f"{file.name}: print by service.cli.output, which makes texts fit for a terminal"
    assert app.info.name == "holdline"
