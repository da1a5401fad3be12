"""Find the playbooks, hold each module to its declaration, and check released ones against their hashes.

Promises that a released version is the one that was released, bit by bit, and that a module which lacks a heading, a
constant or a sound parameter is refused with every mistake at once.
"""

import importlib.util
import inspect
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from playbooks.declaration import HEADINGS, PolicyVersion, Whole
from service.domain.errors import PlaybookNotFound
from service.domain.playbook import POLICY_VERSION, Parameter, Playbook, Safer

FOLDER: Final = Path(__file__).parent
RELEASED: Final = "released.toml"
FUNCTIONS: Final = ("admit", "choose_policy", "adjust_facts", "constrain")
CONSTANTS: Final[dict[str, type]] = {
    "NAME": str, "VERSION": int, "REPLACES": str, "APPROVALS": int, "TTL_SECONDS_MAX": int, "PRECEDENCE": int,
    "CONFLICTS": dict, "SIGNALS": tuple, "SAFER": Safer, "TEXTS": dict,
}  # fmt: skip
APPROVALS_MAX: Final = 2
TTL_SECONDS_LONGEST: Final = 31 * 24 * 3_600


class PlaybookBroken(Exception):
    """A playbook's module is not what it has to be; the message lists every mistake."""


class Registry:
    """Every version of every playbook of this build."""

    def __init__(self, playbooks: Mapping[tuple[str, int], Playbook]) -> None:
        self._playbooks = dict(sorted(playbooks.items()))
        joined = ",".join(f"{playbook.title}={playbook.content_hash}" for playbook in self._playbooks.values())
        self.content_hash = sha256(joined.encode()).hexdigest()

    def all(self) -> list[Playbook]:
        """Give every version, by name and version."""
        return list(self._playbooks.values())

    def find(self, name: str, version: int = 0) -> Playbook:
        """Give a version; 0: the newest released one that is not retired. Raises PlaybookNotFound."""
        if version:
            found = self._playbooks.get((name, version))
        else:
            found = next(
                (
                    playbook
                    for playbook in reversed(self._playbooks.values())
                    if playbook.name == name and playbook.is_released and not playbook.retired
                ),
                None,
            )
        if found is None:
            names = dict.fromkeys(playbook.name for playbook in self._playbooks.values())
            raise PlaybookNotFound(name, version, ", ".join(names))
        return found

    def texts(self) -> dict[str, Any]:
        """Give the customer texts of every playbook, by reason code."""
        return {code: text for playbook in self._playbooks.values() for code, text in playbook.texts.items()}


@cache
def load(folder: Path = FOLDER) -> Registry:
    """Read every module of a folder; raises PlaybookBroken with every mistake."""
    releases = released(folder)
    mistakes: list[str] = []
    found: dict[tuple[str, int], Playbook] = {}
    for path in modules(folder):
        title = f"{path.parent.name}/{path.stem}"
        content_hash = hash_of(path)
        release = releases.pop(title, None)
        if release is not None and release["sha256"] != content_hash:
            mistakes.append(f"{title}: released with another content; released versions never change, write the next")
        module = _imported(path)
        wrong = [f"{title}: {mistake}" for mistake in _mistakes(module, path)]
        mistakes += wrong
        if not wrong:
            playbook = _read(module, content_hash, release)
            found[playbook.name, playbook.version] = playbook
    mistakes += [f"{title}: released, but its module is gone" for title in releases]
    mistakes += _disagreements(list(found.values()))
    if mistakes:
        raise PlaybookBroken("\n".join(mistakes))
    return Registry(found)


def modules(folder: Path) -> Iterator[Path]:
    """Give the paths of all modules `<name>/v<N>.py`."""
    return (path for path in sorted(folder.glob("*/v*.py")) if re.fullmatch(r"v[1-9]\d*", path.stem))


def hash_of(path: Path) -> str:
    """Give the hash that a released module is held to."""
    return sha256(path.read_bytes()).hexdigest()


