"""PolicyService: validate, publish, read, promote and roll back policies.

Promises the four moves of an adapter: check, build, call, assemble.
"""

from collections.abc import Callable
from typing import Final

from holdline.v1 import policy_service_pb2

from service.domain.book import key_of
from service.domain.errors import InvalidRequest, Violation
from service.domain.policy_life import PolicyRecord
from service.engine.desk import Desk, PolicyOrder
from service.engine.ports import Call
from service.rpc import pages, validation
from service.rpc.pages import PAGE_SIZE, size_violations, timestamp

REASON_LENGTH_MAX: Final = 500


class PolicyCalls:
    """The calls of PolicyService, in bytes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.queries: dict[str, Callable[[Call], bytes]] = {
            "ValidatePolicy": self._validate,
            "PublishPolicy": self._publish,
            "GetPolicy": self._get,
            "ListPolicies": self._list,
            "PromotePolicy": self._promote,
            "RollbackPolicy": self._rollback,
        }

    def _validate(self, call: Call) -> bytes:
        request = policy_service_pb2.ValidatePolicyRequest.FromString(call.body)
        try:
            response = policy_service_pb2.ValidatePolicyResponse(content_hash=self._desk.validate(request.document))
        except InvalidRequest as error:
            found = [
                policy_service_pb2.PolicyViolation(
                    path=violation.field.removeprefix("document.") or "document", message=violation.description
                )
                for violation in error.violations
            ]
            response = policy_service_pb2.ValidatePolicyResponse(violations=found)
        return response.SerializeToString()

    def _publish(self, call: Call) -> bytes:
        request = policy_service_pb2.PublishPolicyRequest.FromString(call.body)
        violations = validation.request_id_violations(request.request_id)
        if not request.document:
            violations.append(Violation("document", "send the policy as YAML or JSON"))
        validation.refuse(violations)
        changed = self._desk.change(
            PolicyOrder(
                "publish",
                key_of(call.caller, request.request_id),
                validation.fingerprint("publish", request.document),
                call.caller,
                document=request.document,
            )
        )
        response = policy_service_pb2.PublishPolicyResponse(policy=_version(changed.record), replayed=changed.replayed)
        return response.SerializeToString()

    def _get(self, call: Call) -> bytes:
        request = policy_service_pb2.GetPolicyRequest.FromString(call.body)
        validation.refuse(_version_violations(request.version))
        record = self._desk.policy_record(request.version)
        response = policy_service_pb2.GetPolicyResponse(policy=_version(record), document=record.document)
        return response.SerializeToString()

    def _list(self, call: Call) -> bytes:
        request = policy_service_pb2.ListPoliciesRequest.FromString(call.body)
        violations = [
            *validation.product_violations(request.product, needed=False),
            *size_violations(request.page_size),
        ]
        records = self._desk.policy_records(request.product) if not violations else []
        start = 0
        if request.page_token:
            versions = [record.version for record in records]
            if request.page_token in versions:
                start = versions.index(request.page_token) + 1
            else:
                violations.append(Violation("page_token", "send next_page_token of the page before, unchanged"))
        validation.refuse(violations)
        size = request.page_size or PAGE_SIZE
        shown = pages.fitting(map(_version, records[start : start + size]), policy_service_pb2.PolicyVersion.ByteSize)
        response = policy_service_pb2.ListPoliciesResponse(
            policies=shown, next_page_token=shown[-1].version if start + len(shown) < len(records) else ""
        )
        return response.SerializeToString()

    def _promote(self, call: Call) -> bytes:
        request = policy_service_pb2.PromotePolicyRequest.FromString(call.body)
        validation.refuse(
            [
                *validation.request_id_violations(request.request_id),
                *_version_violations(request.version),
                *_reason_violations(request.reason),
            ]
        )
        changed = self._desk.change(
            PolicyOrder(
                "promote",
                key_of(call.caller, request.request_id),
                validation.fingerprint("promote", request.version, request.reason),
                call.caller,
                version=request.version,
                reason=request.reason,
            )
        )
        response = policy_service_pb2.PromotePolicyResponse(
            policy=_version(changed.record), previous_version=changed.previous_version, replayed=changed.replayed
        )
        return response.SerializeToString()

    def _rollback(self, call: Call) -> bytes:
        request = policy_service_pb2.RollbackPolicyRequest.FromString(call.body)
        validation.refuse(
            [
                *validation.request_id_violations(request.request_id),
                *validation.product_violations(request.product, needed=True),
                *(_version_violations(request.version) if request.version else []),
                *_reason_violations(request.reason),
            ]
        )
        changed = self._desk.change(
            PolicyOrder(
                "rollback",
                key_of(call.caller, request.request_id),
                validation.fingerprint("rollback", request.product, request.version, request.reason),
                call.caller,
                version=request.version,
                product=request.product,
                reason=request.reason,
            )
        )
        response = policy_service_pb2.RollbackPolicyResponse(
            policy=_version(changed.record), previous_version=changed.previous_version, replayed=changed.replayed
        )
        return response.SerializeToString()


def _version_violations(version: str) -> list[Violation]:
    if validation.is_version(version):
        return []
    return [Violation("version", "send 1 to 64 characters of [A-Za-z0-9._-]")]


def _reason_violations(reason: str) -> list[Violation]:
    if len(reason) <= REASON_LENGTH_MAX:
        return []
    return [Violation("reason", f"{len(reason)} characters; send at most {REASON_LENGTH_MAX}")]


def _version(record: PolicyRecord) -> policy_service_pb2.PolicyVersion:
    return policy_service_pb2.PolicyVersion(
        version=record.version,
        product=record.product,
        currency_code=record.currency,
        content_hash=record.content_hash,
        state=policy_service_pb2.PolicyState.ValueType(int(record.state)),
        published_by=record.published_by,
        published_at=timestamp(record.published_us),
        activated_at=timestamp(record.activated_us),
    )
