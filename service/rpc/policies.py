"""PolicyService: validate, publish, read, promote and roll back policies.

Promises the four moves of an adapter: check, build, call, assemble.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from holdline.v1 import policy_service_pb2

from service.domain.book import key_of
from service.domain.errors import InvalidRequest, Violation
from service.domain.policy_life import PolicyRecord
from service.engine.desk import CheckedPolicy, Desk, PolicyOrder
from service.engine.ports import Call
from service.rpc import pages, texts, validation
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
            "Publish": self._publish_checked,
        }
        self.checks: dict[str, Callable[[Call], bytes]] = {"PublishPolicy": self._check}

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
                validation.fingerprint("publish", request.document),
                call.caller,
                document=request.document,
                checked=checked,
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
                *texts.violations(request),
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
                *([] if request.validate_only else validation.request_id_violations(request.request_id)),
                *validation.product_violations(request.product, needed=True),
                *(_version_violations(request.version) if request.version else []),
                *(_version_violations(request.from_version, "from_version") if request.from_version else []),
                *_reason_violations(request.reason),
                *texts.violations(request),
            ]
        )
        # Requests without it keep the seal that they had before it was known.
        left = (request.from_version,) if request.from_version else ()
        changed = self._desk.change(
            PolicyOrder(
                "rollback",
                key_of(call.caller, request.request_id),
                validation.fingerprint("rollback", request.product, request.version, request.reason, *left),
                call.caller,
                version=request.version,
                product=request.product,
                reason=request.reason,
                from_version=request.from_version,
                is_tried=request.validate_only,
            )
        )
        response = policy_service_pb2.RollbackPolicyResponse(
            policy=_version(changed.record), previous_version=changed.previous_version, replayed=changed.replayed
        )
        return response.SerializeToString()


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[bytes, CheckedPolicy]).decode
"""Of a request to publish and what its document was found to be; between processes of one build, never stored."""


def _publish_request(body: bytes) -> policy_service_pb2.PublishPolicyRequest:
    request = policy_service_pb2.PublishPolicyRequest.FromString(body)
    violations = validation.request_id_violations(request.request_id)
    if not request.document:
        violations.append(Violation("document", "send the policy as YAML or JSON"))
    validation.refuse(violations)
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


def _version_violations(version: str, field: str = "version") -> list[Violation]:
    if validation.is_version(version):
        return []
    return [Violation(field, "send 1 to 64 characters of [A-Za-z0-9._-]")]


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