def released(folder: Path) -> dict[str, dict[str, str]]:
    """Read released.toml: title to hash and, where it is retired, why."""
    path = folder / RELEASED
    content = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {f"{name}/{version}": entry for name, versions in content.items() for version, entry in versions.items()}


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"playbooks.{path.parent.name}.{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def headings(docstring: str) -> dict[str, str]:
    """Take a docstring apart: the text under each heading."""
    parts = re.split(rf"^({'|'.join(map(re.escape, HEADINGS))}):\n", docstring, flags=re.MULTILINE)
    return {name: inspect.cleandoc("\n" + body).strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _mistakes(module: ModuleType, path: Path) -> Iterator[str]:
    docstring = inspect.getdoc(module) or ""
    if not docstring.split("\n", 1)[0].endswith("."):
        yield "the docstring starts with one sentence"
    said = headings(docstring)
    if list(said) != list(HEADINGS):
        yield f"the docstring needs the headings {', '.join(HEADINGS)}, in this order; it has {', '.join(said)}"
    yield from (f"nothing stands under {name}" for name, body in said.items() if not body)
    for name, kind in CONSTANTS.items():
        if not isinstance(getattr(module, name, None), kind):
            yield f"{name} is missing or no {kind.__name__}"
            return
    if (module.NAME, f"v{module.VERSION}") != (path.parent.name, path.stem):
        yield "NAME and VERSION are not those of the file"
    if not 0 <= module.APPROVALS <= APPROVALS_MAX:
        yield f"APPROVALS is 0 to {APPROVALS_MAX}"
    if not 0 < module.TTL_SECONDS_MAX <= TTL_SECONDS_LONGEST:
        yield f"TTL_SECONDS_MAX is 1 to {TTL_SECONDS_LONGEST}"
    if not any(callable(getattr(module, name, None)) for name in FUNCTIONS):
        yield f"it has none of the functions {', '.join(FUNCTIONS)}"
    for code, text in module.TEXTS.items():
        if not re.fullmatch(r"[A-Z0-9_]{1,48}", code) or not (text.zh and text.en):
            yield f"TEXTS[{code}] needs a code of [A-Z0-9_] and texts in both languages"
    if not hasattr(module, "Parameters"):
        yield "Parameters is missing"
        return
    for name, hint in get_type_hints(module.Parameters, include_extras=True).items():
        if get_origin(hint) is not Annotated or not isinstance(get_args(hint)[1], Whole | PolicyVersion):
            yield f"parameter {name} needs Annotated[int, Whole(…)] or Annotated[str, PolicyVersion(…)]"


def _read(module: ModuleType, content_hash: str, release: dict[str, str] | None) -> Playbook:
    docstring = inspect.getdoc(module) or ""
    defaults = module.Parameters._field_defaults
    parameters = tuple(
        _parameter(name, get_args(hint)[1], defaults.get(name))
        for name, hint in get_type_hints(module.Parameters, include_extras=True).items()
    )
    admit, choose_policy, adjust_facts, constrain = (getattr(module, name, None) for name in FUNCTIONS)
    return Playbook(
        module.NAME, module.VERSION, content_hash, release is not None, (release or {}).get("retired", ""),
        docstring.split("\n", 1)[0], MappingProxyType(headings(docstring)), module.REPLACES, module.APPROVALS,
        module.TTL_SECONDS_MAX, module.PRECEDENCE, MappingProxyType(module.CONFLICTS), module.SIGNALS, module.SAFER,
        parameters, module.Parameters, MappingProxyType(module.TEXTS), admit, choose_policy, adjust_facts, constrain,
    )  # fmt: skip


def _parameter(name: str, declared: Whole | PolicyVersion, default: int | str | None) -> Parameter:
    if isinstance(declared, PolicyVersion):
        return Parameter(name, POLICY_VERSION, declared.about, 0, 0, default)
    return Parameter(name, declared.unit, declared.about, declared.lowest, declared.highest, default)


def _disagreements(found: list[Playbook]) -> Iterator[str]:
    """Give what modules say otherwise than each other: texts of one reason code, conflicts on one side only."""
    texts: dict[str, tuple[str, Any]] = {}
    names = {playbook.name for playbook in found}
    for playbook in found:
        for code, text in playbook.texts.items():
            title, first = texts.setdefault(code, (playbook.title, text))
            if first != text:
                yield f"{playbook.title}: {code} has another text than in {title}"
        for other in playbook.conflicts:
            if other not in names:
                yield f"{playbook.title}: conflicts with {other}, which doesn't exist"
            elif not all(playbook.name in one.conflicts for one in found if one.name == other):
                yield f"{playbook.title}: {other} must name the conflict, too"
        if playbook.replaces and playbook.replaces not in {one.title for one in found}:
            yield f"{playbook.title}: replaces {playbook.replaces}, which doesn't exist"
