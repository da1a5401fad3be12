"""The house rules that no linter knows."""

import ast
import re
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from holdline.v1 import error_reason_pb2

from service import bootstrap, telemetry
from service.domain import errors
from service.engine.ports.codec import Call
from service.rpc.methods import INDEX_OF, METHODS, Shape
from service.rpc.status import _CODES
from tests.builders import settings, sqlite
from tests.service.wire import assign

ROOT = Path(__file__).resolve().parents[2]
OURS = [
    path
    for folder in ("service", "playbooks", "loadtests", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "node_modules" not in path.parts
]
BLIND_EDGES = {
    "service/engine/process.py": 4,
    "service/engine/beside.py": 1,
    "service/forked.py": 1,
    "tests/simulation/world.py": 1,
}
"""Where `except Exception` may stand, and how often: the outermost edges of a call, a process, and a simulated run."""


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_blind_excepts_stand_at_the_outermost_edges_only() -> None:
    found = {}
    for path in OURS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        blind = sum(
            isinstance(node, ast.ExceptHandler)
            and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
            for node in ast.walk(tree)
        )
        if blind:
            found[_name(path)] = blind

    assert found == BLIND_EDGES


def test_every_ignored_type_error_has_its_reason() -> None:
    bare = [
        f"{_name(path)}:{number}"
        for path in OURS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"# type: ignore\[[^\]]+\]\s*$", line)
    ]

    assert bare == []


def test_files_and_functions_stay_short() -> None:
    long = []
    for path in OURS:
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > 400:
            long.append(f"{_name(path)} has {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno - len(ast.get_docstring(node) or "").__bool__()
                bound = 50 if "domain" in path.parts else 70
                if lines > bound and "strategies" not in path.name:
                    long.append(f"{_name(path)}: {node.name} has {lines} lines")

    assert long == []


def test_every_module_says_what_it_is_for() -> None:
    assert [_name(path) for path in OURS if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))] == []


def test_every_rpc_of_the_contract_is_served() -> None:
    contract = {
        f"/{service.full_name}/{method.name}"
        for path in (ROOT / "protos" / "holdline" / "v1").glob("*_service.proto")
        for service in import_module(f"holdline.v1.{path.stem}_pb2").DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }

    assert contract == {method.path for method in METHODS if method.shape is not Shape.INTERNAL}


def test_every_error_has_a_reason_in_the_contract_and_a_status() -> None:
    def leaves(kind: type[errors.HoldlineError]) -> list[type[errors.HoldlineError]]:
        below = kind.__subclasses__()
        return [kind] if not below else [leaf for child in below for leaf in leaves(child)]

    reasons = {leaf.reason for leaf in leaves(errors.HoldlineError)}
    known = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.keys()}  # noqa: SIM118 - an enum wrapper.

    assert reasons <= known
    assert known - reasons - {"UNSPECIFIED"} <= {"INVALID_REQUEST"}
    assert all(any(kind in _CODES for kind in leaf.__mro__) for leaf in leaves(errors.HoldlineError))


def test_a_decide_passes_the_files_of_the_map_in_their_order(tmp_path: Path) -> None:
    store = sqlite(tmp_path / "holdline.db")
    engine = bootstrap.make_engine(store, settings(), telemetry.engine_meters(None))
    call = Call(INDEX_OF["/holdline.v1.LimitService/Decide"], "t", 1 << 62, "", assign().SerializeToString())
    map_of_the_code = [
        "engine/process.py", "rpc/limits.py", "engine/execute.py", "storage/sqlite/store.py", "domain/decide.py",
        "domain/scorecard.py",
    ]  # fmt: skip
    seen: list[str] = []

    def trace(frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_code.co_filename
        found = next((part for part in map_of_the_code if name.endswith(f"service/{part}")), None)
        if event == "call" and found and found not in seen:
            seen.append(found)

    sys.setprofile(trace)
    try:
        dict(engine.answers([call], 0))
    finally:
        sys.setprofile(None)
    store.close()

    assert seen == map_of_the_code


def test_no_machine_path_or_registry_host_is_written_down() -> None:
    texts = [
        path for pattern in ("*.md", "*.toml", "*.yaml", "Makefile", "*.lock", ".ci/run") for path in ROOT.glob(pattern)
    ]
    texts += [path for path in ROOT.glob("*/**/*.md") if ".venv" not in path.parts and "node_modules" not in path.parts]
    banned = re.compile("|".join(("/wo" + "rk/", "pypi" + r"\.org", "python" + "hosted", "registry" + r"\.npmjs")))

    assert [_name(path) for path in texts if banned.search(path.read_text(encoding="utf-8"))] == []
