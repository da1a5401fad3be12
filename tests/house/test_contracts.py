"""The import contracts cover every package, and CONTRIBUTING's map is the tree."""

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MAPPED = ("service", "protos", "playbooks", "tests")
UNMAPPED = frozenset(("__init__.py", "__pycache__", "README.md", "node_modules"))


def _parts(folder: str) -> set[str]:
    """Name the modules and packages of a folder."""
    found = (ROOT / folder).iterdir()
    return {
        path.stem
        for path in found
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    }


def _contracts() -> dict[str, dict[str, Any]]:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {one["name"]: one for one in content["tool"]["importlinter"]["contracts"]}


def test_every_part_of_the_service_has_its_layer() -> None:
    layers = _contracts()["Each part of the service knows only those below it"]["layers"]

    assert {name.strip() for layer in layers for name in layer.split("|")} == _parts("service")


def test_playbooks_are_kept_from_every_part_but_the_domain() -> None:
    forbidden = set(_contracts()["Playbooks know the domain only"]["forbidden_modules"])

    assert {f"service.{name}" for name in _parts("service") - {"domain"}} <= forbidden


def test_load_tests_name_what_they_may_use_of_the_service() -> None:
    forbidden = set(_contracts()["Load tests speak to the service over the wire only"]["forbidden_modules"])
    allowed = {"cli", "exit_codes", "held_port", "local_server", "printable", "private_file", "run_folder", "ulimits"}

    assert {f"service.{name}" for name in _parts("service") - allowed} <= forbidden


def _mapped() -> dict[str, list[str]]:
    """Read CONTRIBUTING's map: of each folder the names in its lines, each line with a sentence."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = text.partition("<!-- map -->\n```\n")[2].partition("```")[0]
    folders: dict[str, list[str]] = {}
    for line in block.splitlines():
        if not line.startswith(" "):
            names = folders[line.rstrip("/")] = []
            continue
        named, _, sentence = line.strip().partition("   ")
        assert sentence, line
        names += named.split()
    return folders


def test_the_map_of_contributing_is_the_tree() -> None:
    mapped = _mapped()

    assert mapped, "CONTRIBUTING.md has no map"
    for folder, names in mapped.items():
        there = {
            path.name + ("/" if path.is_dir() else "")
            for path in (ROOT / folder).iterdir()
            if path.name not in UNMAPPED and not path.name.startswith(".")
        }
        assert sorted(names) == sorted(there), folder
    assert set(MAPPED) <= set(mapped)
