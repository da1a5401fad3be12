"""The registry: every way in which a module is not what it has to be, released versions that never change, retiring."""

import shutil
from pathlib import Path

import pytest

from playbooks import pages, registry, scaffold
from playbooks.declaration import HEADINGS
from service.domain.errors import PlaybookNotFound, PlaybookRetired
from service.storage.memory.store import MemoryStore
from tests.builders import PLAYBOOKS, Bench

NINE = {
    "hold_last_known_good", "freeze_reductions", "freeze_raises", "rollback_policy", "cap_growth", "static_scorecard",
    "refer_to_review", "shed_low_priority", "read_only",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a copy of the playbooks' folder."""
    target = tmp_path / "playbooks"
    shutil.copytree(registry.FOLDER, target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def _mistakes(folder: Path) -> str:
    registry.load.cache_clear()
    with pytest.raises(registry.PlaybookBroken) as caught:
        registry.load(folder)
    registry.load.cache_clear()
    return str(caught.value)


def test_the_nine_are_there_released_and_two_versions_live_side_by_side() -> None:
    released = {(one.name, one.version) for one in PLAYBOOKS.all() if one.is_released}

    assert {name for name, _ in released} == NINE
    assert {("cap_growth", 1), ("cap_growth", 2)} < released
    assert PLAYBOOKS.find("cap_growth").version == 2
    assert PLAYBOOKS.find("cap_growth", 1).title == "cap_growth/v1"
    assert PLAYBOOKS.find("cap_growth").replaces == "cap_growth/v1"


@pytest.mark.parametrize(("name", "version"), [("no_such", 0), ("cap_growth", 3)])
def test_an_unknown_playbook_names_those_there_are(name: str, version: int) -> None:
    with pytest.raises(PlaybookNotFound) as caught:
        PLAYBOOKS.find(name, version)

    assert "cap_growth" in caught.value.metadata["known"]


def test_a_released_version_that_changed_is_refused(folder: Path) -> None:
    module = folder / "freeze_raises" / "v1.py"
    module.write_text(module.read_text(encoding="utf-8") + "\n# a comment\n", encoding="utf-8")

    assert "freeze_raises/v1: released with another content" in _mistakes(folder)


def test_a_released_version_that_is_gone_is_missed(folder: Path) -> None:
    (folder / "freeze_raises" / "v1.py").unlink()

    assert "freeze_raises/v1: released, but its module is gone" in _mistakes(folder)


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_missing_heading_is_refused(folder: Path, heading: str) -> None:
    _mend(folder, f"{heading}:\n", "Elsewhere:\n")

    assert "the docstring needs the headings" in _mistakes(folder)


def _mend(folder: Path, old: str, new: str) -> None:
    """Make a draft of a good module with one thing changed."""
    (folder / "draft_one").mkdir()
    text = (
        (registry.FOLDER / "freeze_raises" / "v1.py").read_text(encoding="utf-8").replace("freeze_raises", "draft_one")
    )
    assert old in text
    (folder / "draft_one" / "v1.py").write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ('NAME: Final = "draft_one"', 'NAME: Final = "other"', "NAME and VERSION are not those of the file"),
        ("VERSION: Final = 1", "VERSION: Final = 2", "NAME and VERSION are not those of the file"),
        ("APPROVALS: Final = 0", "APPROVALS: Final = 3", "APPROVALS is 0 to 2"),
        ("APPROVALS: Final = 0\n", "", "APPROVALS is missing or no int"),
        ("24 * 3_600", "99 * 24 * 3_600", "TTL_SECONDS_MAX is 1 to"),
        ('"""None: every raise is stopped."""', "bound: int", "parameter bound needs Annotated"),
        ("def constrain(", "def restrain(", "it has none of the functions"),
        ('"RAISE_KEPT_FOR_LATER"', '"raise kept"', "needs a code of [A-Z0-9_]"),
        ('"提额暂停核查中，您应得的提额会为您保留。"', '""', "texts in both languages"),
        ('"您无需任何操作。"', '"请稍候。"', "has another text than in"),
        ('REPLACES: Final = ""', 'REPLACES: Final = "draft_one/v0"', "which doesn't exist"),
        ("CONFLICTS: Final[dict[str, str]] = {}", 'CONFLICTS: Final = {"cap_growth": "r"}', "cap_growth must name the conflict"),
        ("Stop every raise and first limit; what customers are owed is kept.", "No sentence", "starts with one sentence"),
    ],
)  # fmt: skip
def test_a_module_that_is_not_what_it_has_to_be_is_refused(folder: Path, old: str, new: str, mistake: str) -> None:
    _mend(folder, old, new)

    found = _mistakes(folder)

    assert mistake in found
    assert "draft_one" in found


