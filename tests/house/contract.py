"""The contract's own checks: stubs generated and fresh, buf lint and breaking change clean, generated files fresh.

Promises that `check` fails when a committed file differs from what its source generates. `python -m
tests.house.contract generate | documents | release` write what `check` compares.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

from playbooks import pages, registry
from service import settings
from service.policies import document
from tests.house import annotations, currencies

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ROOT / "protos"
RELEASED = PROTOS / "released.binpb"
"""Descriptor image of the contract as last released; the breaking-change check compares against it."""


def main() -> int:
    """Run the command named on the command line and give the exit code."""
    command = sys.argv[1] if len(sys.argv) > 1 else "check"
    if command == "generate":
        for path, text in annotated_protos().items():
            path.write_text(text, encoding="utf-8")
        generate(PROTOS)
    elif command == "documents":
        for path, text in documents().items():
            path.write_text(text, encoding="utf-8")
    elif command == "release":
        RELEASED.write_bytes(image())
    else:
        mistakes = [*stale_stubs(), *stale_documents(), *lint(image()), *breaking(image())]
        print("\n".join(mistakes) or "contract: stubs, schema and settings fresh; buf lint and breaking clean")
        return 1 if mistakes else 0
    return 0


def _protoc(protos: Path, *arguments: str, pattern: str = "*.proto") -> None:
    includes = (protos, Path(grpc_tools.__file__).parent / "_proto", protos / "vendored")
    sources = sorted(str(path.relative_to(protos)) for path in protos.glob(f"holdline/v1/{pattern}"))
    # protoc looks for its mypy plug-ins on the PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    code = protoc.main(["protoc", *(f"-I{include}" for include in includes), *arguments, *sources])
    if code:
        raise SystemExit(f"protoc ended with {code}")


def generate(folder: Path) -> None:
    """Generate stubs and type stubs into a folder."""
    _protoc(PROTOS, f"--python_out={folder}", f"--mypy_out={folder}")
    _protoc(PROTOS, f"--grpc_python_out={folder}", f"--mypy_grpc_out={folder}", pattern="*_service.proto")


def image(protos: Path = PROTOS) -> bytes:
    """Give the contract's descriptor image, with imports and comments."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "image.binpb"
        _protoc(protos, "--include_imports", "--include_source_info", f"--descriptor_set_out={target}")
        return target.read_bytes()


def stale_stubs() -> list[str]:
    """Give the committed stubs that differ from what the protos generate."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        names = {path.relative_to(fresh) for path in fresh.rglob("*_pb2*")}
        committed = {path.relative_to(PROTOS) for path in PROTOS.rglob("*_pb2*") if "__pycache__" not in path.parts}
        differing = {name for name in names & committed if (fresh / name).read_bytes() != (PROTOS / name).read_bytes()}
        return [f"protos/{name}: stale, run make stubs" for name in sorted(differing | (names ^ committed))]


def documents() -> dict[Path, str]:
    """Give the generated documents and their texts."""
    return {
        ROOT / "service" / "policies" / "schema.json": document.json_schema(),
        ROOT / "service" / "SETTINGS.md": settings.reference(),
        ROOT / "service" / "domain" / "currencies.py": currencies.module(),
        **pages.pages(registry.load()),
        **annotated_protos(),
    }


def annotated_protos() -> dict[Path, str]:
    """Give the contract's files with what the code's tables know of each RPC."""
    files = sorted((PROTOS / "holdline" / "v1").glob("*_service.proto"))
    return {path: annotations.annotated(path.read_text(encoding="utf-8")) for path in files}


def stale_documents() -> list[str]:
    """Give the generated documents that differ from their sources."""
    return [
        f"{path.relative_to(ROOT)}: stale, run make schema, or make stubs"
        for path, text in documents().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def lint(contract: bytes) -> list[str]:
    """Give what buf's lint has against a descriptor image."""
    return _buf("lint", contract, "--path", "holdline")


def breaking(contract: bytes, released: Path = RELEASED) -> list[str]:
    """Give what a descriptor image breaks of the released one."""
    return _buf("breaking", contract, "--against", f"{released}#format=binpb", "--path", "holdline")


def _buf(command: str, contract: bytes, *arguments: str) -> list[str]:
    buf = Path(sys.executable).parent / "buf"
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "image.binpb"
        target.write_bytes(contract)
        config = PROTOS / "buf.yaml"
        run = subprocess.run(
            [buf, command, f"{target}#format=binpb", "--config", str(config), *arguments],
            capture_output=True, text=True, check=False, cwd=folder, timeout=120,
        )  # fmt: skip
    found = (run.stdout + run.stderr).strip().splitlines()
    if run.returncode and not found:
        return [f"buf {command} ended with {run.returncode}"]
    return found


if __name__ == "__main__":
    raise SystemExit(main())
