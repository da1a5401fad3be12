"""From request messages to commands: every violation at once.

Promises that a fingerprint stands for the meaning of a request: field order, unknown fields and
the encoding don't count.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

import msgspec
from holdline.v1 import account_service_pb2, limit_service_pb2

from service.domain.decision import ASSIGN, IMPORT, TEMPORARY, Ask, Criticality, DecideCommand, Kind
from service.domain.errors import HoldlineError, InvalidRequest, Violation
from service.engine.ports.codec import Call, Work
from service.rpc import fields
from service.rpc.dates import micros, time_violations
from service.rpc.fields import (
    BATCH_ITEMS_MAX,
    DECIDABLE,
    VERSION_MAX,
    facts_of,
    is_account_id,
    is_product,
    is_request_id,
)

_encode: Final = msgspec.msgpack.Encoder().encode
CRITICALITIES: Final = tuple(Criticality)

_MEANT: Final = 4
"""So many fields of an `Ask` a caller can send; others must not change what keys that are kept stand for."""


def fingerprint(*parts: object) -> bytes:
    """Give 16 bytes that stand for a request's meaning."""
    return blake2b(_encode(parts), digest_size=16).digest()


def decide_command(request: limit_service_pb2.DecideRequest, call: Call) -> DecideCommand:
    """Build a command from a request; raises InvalidRequest with every violation."""
    request_id, account_id, product = request.request_id, request.account_id, request.product
    kind, version = DECIDABLE.get(request.kind), request.expected_version
    news, currencies, violations = facts_of(request.facts) if request.HasField("facts") else ((), (), [])
    asked, asked_currency, wrong = temporary_of(request, kind, is_ordered=False)
    violations += wrong
    if request.language_codes:
        violations += fields.language_violations(request)
    if (
        violations
        or kind is None
        or not is_request_id(request_id)
        or not is_account_id(account_id)
        or (product and not is_product(product))
        or (kind is ASSIGN and not product)
        or not 0 <= version <= VERSION_MAX
    ):
        raise InvalidRequest(
            (
                *fields.request_id_violations(request_id),
                *fields.account_id_violations(account_id),
                *fields.product_violations(product, needed=kind is ASSIGN),
                *fields.kind_violations(request.kind),
                *([] if 0 <= version <= VERSION_MAX else [Violation("expected_version", "send 0 or more")]),
                *violations,
            )
        )
    meant: tuple[object, ...] = (account_id, product, kind, news, currencies, version)
    if asked is not None:
        meant = (*meant, asked[:_MEANT], asked_currency)
    return DecideCommand(
        call.caller, request_id, fingerprint(*meant),
        account_id, product, kind, news, currencies, version, call.trace_id, 0, 0, "",
        CRITICALITIES[call.criticality], 0, asked, asked_currency,
    )  # fmt: skip


def temporary_command(request: account_service_pb2.GrantTemporaryRaiseRequest, call: Call) -> DecideCommand:
    """Build a command that orders a temporary raise; raises InvalidRequest with every violation."""
    asked, currency, wrong = temporary_of(request, TEMPORARY, is_ordered=True)
    wrong += [*fields.reason_violations(request.reason), *fields.language_violations(request)]
    fields.refuse(
        [*fields.request_id_violations(request.request_id), *fields.account_id_violations(request.account_id), *wrong]
    )
    assert asked is not None, "what is absent is a violation"
    asked = asked._replace(reason=request.reason)
    return DecideCommand(
        call.caller, request.request_id, fingerprint("temporary", request.account_id, asked, currency),
        request.account_id, "", TEMPORARY, (), (), 0, call.trace_id, asked=asked, asked_currency=currency,
    )  # fmt: skip


def temporary_of(
    request: limit_service_pb2.DecideRequest
    | limit_service_pb2.EvaluateRequest
    | account_service_pb2.GrantTemporaryRaiseRequest,
    kind: Kind | None,
    *,
    is_ordered: bool,
) -> tuple[Ask | None, str, list[Violation]]:
    """Give what a temporary raise is asked for, its currency, and what is wrong with it or with its being there."""
    if not request.HasField("temporary_raise"):
        if kind is not TEMPORARY:
            return None, "", []
        return None, "", [Violation("temporary_raise", "say how much more and until when")]
    asked = request.temporary_raise
    found = Ask(asked.extra.minor_units, micros(asked.until), is_ordered)
    if kind is not TEMPORARY:
        violations = [Violation("temporary_raise", "goes with DECISION_KIND_TEMPORARY_RAISE only; leave it out")]
        violations += time_violations("temporary_raise.until", asked.until)
    else:
        violations = fields.money_violations("temporary_raise.extra", asked.extra)
        if not asked.extra.minor_units:
            violations.append(Violation("temporary_raise.extra.minor_units", "0 raises nothing; send at least 1"))
        violations += time_violations("temporary_raise.until", asked.until)
    return found, asked.extra.currency_code, violations


