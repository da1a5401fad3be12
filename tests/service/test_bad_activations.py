"""What on-call may not do: without the role, with a bad field, in the wrong state; nothing is changed then."""

from collections.abc import Callable
from pathlib import Path

import pytest
from holdline.client import Client, HoldlineError, PermissionDenied
from holdline.v1 import playbook_service_pb2 as pb

from service.cli.demonstration import Server, running_server
from tests.proof.journal import ONCE
from tests.service.oncall import As, refused
from tests.service.wire import assign


@pytest.mark.parametrize(
    ("caller", "call"),
    [
        ("shop", lambda client: client.activate("freeze_raises", ttl_seconds=60, reason="r")),
        ("ann", lambda client: client.activate("freeze_raises", ttl_seconds=60, reason="r")),
        ("olga", lambda client: client.approve("A1")),
        ("ada", lambda client: client.extend("A1", ttl_seconds=60, reason="r")),
        ("ann", lambda client: client.deactivate("A1", reason="r")),
        ("shop", lambda client: client.preview("freeze_raises")),
        ("olga", lambda client: client.send(assign())),
        ("shop", lambda client: client.publish_policy("policy: x")),
    ],
    ids=["activate", "activate as analyst", "approve", "extend", "end", "preview", "decide", "publish"],
)  # fmt: skip
def test_a_caller_without_the_role_is_refused(as_: As, caller: str, call: Callable[[Client], object]) -> None:
    error = refused(lambda: call(as_(caller)), "ROLE_REQUIRED")

    assert isinstance(error, PermissionDenied)
    assert error.metadata["role"]


def test_nobody_may_bear_the_name_of_the_services_own_guards(guarded: Server) -> None:
    with (
        Client(guarded.listen, caller="holdline:guard", retry=ONCE) as client,
        pytest.raises(HoldlineError) as caught,
    ):
        client.activate("freeze_raises", ttl_seconds=60, reason="r")

    assert [violation.field for violation in caught.value.violations] == ["metadata.x-holdline-caller"]


INVALID = "INVALID_REQUEST"
EVERYTHING = {"name": "cap_growth", "ttl_seconds": 60, "reason": "r"}


@pytest.mark.parametrize(
    ("said", "reason", "fields"),
    [
        ({"name": "no_such"}, "PLAYBOOK_NOT_FOUND", []),
        ({"version": 9}, "PLAYBOOK_NOT_FOUND", []),
        ({"name": "Bad Name"}, INVALID, ["name"]),
        ({"version": -1}, INVALID, ["version"]),
        ({"parameters": {"per_decision_bp": 2_001}}, INVALID, ["parameters.per_decision_bp"]),
        ({"parameters": {"per_decision_bp": -1}}, INVALID, ["parameters.per_decision_bp"]),
        ({"parameters": {"per_decision_bp": "x"}}, INVALID, ["parameters.per_decision_bp"]),
        ({"parameters": {"colour": 1}}, INVALID, ["parameters.colour"]),
        ({"name": "rollback_policy"}, INVALID, ["parameters.to_version"]),
        ({"name": "rollback_policy", "parameters": {"to_version": "never"}}, INVALID, ["parameters.to_version"]),
        ({"ttl_seconds": 0}, INVALID, ["ttl_seconds"]),
        ({"ttl_seconds": 8 * 86_400}, INVALID, ["ttl_seconds"]),
        ({"reason": " "}, INVALID, ["reason"]),
        ({"reason": "r" * 501}, INVALID, ["reason"]),
        ({"incident": "i" * 65}, INVALID, ["incident"]),
        ({"request_id": "k" * 65}, INVALID, ["request_id"]),
        ({"scope": pb.Scope(product="no_such")}, INVALID, ["scope.product"]),
        ({"scope": pb.Scope(share_bp=10_001)}, INVALID, ["scope.share_bp"]),
        ({"scope": pb.Scope(segment=[pb.FactRange(fact="sex", lowest=0, highest=1)])}, INVALID, ["scope.segment[0].fact"]),
        ({"scope": pb.Scope(segment=[pb.FactRange(fact="dpd_now", lowest=5, highest=1)])}, INVALID, ["scope.segment[0]"]),
        ({"scope": pb.Scope(segment=[pb.FactRange(fact="bureau_score", lowest=0, highest=299)])}, INVALID, ["scope.segment[0]"]),
    ],
)  # fmt: skip
def test_a_bad_activation_is_refused_with_its_fields_and_changes_nothing(
    as_: As, said: dict[str, object], reason: str, fields: list[str]
) -> None:
    olga = as_("olga")
    before = olga.mode()

    arguments = {**EVERYTHING, **said}
    error = refused(lambda: olga.activate(arguments.pop("name"), **arguments), reason)  # type: ignore[arg-type]  # of every type.

    assert [violation.field for violation in error.violations] == fields
    assert olga.mode().resume_token == before.resume_token


