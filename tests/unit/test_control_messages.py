"""What the control plane answers: an absence is an absence, never a 0 with another meaning."""

import pytest
from holdline.v1 import playbook_service_pb2 as pb

from playbooks import registry
from service.rpc import pages
from service.rpc import playbook_messages as messages
from service.rpc.playbooks import LIST_ACTIVATIONS
from service.rpc.policies import LIST_POLICIES
from service.rpc.sentry import signal_message
from service.sentry.guards import Signal

PLAYBOOKS = registry.load()


@pytest.mark.parametrize(
    ("is_released", "retired", "state", "reason"),
    [
        (False, "", pb.PLAYBOOK_STATE_DRAFT, ""),
        (True, "", pb.PLAYBOOK_STATE_RELEASED, ""),
        (True, "too blunt", pb.PLAYBOOK_STATE_RETIRED, "too blunt"),
    ],
)
def test_a_playbook_is_a_draft_released_or_retired_with_a_reason(
    is_released: bool, retired: str, state: int, reason: str
) -> None:
    one = PLAYBOOKS.find("cap_growth", 2)._replace(is_released=is_released, retired=retired)

    made = messages.playbook(one)

    assert (made.state, made.retired_reason) == (state, reason)
    assert (made.replaces.playbook, made.replaces.version) == ("cap_growth", 1)
    assert {other.playbook: other.reason for other in made.conflicts} == dict(one.conflicts)


def test_a_policy_version_has_no_range_and_the_first_version_replaces_none() -> None:
    made = messages.playbook(PLAYBOOKS.find("rollback_policy", 1))

    (parameter,) = (one for one in made.parameters if one.name == "to_version")
    assert not parameter.HasField("lowest")
    assert not parameter.HasField("highest")
    assert not made.HasField("replaces")


def test_a_signal_names_its_fact_and_unit_and_no_baseline_that_it_does_not_need() -> None:
    psi = signal_message(Signal("fact_psi:dpd_now", "revolving", 1, 2, 1.5, True, 7, 3))
    latency = signal_message(Signal("latency", "", 1, 2, 0.5, False, 0, 0))

    assert (psi.name, psi.fact, psi.unit) == ("fact_psi", "dpd_now", pb.SIGNAL_UNIT_PARTS_PER_MILLION)
    assert (psi.percent, psi.baseline_version, psi.HasField("since")) == (150, 3, True)
    assert (latency.name, latency.fact, latency.unit) == ("latency", "", pb.SIGNAL_UNIT_MICROSECONDS)
    assert not latency.HasField("baseline_version")
    assert not latency.HasField("since")


def test_an_end_of_a_range_that_is_left_out_is_the_facts_own() -> None:
    scope, violations = messages.scope_of(pb.Scope(ranges=[pb.FactRange(fact="bureau_score", highest=500)]))

    assert violations == []
    assert [tuple(one[1:]) for one in scope.ranges] == [(300, 500)]
    assert scope.share_bp == 10_000


def test_a_token_serves_its_own_list_and_filter_only() -> None:
    token = pages.token(LIST_ACTIVATIONS, [1, 2], "17")

    assert pages.token_violations(LIST_ACTIVATIONS, [1, 2], token) == []
    assert pages.last_shown(token) == "17"
    assert pages.token_violations(LIST_ACTIVATIONS, [1, 2], "") == []
    for rpc, filters, wrong in (
        (LIST_POLICIES, [1, 2], token),
        ("/holdline.v1.OtherService/ListActivations", [1, 2], token),
        (LIST_ACTIVATIONS, [1], token),
        (LIST_ACTIVATIONS, [1, 2], token[:-1]),
        (LIST_ACTIVATIONS, [1, 2], "17"),
        (LIST_ACTIVATIONS, [1, 2], "\u00e9"),
    ):
        assert pages.token_violations(rpc, filters, wrong) == [pages.WRONG_TOKEN]
