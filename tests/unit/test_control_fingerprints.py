"""What a change of the control plane means stays what older builds stored: a retry over an upgrade is answered."""

from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec
from google.protobuf.message import Message
from google.rpc import status_pb2
from holdline.v1 import playbook_service_pb2 as pb
from holdline.v1 import policy_service_pb2 as policies

from tests.builders import REFERENCE, document, sqlite
from tests.in_process import sender


def _seal(*parts: object) -> bytes:
    """Give the seal of a request as the first build that knew it made it."""
    return blake2b(msgspec.msgpack.encode(parts), digest_size=16).digest()


_GROWTH: Final = [("first_limit_bp", 100), ("per_window_bp", 7)]
_SCOPE: Final = ("revolving", ((1, 300, 700),), 10_000)
CHANGES: Final[list[tuple[str, Message, bytes]]] = [
    ("PublishPolicy", policies.PublishPolicyRequest(document=document().replace(f"policy: {REFERENCE}", "policy: v2")),
     _seal("publish", document().replace(f"policy: {REFERENCE}", "policy: v2"))),
    ("PromotePolicy", policies.PromotePolicyRequest(
        version="v2", target_state=policies.POLICY_STATE_ACTIVE, reason="why"),
     _seal("promote", "v2", "why")),
    ("RollbackPolicy", policies.RollbackPolicyRequest(
        product="revolving", from_version="v2", to_version=REFERENCE, reason="back"),
     _seal("rollback", "revolving", REFERENCE, "back", "v2")),
    ("ActivatePlaybook", pb.ActivatePlaybookRequest(
        name="cap_growth", ttl_seconds=60, reason="why", incident="I1", force=True,
        parameters=[
            pb.Parameter(name="per_window_bp", value=pb.ParameterValue(whole=7)),
            pb.Parameter(name="first_limit_bp", value=pb.ParameterValue(whole=100)),
        ],
        scope=pb.Scope(product="revolving", ranges=[pb.FactRange(fact="bureau_score", lowest=300, highest=700)])),
     _seal("activate", "cap_growth", 0, _GROWTH, _SCOPE, 60, "why", "I1", False, True)),
    ("ExtendActivation", pb.ExtendActivationRequest(activation_id="A1", ttl_seconds=600, reason="longer"),
     _seal("extend", 1, "longer", 600)),
    ("EndActivation", pb.EndActivationRequest(activation_id="A1", reason="over"), _seal("end", 1, "over", 0)),
    ("ActivatePlaybook", pb.ActivatePlaybookRequest(name="read_only", version=1, ttl_seconds=60, reason="why"),
     _seal("activate", "read_only", 1, [], ("", (), 10_000), 60, "why", "", False, False)),
    ("ApproveActivation", pb.ApproveActivationRequest(activation_id="A2", note="seen"), _seal("approve", 2, "seen", 0)),
]  # fmt: skip


def test_each_change_is_sealed_as_it_was_by_older_builds(tmp_path: Path) -> None:
    store = sqlite(tmp_path / "holdline.db")
    send = sender(store)

    for place, (name, request, seal) in enumerate(CHANGES):
        request.request_id = key = f"k{place}"  # type: ignore[attr-defined]  # each has one.
        answer = send(name, request, f"caller{place}")
        assert answer.code == 0, (name, status_pb2.Status.FromString(answer.body))
        found = store.policy_change(f"caller{place}/{key}") or store.playbooks.change(f"caller{place}/{key}")
        assert found is not None
        assert found.fingerprint == seal, name
    store.close()
