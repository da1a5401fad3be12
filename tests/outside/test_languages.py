"""Anybody builds the contract from a fresh clone: with buf alone, into TypeScript, and with Debian's plugins Go and Java."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PROTOS: Final = ROOT / "protos"
TYPESCRIPT: Final = Path(__file__).parent / "typescript"
BUF: Final = Path(sys.executable).parent / "buf"
JAVA_PLUGIN: Final = "grpc_java_plugin"
NEITHER: Final = "not here; buf and TypeScript build the same files"


def _run(*command: str | Path, cwd: Path) -> str:
    ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=180)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_folder_of_the_protos_builds_by_itself(tmp_path: Path) -> None:
    alone = tmp_path / "elsewhere"
    shutil.copytree(PROTOS, alone, ignore=shutil.ignore_patterns("*.py", "*.pyi", "__pycache__"))

    _run(BUF, "build", "elsewhere", "--disable-symlinks", cwd=tmp_path)
    _run(BUF, "lint", "elsewhere", cwd=tmp_path)


@pytest.mark.skipif(shutil.which("npm") is None, reason=f"no Node; {NEITHER}")
def test_a_strict_typescript_caller_compiles(tmp_path: Path) -> None:
    shutil.copytree(
        TYPESCRIPT, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules", "generated")
    )
    _run("npm", "ci", "--no-fund", "--no-audit", cwd=tmp_path)

    _run(BUF, "generate", PROTOS, "--template", "buf.gen.yaml", cwd=tmp_path)
    _run("node_modules/.bin/tsc", cwd=tmp_path)

    caller = tmp_path / "caller.ts"
    caller.write_text(caller.read_text(encoding="utf-8").replace("decision?.newLimit", "decision.newLimit"), "utf-8")
    strict = subprocess.run(["node_modules/.bin/tsc"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "possibly 'undefined'" in strict.stdout, "a caller that forgets an absent message is told"


def _protoc(tmp_path: Path, *arguments: str) -> list[str]:
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("holdline/v1/*.proto"))
    _run("protoc", f"-I{PROTOS}", f"-I{PROTOS / 'vendored'}", *arguments, *sources, cwd=tmp_path)
    return sorted(path.name for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("protoc", "protoc-gen-go", "protoc-gen-go-grpc")),
    reason=f"protoc with its plugins for Go: {NEITHER}",
)
def test_go_is_generated(tmp_path: Path) -> None:
    written = _protoc(tmp_path, f"--go_out={tmp_path}", f"--go-grpc_out={tmp_path}")

    assert {"limit_service.pb.go", "limit_service_grpc.pb.go", "decision.pb.go"} <= set(written)
    limits = next(tmp_path.rglob("limit_service.pb.go")).read_text(encoding="utf-8")
    assert "\npackage holdlinev1\n" in limits


@pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("protoc", JAVA_PLUGIN)),
    reason=f"protoc with its plugin for Java: {NEITHER}",
)
def test_java_is_generated(tmp_path: Path) -> None:
    plugin = f"--plugin=protoc-gen-grpc-java={shutil.which(JAVA_PLUGIN)}"
    written = _protoc(tmp_path, plugin, f"--java_out={tmp_path}", f"--grpc-java_out={tmp_path}")

    assert {"LimitServiceGrpc.java", "Decision.java", "DecideRequest.java"} <= set(written)
    decision = next(tmp_path.rglob("Decision.java")).read_text(encoding="utf-8")
    assert "package dev.holdline.v1;" in decision
