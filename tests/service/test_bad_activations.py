"""What on-call may not do: without the role, with a bad field, in the wrong state; nothing is changed then."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from holdline.client import Client, HoldlineError, PermissionDenied
from holdline.v1 import playbook_service_pb2 as pb

from service.local_server import Server, running_server
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
        ("ann", lambda client: client.end_activation("A1", reason="r")),
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
        ({"version": 0}, INVALID, ["version"]),
        ({"parameters": {"per_decision_bp": 2_001}}, INVALID, ["parameters[0]"]),
        ({"parameters": {"per_decision_bp": -1}}, INVALID, ["parameters[0]"]),
        ({"parameters": {"per_decision_bp": "x"}}, INVALID, ["parameters[0]"]),
        ({"parameters": {"colour": 1}}, INVALID, ["parameters[0]"]),
        ({"name": "rollback_policy"}, INVALID, ["parameters"]),
        ({"name": "rollback_policy", "parameters": {"to_version": "never"}}, INVALID, ["parameters[0]"]),
        ({"ttl_seconds": 0}, INVALID, ["ttl_seconds"]),
        ({"ttl_seconds": 8 * 86_400}, INVALID, ["ttl_seconds"]),
        ({"reason": " "}, INVALID, ["reason"]),
        ({"reason": "r" * 501}, INVALID, ["reason"]),
        ({"incident": "i" * 65}, INVALID, ["incident"]),
        ({"request_id": "k" * 65}, INVALID, ["request_id"]),
        ({"scope": pb.Scope(product="no_such")}, INVALID, ["scope.product"]),
        ({"scope": pb.Scope(share_bp=10_001)}, INVALID, ["scope.share_bp"]),
        ({"scope": pb.Scope(share_bp=0)}, INVALID, ["scope.share_bp"]),
        ({"scope": pb.Scope(ranges=[pb.FactRange(fact="dpd_now")] * 9)}, INVALID, ["scope.ranges"]),
        ({"scope": pb.Scope(ranges=[pb.FactRange(fact="sex", lowest=0, highest=1)])}, INVALID, ["scope.ranges[0].fact"]),
        ({"scope": pb.Scope(ranges=[pb.FactRange(fact="dpd_now", lowest=5, highest=1)])}, INVALID, ["scope.ranges[0]"]),
        ({"scope": pb.Scope(ranges=[pb.FactRange(fact="bureau_score", lowest=0, highest=299)])}, INVALID, ["scope.ranges[0]"]),
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

    assert [violation.field for violation in error.violations] == [
        "parameters[1]", "parameters[0]", "scope.product", "ttl_seconds",
    ]  # fmt: skip
    assert error.violations[0].description.startswith("colour: ")


def test_a_parameter_that_is_given_twice_or_without_a_value_is_refused(as_: As) -> None:
    one = pb.Parameter(name="per_decision_bp", value=pb.ParameterValue(whole=1))
    client = as_("olga")
    request = pb.ActivatePlaybookRequest(
        request_id="twice", name="cap_growth", ttl_seconds=60, reason="r", parameters=[one, one, pb.Parameter(name="x")]
    )

    error = refused(lambda: client._call(client._playbooks.ActivatePlaybook, request, "twice"), INVALID)

    assert [violation.field for violation in error.violations] == ["parameters[1].name", "parameters[2].value"]


def test_a_state_that_is_none_and_a_token_of_other_states_are_refused(as_: As) -> None:
    root = as_("root")
    for _ in range(2):
        made = root.activate("freeze_raises", ttl_seconds=60, reason="r").activation
        root.end_activation(made.activation_id, reason="over")

    def listed(**said: Any) -> pb.ListActivationsResponse:
        return root._call(root._playbooks.ListActivations, pb.ListActivationsRequest(**said), "")

    token = listed(states=[pb.ACTIVATION_STATE_ENDED], page_size=1).next_page_token
    errors = [
        refused(lambda: listed(page_token=token), INVALID),
        refused(lambda: listed(states=[pb.ACTIVATION_STATE_ACTIVE], page_token=token), INVALID),
        refused(lambda: listed(states=[0, pb.ACTIVATION_STATE_ENDED, 99], page_size=-1), INVALID),
    ]

    assert [[one.field for one in error.violations] for error in errors] == [
        ["page_token"], ["page_token"], ["states[0]", "states[2]", "page_size"],
    ]  # fmt: skip
    assert (
        listed(states=[pb.ACTIVATION_STATE_ENDED], page_token=token).activations[0].activation_id < made.activation_id
    )


def test_activations_are_listed_by_state(as_: As) -> None:
    root = as_("root")
    ended = root.activate("freeze_raises", ttl_seconds=60, reason="r").activation.activation_id
    root.end_activation(ended, reason="over")
    active = root.activate("freeze_raises", ttl_seconds=60, reason="r").activation.activation_id
    pending = root.activate("read_only", ttl_seconds=60, reason="r").activation.activation_id

    assert [one.activation_id for one in root.activations("active", page_size=1)] == [active]
    assert [one.activation_id for one in root.activations("active", "pending_approval")] == [pending, active]
    assert [one.activation_id for one in root.activations(page_size=1)][:3] == [pending, active, ended]
    assert ended in {one.activation_id for one in root.activations("ended", page_size=1)}


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

    assert twice.metadata["activation_id"] == conflict.metadata["activation_id"] == first.activation_id
    assert "facts" in str(conflict)
    parted = pb.Scope(product="instalment")
    olga.end_activation(first.activation_id, reason="again, by product")
    olga.activate("static_scorecard", ttl_seconds=60, reason="r", scope=pb.Scope(product="revolving"))
    assert oscar.activate("static_scorecard", ttl_seconds=60, reason="r", scope=parted).activation.activation_id


@pytest.mark.parametrize("call", ["approve", "extend", "end_activation"])
@pytest.mark.parametrize(("activation_id", "reason"), [("A999999", "ACTIVATION_NOT_FOUND"), ("17", INVALID)])
def test_an_unknown_activation_is_refused(as_: As, call: str, activation_id: str, reason: str) -> None:
    said = {"approve": {"note": "n"}, "extend": {"reason": "r", "ttl_seconds": 60}, "end_activation": {"reason": "r"}}

    refused(lambda: getattr(as_("root"), call)(activation_id, **said[call]), reason)  # type: ignore[arg-type]  # of every type.


def test_what_is_over_cant_be_ended_extended_or_approved(as_: As) -> None:
    root = as_("root")
    over = root.activate("freeze_raises", ttl_seconds=60, reason="r").activation.activation_id
    root.end_activation(over, reason="over")

    for call in (
        lambda: root.end_activation(over, reason="again"),
        lambda: root.extend(over, ttl_seconds=60, reason="again"),
        lambda: as_("ada").approve(over),
    ):
        assert refused(call, "ACTIVATION_OVER").metadata == {"activation_id": over, "state": "ended"}


def test_roles_that_are_no_roles_stop_the_server_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "roles.yaml").write_text("callers: {olga: [wizard]}", encoding="utf-8")

    with pytest.raises(RuntimeError), running_server(tmp_path, "--set", f"roles_file={tmp_path / 'roles.yaml'}"):
        pass