def test_all_that_is_wrong_with_an_activation_is_said_at_once(as_: As) -> None:
    scope = pb.Scope(product="no_such")
    error = refused(
        lambda: as_("olga").activate(
            "cap_growth", ttl_seconds=0, reason="r", scope=scope, parameters={"per_decision_bp": -1, "colour": 1}
        ),
        INVALID,
    )

    assert {violation.field for violation in error.violations} == {
        "parameters.per_decision_bp", "parameters.colour", "scope.product", "ttl_seconds",
    }  # fmt: skip


def test_the_same_playbook_twice_and_conflicting_ones_are_refused_with_the_other_named(as_: As) -> None:
    olga, oscar = as_("olga"), as_("oscar")
    first = olga.activate("static_scorecard", ttl_seconds=60, reason="drift").activation

    twice = refused(lambda: oscar.activate("static_scorecard", ttl_seconds=60, reason="r"), "ACTIVATION_EXISTS")
    conflict = refused(
        lambda: oscar.activate(
            "refer_to_review", ttl_seconds=60, reason="r", parameters={"good_version": "reference-2026-2"}
        ),
        "PLAYBOOK_CONFLICT",
    )

    assert (
        twice.metadata["activation_id"]
        == conflict.metadata["activation_id"]
        == f"{first.activation_id}@static_scorecard/v2"
    )
    assert "facts" in str(conflict)
    parted = pb.Scope(product="instalment")
    olga.deactivate(first.activation_id, reason="again, by product")
    olga.activate("static_scorecard", ttl_seconds=60, reason="r", scope=pb.Scope(product="revolving"))
    assert oscar.activate("static_scorecard", ttl_seconds=60, reason="r", scope=parted).activation.activation_id


@pytest.mark.parametrize("call", ["approve", "extend", "deactivate"])
@pytest.mark.parametrize(("activation_id", "reason"), [("A999999", "ACTIVATION_NOT_FOUND"), ("17", INVALID)])
def test_an_unknown_activation_is_refused(as_: As, call: str, activation_id: str, reason: str) -> None:
    more: dict[str, object] = {"reason": "r", **({"ttl_seconds": 60} if call == "extend" else {})}

    refused(lambda: getattr(as_("root"), call)(activation_id, **more), reason)


def test_what_is_over_cant_be_ended_extended_or_approved(as_: As) -> None:
    root = as_("root")
    over = root.activate("freeze_raises", ttl_seconds=60, reason="r").activation.activation_id
    root.deactivate(over, reason="over")

    for call in (
        lambda: root.deactivate(over, reason="again"),
        lambda: root.extend(over, ttl_seconds=60, reason="again"),
        lambda: as_("ada").approve(over),
    ):
        assert refused(call, "ACTIVATION_OVER").metadata["state"] == "ended"


def test_roles_that_are_no_roles_stop_the_server_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "roles.yaml").write_text("callers: {olga: [wizard]}", encoding="utf-8")

    with pytest.raises(RuntimeError), running_server(tmp_path, "--set", f"roles_file={tmp_path / 'roles.yaml'}"):
        pass
