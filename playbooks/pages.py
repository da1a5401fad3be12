"""Write what on-call reads: a page beside each playbook and the way from symptom to playbook, from the docstrings.

Promises that pages can't drift: the house check writes them anew and compares.
"""

from pathlib import Path

from playbooks.declaration import HEADINGS
from playbooks.registry import FOLDER, Registry
from service.domain.playbook import Parameter, Playbook

INDEX_HEAD = """# For who is on call

Something is wrong with decisions. You don't need to know why yet. Three steps, each safe:

```bash
.venv/bin/holdline mode                                 # what is in force now, and what the guards see
.venv/bin/holdline playbook preview freeze_reductions   # what it would have changed; writes nothing
.venv/bin/holdline oncall --help                        # or let it ask you: symptom, preview, activate
```

Every playbook has an end time and lapses by itself. Ending one early is one command. Nothing here is lost by trying a
preview.

## From symptom to playbook

| what you see | playbook |
| --- | --- |
"""

INDEX_TAIL = """
## How they compose

Playbooks take effect in ascending precedence; the greatest has the last word. The same playbook can't be active twice
where scopes overlap; conflicts are refused with their reason.

| precedence | playbook | approvals | longest | it is safer because |
| --- | --- | --- | --- | --- |
"""

INDEX_END = """
## Rehearse

```bash
.venv/bin/holdline drill                # the incidents that can be rehearsed
.venv/bin/holdline drill bureau-zeros   # one of them, on a private copy, in seconds
```

A drill injects an incident into live synthetic traffic, lets guards and a scripted on-call answer, and prints when it
was injected, detected, answered and stopped, counted in decisions, with the customers hurt before and after.

## What watches

Guards hold what the service sees of its own decisions against a learned baseline: rates of cuts, raises, refusals and
first limits; distributions of every fact, of scores, and of the age of behaviour facts; errors and commit times. Each
recommends a playbook; with `guards_activate` one acts by itself, for minutes, never against what a person has put in
force or ended. `holdline mode` shows them. The growth brake and the dead man's switch act outside any policy; the
operator's page ([service/](../service/README.md)) has their settings.

## Adding one

`holdline playbook new NAME` makes a folder here with a module, its page and its test. Until it is released
(`holdline playbook release NAME/v1` writes its hash into `released.toml`) it can't be activated. A released version
never changes: the next one is `v2.py` beside it, and decisions and activations keep naming the version they came by.
To retire a version, add `retired = "why"` to its line in `released.toml`: what is active stays, new activations are
refused, old decisions still replay.

This page and those in the folders are generated from the modules (`make schema`).
"""


def pages(registry: Registry, folder: Path = FOLDER) -> dict[Path, str]:
    """Give every page by its path."""
    newest: dict[str, list[Playbook]] = {}
    for playbook in registry.all():
        newest.setdefault(playbook.name, []).insert(0, playbook)
    return {
        folder / "README.md": index(list(newest.values())),
        **{folder / name / "README.md": page(versions) for name, versions in newest.items()},
    }


def index(newest: list[list[Playbook]]) -> str:
    """Write the way from symptom to playbook."""
    first = [versions[0] for versions in newest]
    symptoms = [
        f"| {_line(one.headings['Symptoms'])} | [{one.name}]({one.name}/README.md): {one.summary} |" for one in first
    ]
    order = [
        f"| {one.precedence} | {one.title} | {one.approvals or '–'} | {hours(one.ttl_seconds_max)} |"
        f" {one.safer.value} |"
        for one in sorted(first, key=lambda one: one.precedence)
    ]
    return INDEX_HEAD + "\n".join(symptoms) + "\n" + INDEX_TAIL + "\n".join(order) + "\n" + INDEX_END


def page(versions: list[Playbook]) -> str:
    """Write a playbook's page: the newest version first, and how earlier ones differ."""
    newest = versions[0]
    parts = [f"# {newest.name}", "", newest.summary, "", "## First three commands", "", "```bash"]
    parts += [f".venv/bin/{command}" for command in commands(newest)]
    parts += ["```", ""]
    for name in HEADINGS:
        parts += [f"## {name}", "", newest.headings[name], ""]
    parts += [*_facts(newest), *(line for old in versions[1:] for line in ["", *_facts(old)]), ""]
    parts.append("Generated from the module beside this page.")
    return "\n".join(parts) + "\n"


def commands(playbook: Playbook) -> tuple[str, str, str]:
    """Give the first three commands, as they are typed."""
    given = "".join(
        f" --set {parameter.name}=reference-2026-2" for parameter in playbook.parameters if parameter.is_policy
    )
    return (
        f"holdline playbook preview {playbook.name}{given}",
        f'holdline playbook activate {playbook.name}{given} --product revolving --minutes 30 --reason "why" --yes',
        "holdline mode",
    )


def _facts(playbook: Playbook) -> list[str]:
    approvals = {0: "nobody else", 1: "one other person", 2: "two other people"}[playbook.approvals]
    alone = " When nobody answers, `--break-glass` puts it in force at once and tells everybody."
    lines = [
        f"## {playbook.title}" + (f", retired: {playbook.retired}" if playbook.retired else ""), "",
        f"Approved by {approvals}; at most {hours(playbook.ttl_seconds_max)}; precedence {playbook.precedence}."
        + (f" Replaces {playbook.replaces}." if playbook.replaces else ""),
        f"Safer, because {playbook.safer.value}." + (alone if playbook.approvals else ""),
    ]  # fmt: skip
    lines += [f"Not beside {other}: {why}." for other, why in playbook.conflicts.items()]
    if playbook.parameters:
        lines += ["", "| parameter | unit and range | default | what it is |", "| --- | --- | --- | --- |"]
        lines += [
            f"| `{one.name}` | {span(one)} | {'needed' if one.default is None else one.default} | {one.about} |"
            for one in playbook.parameters
        ]
    return lines


def span(parameter: Parameter) -> str:
    """Write a parameter's unit and range."""
    return parameter.unit if parameter.is_policy else f"{parameter.unit}, {parameter.lowest} to {parameter.highest}"


def hours(seconds: int) -> str:
    """Write a time to live for people."""
    return f"{seconds // 3_600} h" if seconds < 72 * 3_600 or seconds % 86_400 else f"{seconds // 86_400} days"


def _line(text: str) -> str:
    return " ".join(text.split())
