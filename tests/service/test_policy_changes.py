"""Promotions and roll-backs over the wire: what a change says of itself, and what a repetition can't do."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from holdline.client import Client
from holdline.v1 import policy_service_pb2 as pb

from service.local_server import Server
from tests.builders import document
from tests.proof.journal import ONCE
from tests.service.oncall import refused
from tests.service.wire import Refusal, Stubs, fresh, refusal

INVALID = grpc.StatusCode.INVALID_ARGUMENT
REFERENCE = "reference-2026-2"


@pytest.fixture
def ann(server: Server) -> Iterator[Client]:
    with Client(server.listen, caller="ann", retry=ONCE) as client:
        yield client


@pytest.fixture
def version(ann: Client) -> Iterator[str]:
    """Give a published draft; afterwards the reference decides again."""
    name = fresh("changed")
    ann.publish_policy(document().replace(f"policy: {REFERENCE}", f"policy: {name}"))
    yield name
    active = _active(ann)
    if active != REFERENCE:
        ann.rollback_policy("revolving", from_version=active, to_version=REFERENCE, reason="the test is over")


def _active(client: Client) -> str:
    return next(one.version for one in client.policies("revolving") if one.state == pb.POLICY_STATE_ACTIVE)


def test_a_promotion_answers_the_change_with_who_when_why_and_from_which_version(ann: Client, version: str) -> None:
    key = fresh("promote")
    first = ann.promote_policy(version, reason="better bins", request_id=key)
    again = ann.promote_policy(version, reason="better bins", request_id=key)

    change = first.change
    assert (change.product, change.from_version, change.to_version) == ("revolving", REFERENCE, version)
    assert (change.state, change.target_state) == (pb.POLICY_CHANGE_STATE_APPLIED, pb.POLICY_STATE_ACTIVE)
    assert (change.requested_by.caller, change.requested_by.person, change.reason) == ("ann", "", "better bins")
    assert change.change_id.startswith("P")
    assert change.requested_at == change.effective_at == first.policy.activated_at
    assert not change.approvals
    assert (again.replayed, again.change) == (True, change)
    assert first.policy.published_by.caller == "ann"


def test_a_repeated_roll_back_is_refused_and_toggles_nothing(ann: Client, version: str) -> None:
    ann.promote_policy(version, reason="r")
    said = {"from_version": version, "to_version": REFERENCE, "reason": "too many refusals"}

    made = ann.rollback_policy("revolving", **said)
    again = refused(lambda: ann.rollback_policy("revolving", **said), "POLICY_STATE")
    itself = {**said, "from_version": REFERENCE}
    same = refused(lambda: ann.rollback_policy("revolving", **itself), "INVALID_REQUEST")

    assert (made.change.from_version, made.change.to_version) == (version, REFERENCE)
    assert again.metadata["active"] == REFERENCE
    assert [one.field for one in same.violations] == ["to_version"]
    assert _active(ann) == REFERENCE


def test_a_roll_back_that_is_only_validated_says_both_versions_and_changes_nothing(ann: Client, version: str) -> None:
    ann.promote_policy(version, reason="r")

    planned = ann.rollback_target("revolving")

    assert (planned.change.from_version, planned.change.to_version) == (version, REFERENCE)
    assert planned.change.state == pb.POLICY_CHANGE_STATE_VALIDATED
    assert not planned.change.change_id
    assert not planned.change.HasField("effective_at")
    assert planned.policy.state == pb.POLICY_STATE_RETIRED
    assert _active(ann) == version


def _promote(**said: Any) -> pb.PromotePolicyRequest:
    good = {"request_id": fresh(), "version": REFERENCE, "target_state": pb.POLICY_STATE_ACTIVE, "reason": "r"}
    return pb.PromotePolicyRequest(**{**good, **said})


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"target_state": pb.POLICY_STATE_UNSPECIFIED}, ("target_state",)),
        ({"target_state": pb.POLICY_STATE_RETIRED}, ("target_state",)),
        ({"target_state": pb.POLICY_STATE_SHADOW}, ("target_state",)),
        ({"target_state": pb.POLICY_STATE_CANARY, "share_bp": 100}, ("target_state", "share_bp")),
        ({"share_bp": 0}, ("share_bp",)),
        ({"reason": " "}, ("reason",)),
        ({"reason": "r" * 501}, ("reason",)),
        ({"version": "", "request_id": ""}, ("request_id", "version")),
        ({"effective_at": {"seconds": 1 << 40}}, ("effective_at",)),
        ({"effective_at": {"seconds": 4_000_000_000}}, ("effective_at",)),
    ],
)
def test_a_wrong_promotion_is_refused_naming_the_field(
    stubs: Stubs, said: dict[str, Any], fields: tuple[str, ...]
) -> None:
    found = refusal(lambda: stubs.policies.PromotePolicy(_promote(**said), timeout=5))

    assert (found.code, found.fields) == (INVALID, fields)


def test_what_does_not_exist_yet_is_said(stubs: Stubs, version: str) -> None:
    def asked_for(**said: Any) -> Refusal:
        return refusal(lambda: stubs.policies.PromotePolicy(_promote(version=version, **said), timeout=5))

    found = [asked_for(target_state=stage) for stage in (pb.POLICY_STATE_SHADOW, pb.POLICY_STATE_CANARY)]
    scheduled = asked_for(effective_at={"seconds": 4_000_000_000})

    assert all("does not exist yet" in one.message for one in found)
    assert "can't be scheduled yet" in scheduled.message


def test_a_time_that_is_past_means_at_once(stubs: Stubs, version: str) -> None:
    made = stubs.policies.PromotePolicy(_promote(version=version, effective_at={"seconds": 1_000_000_000}), timeout=5)

    assert made.change.effective_at == made.policy.activated_at
    assert made.change.effective_at.seconds > 1_700_000_000


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"from_version": ""}, ("from_version",)),
        ({"to_version": ""}, ("to_version",)),
        ({"reason": ""}, ("reason",)),
        ({"product": "!"}, ("product",)),
        ({"validate_only": True, "to_version": "*", "reason": ""}, ("to_version",)),
        ({"validate_only": True, "request_id": "x" * 65}, ("request_id",)),
    ],
)
def test_a_wrong_roll_back_is_refused_naming_the_field(
    stubs: Stubs, said: dict[str, Any], fields: tuple[str, ...]
) -> None:
    good = {"request_id": fresh(), "product": "revolving", "from_version": "a", "to_version": "b", "reason": "r"}
    request = pb.RollbackPolicyRequest(**{**good, **said})

    found = refusal(lambda: stubs.policies.RollbackPolicy(request, timeout=5))

    assert (found.code, found.fields) == (INVALID, fields)


def test_a_page_token_of_another_filter_is_refused(stubs: Stubs, version: str) -> None:
    first = stubs.policies.ListPolicies(pb.ListPoliciesRequest(page_size=1), timeout=5)
    second = stubs.policies.ListPolicies(
        pb.ListPoliciesRequest(page_size=1_000, page_token=first.next_page_token), timeout=5
    )

    def asked_for(page_token: str, product: str = "") -> Refusal:
        request = pb.ListPoliciesRequest(product=product, page_token=page_token)
        return refusal(lambda: stubs.policies.ListPolicies(request, timeout=5))

    token = first.next_page_token
    wrong = [asked_for(token, "revolving"), asked_for(version), asked_for("é"), asked_for(token + "=")]

    assert version not in first.next_page_token
    assert not {one.version for one in first.policies} & {one.version for one in second.policies}
    assert [one.fields for one in wrong] == [("page_token",)] * 4