def test_all_mistakes_are_said_at_once(folder: Path) -> None:
    _mend(folder, "APPROVALS: Final = 0", "APPROVALS: Final = 3")
    (folder / "cap_growth" / "v2.py").unlink()

    found = _mistakes(folder)

    assert "APPROVALS" in found
    assert "cap_growth/v2" in found


def test_a_new_playbook_passes_as_it_stands_is_a_draft_and_can_be_released_once(folder: Path) -> None:
    made = scaffold.new("pause_everything", folder)
    draft = registry.load(folder).find("pause_everything", 1)
    scaffold.release("pause_everything/v1", folder)
    released = registry.load(folder).find("pause_everything")

    assert {path.name for path in made.iterdir()} == {"__init__.py", "v1.py", "README.md", "test_pause_everything.py"}
    assert not draft.is_released
    assert released.is_released
    with pytest.raises(PlaybookNotFound):
        PLAYBOOKS.find("pause_everything")
    for again in (
        lambda: scaffold.new("pause_everything", folder),
        lambda: scaffold.release("pause_everything/v1", folder),
    ):
        with pytest.raises(ValueError, match="pause_everything"):
            again()


@pytest.mark.parametrize("name", ["", "Pause", "1st", "a b", "../up", "x" * 49])
def test_a_name_that_cant_be_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match="use 1 to 48 characters"):
        scaffold.new(name, folder)


def test_a_retired_version_takes_no_new_activation_and_what_is_active_stays(folder: Path) -> None:
    bench = Bench(MemoryStore(lambda: 0))
    bench.order("activate", "k", playbook="cap_growth", version=1)
    lines = (folder / registry.RELEASED).read_text(encoding="utf-8").splitlines()
    at = lines.index("[cap_growth]") + 1
    lines[at] = lines[at].replace(" }", ', retired = "v2 also bounds 30 days" }')
    (folder / registry.RELEASED).write_text("\n".join(lines), encoding="utf-8")
    registry.load.cache_clear()
    bench.control.playbooks = registry.load(folder)
    registry.load.cache_clear()
    bench.control.forget()

    still = bench.playbooks.mode().mode.measures
    bench.order("end", "e", number=1)
    with pytest.raises(PlaybookRetired) as caught:
        bench.order("activate", "k2", playbook="cap_growth", version=1)
    newest = bench.order("activate", "k3", playbook="cap_growth").activation

    assert [measure.name for measure in still] == ["A1@cap_growth/v1"]
    assert "v2 also bounds 30 days" in caught.value.message
    assert newest.version == 2


def test_a_draft_takes_no_activation(folder: Path) -> None:
    scaffold.new("pause_everything", folder)
    bench = Bench(MemoryStore(lambda: 0))
    bench.control.playbooks = registry.load(folder)

    with pytest.raises(PlaybookRetired):
        bench.order("activate", "k", playbook="pause_everything", version=1)


def test_every_page_has_its_symptoms_its_first_commands_and_the_way_out() -> None:
    written = pages.pages(PLAYBOOKS, registry.FOLDER)

    for playbook in PLAYBOOKS.all():
        page = written[registry.FOLDER / playbook.name / "README.md"]
        for heading in HEADINGS:
            assert heading in page
        assert page.count("holdline ") >= 3
    assert all(path.read_text(encoding="utf-8") == text for path, text in written.items())