def evaluate_command(request: limit_service_pb2.EvaluateRequest, call: Call) -> DecideCommand:
    """Build a command to compute only; raises InvalidRequest with every violation."""
    kind = DECIDABLE.get(request.kind)
    news, currencies, violations = facts_of(request.facts)
    violations = [
        *fields.account_id_violations(request.account_id),
        *fields.product_violations(request.product, needed=kind is ASSIGN),
        *fields.kind_violations(request.kind),
        *violations,
    ]
    asked, asked_currency, wrong = temporary_of(request, kind, is_ordered=False)
    violations += [*wrong, *fields.language_violations(request)]
    if request.policy_version and not fields.is_version(request.policy_version):
        violations.append(Violation("policy_version", "send 1 to 64 characters of [A-Za-z0-9._-]"))
    if request.mode_id and not fields.is_mode_id(request.mode_id):
        violations.append(Violation("mode_id", "send normal, the id of the mode in force, or nothing"))
    if violations or kind is None:
        raise InvalidRequest(tuple(violations))
    return DecideCommand(
        call.caller, "", b"", request.account_id, request.product, kind, news, currencies, 0, call.trace_id,
        asked=asked, asked_currency=asked_currency,
    )  # fmt: skip


def import_command(request: account_service_pb2.ImportAccount, call: Call) -> DecideCommand:
    """Build a command that takes an account over; raises InvalidRequest with every violation."""
    news, currencies, violations = facts_of(request.facts)
    violations = [
        *fields.request_id_violations(request.request_id),
        *fields.account_id_violations(request.account_id),
        *fields.product_violations(request.product, needed=True),
        *fields.money_violations("limit", request.limit),
        *violations,
    ]
    violations += fields.language_violations(request)
    if request.HasField("outstanding"):
        violations += fields.money_violations("outstanding", request.outstanding)
        if request.outstanding.currency_code != request.limit.currency_code:
            violations.append(Violation("outstanding.currency_code", "send the currency of the limit"))
    if violations:
        raise InvalidRequest(tuple(violations))
    limit, owed, currency = request.limit.minor_units, request.outstanding.minor_units, request.limit.currency_code
    seal = fingerprint(request.account_id, request.product, IMPORT, news, currencies, limit, owed, currency)
    return DecideCommand(
        call.caller, request.request_id, seal, request.account_id, request.product, IMPORT, news, currencies, 0,
        call.trace_id, limit, owed, currency, CRITICALITIES[call.criticality],
    )  # fmt: skip


def batch(
    requests: Sequence[limit_service_pb2.DecideRequest] | Sequence[account_service_pb2.ImportAccount],
    call: Call,
    field: str,
) -> Work:
    """Build a batch's commands, an error in place of each that is invalid.

    Raises InvalidRequest for the batch itself: no item, too many, or request ids that repeat.
    """
    if not 1 <= len(requests) <= BATCH_ITEMS_MAX:
        raise InvalidRequest((Violation(field, f"{len(requests)} items; send 1 to {BATCH_ITEMS_MAX}"),))
    request_ids = [request.request_id for request in requests]
    if len(set(request_ids)) != len(request_ids):
        raise InvalidRequest(tuple(_repeated(request_ids, field)))
    return Work([_one(request, call) for request in requests], request_ids, fields.languages_of(requests))


def _one(
    request: limit_service_pb2.DecideRequest | account_service_pb2.ImportAccount, call: Call
) -> DecideCommand | HoldlineError:
    try:
        if isinstance(request, limit_service_pb2.DecideRequest):
            return decide_command(request, call)
        return import_command(request, call)
    except InvalidRequest as error:
        return error


def _repeated(request_ids: Iterable[str], field: str) -> Iterable[Violation]:
    first: dict[str, int] = {}
    for position, request_id in enumerate(request_ids):
        if request_id in first:
            yield Violation(
                f"{field}[{position}].request_id", f"repeats {field}[{first[request_id]}]; ids must differ in a batch"
            )
        first.setdefault(request_id, position)
