"""Make a new playbook's folder, and release a version.

Promises that a new module passes the registry as it stands, as a draft that changes nothing until it is mended, and
that a released version is never written again.
"""

import re
from pathlib import Path
from typing import Final

from playbooks.pages import pages
from playbooks.registry import FOLDER, RELEASED, hash_of, load, released

TEMPLATE: Final = '''"""Say in one sentence what it does.

Symptoms:
    What on-call sees.
Use when:
    When it is the right thing.
Don't use when:
    When something else is.
Customers see:
    What they notice.
Check first:
    What to look at before.
It worked when:
    What shows that it works.
To leave:
    How to get back to normal.
"""

from typing import Final, NamedTuple

from playbooks.declaration import ground
from service.domain.decision import Outcome, Verdict
from service.domain.playbook import Safer, Situation
from service.domain.policy import Text

NAME: Final = "{name}"
VERSION: Final = 1
REPLACES: Final = ""
APPROVALS: Final = 1
TTL_SECONDS_MAX: Final = 24 * 3_600
PRECEDENCE: Final = 60
CONFLICTS: Final[dict[str, str]] = {{}}
SIGNALS: Final[tuple[str, ...]] = ()
SAFER: Final = Safer.LESS_MOVEMENT
REASON: Final = "{reason}"
TEXTS: Final = {{REASON: Text("请填写。", "Say it to the customer.", "", "")}}
GROUND: Final = ground("{name}/v1", REASON, "say what it asks for")


class Parameters(NamedTuple):
    """None yet: Annotated[int, Whole(lowest, highest, "unit", "about")] = default."""


def constrain(_: Parameters, case: Situation, verdict: Verdict) -> Verdict:
    """Leave the limit as it is; mend this."""
    if verdict.new_limit_minor == case.standing.limit_minor:
        return verdict
    return Verdict(Outcome.REFERRED, case.standing.limit_minor, verdict.points, (GROUND,), 0)
'''

TEST: Final = '''"""{name}: what it changes of a good customer's raise.

That it is safe is proven in tests/proof/test_playbooks.py, for every playbook there is.
"""

from playbooks import registry
from service.domain.decide import judge_in
from service.domain.decision import Kind, Outcome
from service.domain.mode import EVERYBODY, Measure, composed
from tests.builders import NOW, policy, standing


def test_a_raise_is_referred() -> None:
    playbook = registry.load().find("{name}", 1)
    mode = composed([Measure("A1@{name}/v1", 1, EVERYBODY, playbook.make_parameters(), playbook)], {{}})

    judged = judge_in(mode, Kind.RAISE, "a-1", "revolving", standing(), policy(), NOW)

    assert judged.verdict.outcome is Outcome.REFERRED
'''


def new(name: str, folder: Path = FOLDER) -> Path:
    """Make a playbook's folder and give it; raises ValueError for a name that can't be or is taken."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,47}", name):
        raise ValueError(f"{name}: use 1 to 48 characters of [a-z0-9_], a letter first")
    target = folder / name
    if target.exists():
        raise ValueError(f"{target.name} exists; write its next version beside the others")
    target.mkdir()
    values = {"name": name, "reason": name.upper()}
    (target / "__init__.py").write_text(
        f'"""Playbook {name}; its page stands beside its module."""\n', encoding="utf-8"
    )
    (target / "v1.py").write_text(TEMPLATE.format(**values), encoding="utf-8")
    (target / f"test_{name}.py").write_text(TEST.format(**values), encoding="utf-8")
    load.cache_clear()
    (target / "README.md").write_text(pages(load(folder), folder)[target / "README.md"], encoding="utf-8")
    return target


def release(title: str, folder: Path = FOLDER) -> None:
    """Write a version's hash into released.toml; raises ValueError where there is none, or it was released."""
    path = folder / f"{title}.py"
    if not re.fullmatch(r"[a-z][a-z0-9_]*/v[1-9]\d*", title) or not path.exists():
        raise ValueError(f"{title}: no such version; name one as cap_growth/v2")
    known = released(folder)
    if title in known:
        raise ValueError(f"{title} is released; write the next version")
    load.cache_clear()
    load(folder)
    known[title] = {"sha256": hash_of(path)}
    lines = ["# SHA-256 of each released module; a test fails where file and hash differ."]
    name = ""
    for entry, facts in sorted(known.items(), key=lambda item: (item[0].split("/")[0], int(item[0].split("/v")[1]))):
        if entry.split("/")[0] != name:
            name = entry.split("/")[0]
            lines += ["", f"[{name}]"]
        written = ", ".join(f'{key} = "{value}"' for key, value in facts.items())
        lines.append(f"{entry.split('/')[1]} = {{ {written} }}")
    (folder / RELEASED).write_text("\n".join(lines) + "\n", encoding="utf-8")
    load.cache_clear()
