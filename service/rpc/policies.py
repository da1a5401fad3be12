"""PolicyService: validate, publish, read, promote and roll back policies.

Promises the four moves of an adapter: check, build, call, assemble.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from holdline.v1 import policy_service_pb2

from service.domain.book import key_of
from service.domain.errors import InvalidRequest, Violation
from service.domain.policy_life import PolicyChange, PolicyRecord
from service.engine.desks.policies import CheckedPolicy, PolicyDesk, PolicyOrder
from service.engine.ports.codec import Call
from service.rpc import commands, fields, pages
from service.rpc.actors import actor
from service.rpc.dates import micros, time_violations
from service.rpc.methods import INTERNAL, POLICIES
from service.rpc.pages import PAGE_SIZE, timestamp

LIST_POLICIES: Final = f"{POLICIES}ListPolicies"


class PolicyCalls:
    """The calls of PolicyService, in bytes."""

    def __init__(self, desk: PolicyDesk) -> None:
        self._desk = desk
        self.queries: dict[str, Callable[[Call], bytes]] = {
            f"{POLICIES}ValidatePolicy": self._validate,
            f"{POLICIES}PublishPolicy": self._publish,
            f"{POLICIES}GetPolicy": self._get,
            LIST_POLICIES: self._list,
            f"{POLICIES}PromotePolicy": self._promote,
            f"{POLICIES}RollbackPolicy": self._rollback,
            f"{INTERNAL}Publish": self._publish_checked,
        }
        self.checks: dict[str, Callable[[Call], bytes]] = {f"{POLICIES}PublishPolicy": self._check}

    def _validate(self, call: Call) -> bytes:
        request = policy_service_pb2.ValidatePolicyRequest.FromString(call.body)
        try:
            checked = self._desk.check(request.document)
            response = policy_service_pb2.ValidatePolicyResponse(content_hash=checked.content_hash)
        except InvalidRequest as error:
            response = policy_service_pb2.ValidatePolicyResponse(violations=_written(error.violations))
        return response.SerializeToString()

    def _check(self, call: Call) -> bytes:
        """Check a request to publish; gives what the engine is asked in its place."""
        request = _publish_request(call.body)
        checked = self._desk.check_to_publish(request.document)
        self._desk.prepare(request.document)
        return _encode((call.body, checked))

    def _publish_checked(self, call: Call) -> bytes:
        body, checked = _decode(call.body)
        return self._published(call, _publish_request(body), checked)

    def _publish(self, call: Call) -> bytes:
        return self._published(call, _publish_request(call.body), None)

    def _published(
        self, call: Call, request: policy_service_pb2.PublishPolicyRequest, checked: CheckedPolicy | None
    ) -> bytes:
        changed = self._desk.change(
            PolicyOrder(
                "publish",
                key_of(call.caller, request.request_id),
                commands.fingerprint("publish", request.document),
                call.caller,
                document=request.document,
                checked=checked,
            )
        )
        response = policy_service_pb2.PublishPolicyResponse(policy=_version(changed.record), replayed=changed.replayed)
        return response.SerializeToString()

    def _get(self, call: Call) -> bytes:
        request = policy_service_pb2.GetPolicyRequest.FromString(call.body)
        fields.refuse(_version_violations(request.version, "version"))
        record = self._desk.record(request.version)
        response = policy_service_pb2.GetPolicyResponse(policy=_version(record), document=record.document)
        return response.SerializeToString()

    def _list(self, call: Call) -> bytes:
        request = policy_service_pb2.ListPoliciesRequest.FromString(call.body)
        fields.refuse(
            [
                *fields.product_violations(request.product, needed=False),
                *pages.violations(LIST_POLICIES, request.product, request.page_size, request.page_token),
            ]
        )
        last = pages.last_shown(request.page_token)
        records = self._desk.records(request.product)
        versions = [record.version for record in records]
        if last and last not in versions:
            fields.refuse([pages.WRONG_TOKEN])
        start = versions.index(last) + 1 if last else 0
        size = request.page_size or PAGE_SIZE
        shown = pages.fitting(map(_version, records[start : start + size]), policy_service_pb2.PolicyVersion.ByteSize)
        is_last = start + len(shown) >= len(records)
        response = policy_service_pb2.ListPoliciesResponse(
            policies=shown,
            next_page_token="" if is_last else pages.token(LIST_POLICIES, request.product, shown[-1].version),
        )
        return response.SerializeToString()

    def _promote(self, call: Call) -> bytes:
        request = policy_service_pb2.PromotePolicyRequest.FromString(call.body)
        fields.refuse(
            [
                *fields.request_id_violations(request.request_id),
                *_version_violations(request.version, "version"),
                *_stage_violations(request),
                *fields.reason_violations(request.reason),
            ]
        )
        # What the contract of before could not say is no part of the seal unless it is said.
        effective_us = micros(request.effective_at)
        said = (effective_us,) if request.HasField("effective_at") else ()
        changed = self._desk.change(
            PolicyOrder(
                "promote",
                key_of(call.caller, request.request_id),
                commands.fingerprint("promote", request.version, request.reason, *said),
                call.caller,
                version=request.version,
                reason=request.reason,
                effective_us=effective_us,
            )
        )
        response = policy_service_pb2.PromotePolicyResponse(
            change=_change(changed.change), policy=_version(changed.record), replayed=changed.replayed
        )
        return response.SerializeToString()

    def _rollback(self, call: Call) -> bytes:
        request = policy_service_pb2.RollbackPolicyRequest.FromString(call.body)
        is_tried = request.validate_only
        violations = [
            *([] if is_tried and not request.request_id else fields.request_id_violations(request.request_id)),
            *fields.product_violations(request.product, needed=True),
            *fields.reason_violations(request.reason, needed=not is_tried),
        ]
        for field, version in (("from_version", request.from_version), ("to_version", request.to_version)):
            if version or not is_tried:
                violations += _version_violations(version, field)
        fields.refuse(violations)
        # Of a try, which is not kept, no version need be named; the seal is the one that the contract of before gave.
        left = (request.from_version,) if request.from_version else ()
        changed = self._desk.change(
            PolicyOrder(
                "rollback",
                key_of(call.caller, request.request_id),
                commands.fingerprint("rollback", request.product, request.to_version, request.reason, *left),
                call.caller,
                version=request.to_version,
                product=request.product,
                reason=request.reason,
                from_version=request.from_version,
                is_tried=is_tried,
            )
        )
        response = policy_service_pb2.RollbackPolicyResponse(
            change=_change(changed.change), policy=_version(changed.record), replayed=changed.replayed
        )
        return response.SerializeToString()


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[bytes, CheckedPolicy]).decode
"""Of a request to publish and what its document was found to be; between processes of one build, never stored."""


def _publish_request(body: bytes) -> policy_service_pb2.PublishPolicyRequest:
    request = policy_service_pb2.PublishPolicyRequest.FromString(body)
    violations = fields.request_id_violations(request.request_id)
    if not request.document:
        violations.append(Violation("document", "send the policy as YAML or JSON"))
    fields.refuse(violations)
    return request


def _written(violations: Sequence[Violation]) -> list[policy_service_pb2.PolicyViolation]:
    """Write violations, all of them where a page has room; the last one tells how many more there are."""
    shown = pages.fitting(
        (
            policy_service_pb2.PolicyViolation(
                path=violation.field.removeprefix("document.") or "document", message=violation.description
            )
            for violation in violations
        ),
        policy_service_pb2.PolicyViolation.ByteSize,
    )
    if len(shown) < len(violations):
        more = f"{len(violations) - len(shown)} more violations; mend these first"
        shown.append(policy_service_pb2.PolicyViolation(path="document", message=more))
    return shown


def _version_violations(version: str, field: str) -> list[Violation]:
    if fields.is_version(version):
        return []
    return [Violation(field, "send 1 to 64 characters of [A-Za-z0-9._-]")]


def _stage_violations(request: policy_service_pb2.PromotePolicyRequest) -> list[Violation]:
    """Give what is wrong with the stage to reach, its share and its time."""
    found = []
    stage = request.target_state
    if stage in _NOT_YET:
        name = policy_service_pb2.PolicyState.Name(stage)
        found.append(Violation("target_state", f"{name} does not exist yet; send POLICY_STATE_ACTIVE"))
    elif stage != policy_service_pb2.POLICY_STATE_ACTIVE:
        found.append(Violation("target_state", f"{stage} is no stage to promote to; send POLICY_STATE_ACTIVE"))
    if request.HasField("share_bp"):
        found.append(Violation("share_bp", "goes with POLICY_STATE_CANARY, which does not exist yet; leave it out"))
    if request.HasField("effective_at"):
        found += time_violations("effective_at", request.effective_at)
    return found


_NOT_YET: Final = (policy_service_pb2.POLICY_STATE_SHADOW, policy_service_pb2.POLICY_STATE_CANARY)


def _change(change: PolicyChange) -> policy_service_pb2.PolicyChange:
    """Give a promotion or roll-back; one that was only tried has no number."""
    state = policy_service_pb2.POLICY_CHANGE_STATE_APPLIED
    if not change.sequence:
        state = policy_service_pb2.POLICY_CHANGE_STATE_VALIDATED
    return policy_service_pb2.PolicyChange(
        change_id=f"P{change.sequence}" if change.sequence else "",
        product=change.product,
        state=state,
        from_version=change.previous_version,
        to_version=change.version,
        target_state=policy_service_pb2.POLICY_STATE_ACTIVE,
        requested_by=actor(change.caller),
        requested_at=timestamp(change.changed_us),
        effective_at=timestamp(change.changed_us),
        reason=change.reason,
    )


def _version(record: PolicyRecord) -> policy_service_pb2.PolicyVersion:
    return policy_service_pb2.PolicyVersion(
        version=record.version,
        product=record.product,
        currency_code=record.currency,
        content_hash=record.content_hash,
        state=policy_service_pb2.PolicyState.ValueType(int(record.state)),
        published_by=actor(record.published_by),
        published_at=timestamp(record.published_us),
        activated_at=timestamp(record.activated_us),
    )
