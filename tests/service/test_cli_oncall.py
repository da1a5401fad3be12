"""The command line of on-call, as a person at 3 a.m. and as a script use it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from playbooks import registry
from service.cli import oncall
from service.domain.playbook import Playbook
from service.local_server import Server
from tests.builders import PLAYBOOKS
from tests.service.command_line import Run, invoked
from tests.service.oncall import As
from tests.service.wire import assign, fresh


def _as(caller: str, *arguments: str, server: Server, answers: str = "") -> Run:
    return invoked(*arguments, "--caller", caller, server=server, answers=answers)


def _activated(run: Run) -> str:
    assert run.returncode == 0, run.stderr
    return str(json.loads(run.stdout)["activation"]["activation_id"])


def test_playbooks_are_listed_and_described_from_their_modules(guarded: Server) -> None:
    listed = _as("ann", "playbook", "list", server=guarded)
    described = _as("ann", "playbook", "describe", "cap_growth/v1", server=guarded)

    for playbook in PLAYBOOKS.all():
        assert playbook.title in listed.stdout
    for heading, text in PLAYBOOKS.find("cap_growth", 1).headings.items():
        assert heading in described.stdout
        assert text.splitlines()[0] in described.stdout
    assert "per_decision_bp" in described.stdout


def test_activation_shows_the_preview_and_asks_and_no_means_no(guarded: Server, as_: As) -> None:
    as_("shop").send(assign())

    run = _as("olga", "playbook", "activate", "freeze_raises", "--reason", "doubt", server=guarded, answers="n\n")

    assert "the scope covers" in run.stdout
    assert "Put freeze_raises in force" in run.stdout
    assert run.returncode != 0
    assert not as_("olga").mode().mode.activations


def test_the_whole_life_of_an_activation_by_commands(guarded: Server, as_: As) -> None:
    pending = _activated(
        _as("olga", "playbook", "activate", "rollback_policy", "--set", "to_version=reference-2026-2", "--product",
            "revolving", "--reason", "scores", "--yes", "--json", server=guarded)
    )  # fmt: skip
    shown = _as("olga", "mode", server=guarded)
    waiting = _listed("pending_approval", guarded)
    approved = _as("ada", "playbook", "approve", pending, "--note", "seen", server=guarded)
    extended = _as("oscar", "playbook", "extend", pending, "--minutes", "120", "--reason", "not yet", server=guarded)
    in_force = json.loads(_as("olga", "mode", "--json", server=guarded).stdout)
    ended = _as("olga", "playbook", "end", pending, "--reason", "over", server=guarded)
    again = _as("olga", "playbook", "end", pending, "--reason", "over", server=guarded)

    assert waiting == [pending]
    assert pending not in _listed("active", guarded)
    assert pending in _listed("ended", guarded)
    assert "Waiting for approval" in shown.stdout
    assert "active" in approved.stdout
    assert "1 of 1" in approved.stdout
    assert extended.returncode == 0
    assert [one["activation_id"] for one in in_force[0]["mode"]["activations"]] == [pending]
    assert "mode from the next decision on: normal" in ended.stdout
    assert again.returncode == 3
    assert "ACTIVATION_OVER" in again.stderr


def _listed(state: str, server: Server) -> list[str]:
    run = _as("olga", "playbook", "activations", "--state", state, "--json", server=server)
    return [one["activation_id"] for one in json.loads(run.stdout)]


def test_a_decision_under_a_playbook_names_it(guarded: Server, as_: As) -> None:
    account_id = as_("shop").send(assign()).account.account_id
    made = as_("olga").activate("freeze_raises", ttl_seconds=60, reason="r").activation

    shown = _as("shop", "decide", account_id, "raise", server=guarded)

    assert f"{made.activation_id}@freeze_raises/v1" in shown.stdout
    assert "RAISE_KEPT_FOR_LATER" in shown.stdout


def test_a_range_and_a_share_are_given_as_words(guarded: Server, as_: As) -> None:
    made = _activated(
        _as("olga", "playbook", "activate", "freeze_raises", "--range", "bureau_score=300..500", "--percent", "12.5",
            "--minutes", "5", "--reason", "r", "--yes", "--json", server=guarded)
    )  # fmt: skip

    (kept,) = as_("olga").mode().mode.activations

    assert kept.activation_id == made
    assert kept.scope.share_bp == 1_250
    assert [(one.fact, one.lowest, one.highest) for one in kept.scope.ranges] == [("bureau_score", 300, 500)]


@pytest.mark.parametrize(
    "wrong",
    [
        ["playbook", "activate", "cap_growth", "--set", "x", "--reason", "r", "--yes"],
        ["playbook", "activate", "cap_growth", "--range", "dpd_now", "--reason", "r", "--yes"],
        ["playbook", "activate", "cap_growth/vx", "--reason", "r", "--yes"],
        ["playbook", "end", "--reason", "r"],
        ["playbook", "activations", "--state", "asleep"],
        ["playbook", "new", "Bad Name"],
        ["playbook", "release", "cap_growth/v2"],
        ["drill", "no-such"],
    ],
)
def test_a_wrong_command_line_is_told_apart(wrong: list[str]) -> None:
    run = invoked(*wrong)

    assert run.returncode == 2
    assert run.stderr


def test_what_the_server_refuses_names_the_fields(guarded: Server) -> None:
    run = _as("olga", "playbook", "activate", "cap_growth", "--set", "per_decision_bp=9999", "--reason", "r", "--yes",
              server=guarded)  # fmt: skip

    assert run.returncode == 3
    assert "parameters[0]: per_decision_bp: 9999 is out of range" in run.stderr


def test_oncall_leads_from_a_symptom_to_a_playbook_in_force(guarded: Server, as_: As) -> None:
    as_("shop").send(assign())
    symptom = list(oncall.QUESTIONS).index("limits fall that should not") + 1

    run = _as("olga", "oncall", server=guarded, answers=f"99\n{symptom}\n1\n\n45\ncuts look wrong\ny\n")

    assert run.returncode == 0, run.stderr + run.stdout
    for text in ("What is wrong?", "freeze_reductions", "Symptoms", "the scope covers", "in force"):
        assert text in run.stdout
    (made,) = as_("olga").mode().mode.activations
    assert made.playbook == "freeze_reductions"
    assert made.reason == "cuts look wrong"
    assert made.active_until.ToSeconds() - made.active_from.ToSeconds() == 45 * 60


@pytest.mark.parametrize("symptom", list(oncall.QUESTIONS))
def test_every_symptom_leads_to_a_playbook(symptom: str) -> None:
    from service.rpc import playbook_messages

    known = [playbook_messages.playbook(one) for one in PLAYBOOKS.all()]

    ranked = oncall.rank(known, [], oncall.QUESTIONS[symptom])

    assert ranked
    assert len({one.name for one, _ in ranked}) == len(ranked)


def test_what_the_guards_recommend_now_comes_first() -> None:
    from holdline.v1 import playbook_service_pb2 as pb

    from service.rpc import playbook_messages

    known = [playbook_messages.playbook(one) for one in PLAYBOOKS.all()]
    alarm = pb.Signal(
        name="fact_psi", fact="dpd_now", product="revolving", alarming=True, recommends="static_scorecard"
    )

    ranked = oncall.rank(known, [alarm], ("cut_rate",))

    assert ranked[0][0].name == "static_scorecard"
    assert "alarms" in ranked[0][1]
    assert ranked[1][0].name == "freeze_reductions"


def test_drills_are_listed_with_what_goes_wrong() -> None:
    run = invoked("drill")

    assert run.returncode == 0
    for name in ("scorecard-sign-flipped", "behaviour-stale", "policy-tightened", "bureau-zeros", "clock-jumped"):
        assert name in run.stdout


def test_a_drill_prints_its_timeline_and_ends_with_its_verdict() -> None:
    run = invoked("drill", "bureau-zeros", "--json")

    found = json.loads(run.stdout)[0]
    assert run.returncode == 0, run.stderr
    assert found["passed"]
    assert found["events"][0]["what"] == "injected"
    assert 0 < found["stopped"] <= found["decisions_max"]


def test_watching_prints_each_change(guarded: Server, as_: As) -> None:
    watcher = subprocess.Popen(
        [sys.executable, "-u", "-m", "service.cli.main", "mode", "--watch", "--server", guarded.listen],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert watcher.stdout is not None
    try:
        first = watcher.stdout.readline()
        made = as_("olga").activate("freeze_raises", ttl_seconds=60, reason="seen by the watcher").activation
        lines = [watcher.stdout.readline() for _ in range(3)]
    finally:
        watcher.terminate()
        watcher.wait(10)
        watcher.stdout.close()

    assert "mode normal" in first
    assert "mode m-" in lines[0]
    assert f"olga activate {made.activation_id}: seen by the watcher" in lines[1]
    assert f"in force: {made.activation_id} freeze_raises/v1" in lines[2]


def test_a_playbook_made_by_the_command_passes_its_own_test(tmp_path: Path) -> None:
    """A whole checkout is copied, since the command writes into it."""
    import shutil

    root = registry.FOLDER.parent
    for name in ("playbooks", "service", "tests", "protos", "loadtests", "pyproject.toml"):
        source = root / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy(source, tmp_path / name)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{tmp_path / 'protos'}"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
            timeout=120,
        )  # fmt: skip

    made = run("-m", "service.cli.main", "playbook", "new", name := fresh("pause").replace("-", "_"))
    proved = run("-m", "pytest", "-q", f"playbooks/{name}", "tests/proof/test_playbooks.py", "-k", name)
    released = run("-m", "service.cli.main", "playbook", "release", f"{name}/v1")

    assert made.returncode == 0, made.stderr
    assert proved.returncode == 0, proved.stdout
    assert "2 passed" in proved.stdout
    assert released.returncode == 0, released.stderr
    assert name in (tmp_path / "playbooks" / "released.toml").read_text(encoding="utf-8")
    assert isinstance(PLAYBOOKS.find("cap_growth"), Playbook)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("guards_activate=cut_rat=freeze_reductions", "no signal is called cut_rat"),
        ("guards_activate=cut_rate=freeze", "no playbook is called freeze"),
        ("guards_activate=score_psi=rollback_policy", "needs to_version"),
        ("dead_man_playbook=no_such", "no playbook is called no_such"),
        ("roles_file=nowhere.yaml", "roles_file"),
        ("alert_webhook=http://127.0.0.1:1/", "alerts are signed"),
    ],
)
def test_settings_that_name_what_is_not_there_stop_the_server_before_it_starts(
    tmp_path: Path, setting: str, said: str
) -> None:
    run = invoked("serve", "--store", f"sqlite:///{tmp_path / 'h.db'}", "--listen", "127.0.0.1:0", "--set", setting)

    assert run.returncode == 2
    assert said in " ".join(run.stderr.replace("│", " ").split())
    assert not (tmp_path / "h.db").exists()
