"""The hand-written encoder makes what the generated classes make."""

import re

from google.protobuf.timestamp_pb2 import Timestamp
from holdline.v1 import account_pb2, decision_pb2, limit_service_pb2, money_pb2, text_pb2
from hypothesis import given
from hypothesis import strategies as st

from service.domain.account import NO_GROWTH, Status, Temporary
from service.domain.decision import Decided, Decision, Kind, Outcome
from service.domain.facts import FACTS, MONEY_FACTS, NEVER_OBSERVED, Profile
from service.rpc import wire
from tests.builders import policy

AMOUNTS = st.integers(0, 10**15)
ACTIVATIONS = (("A1", "freeze_raises", 1), ("A17", "cap_growth", 2), ("A900", "read_only", 130))
IDS = st.text("abcXYZ019._:-", min_size=1, max_size=64)
PROFILES = st.tuples(*(st.none() | st.integers(fact.lowest, fact.highest) for fact in FACTS)).map(
    lambda values: Profile(values, (NEVER_OBSERVED,) * len(FACTS))
)
DECISIONS = st.builds(
    Decision,
    number=st.integers(0, 2**62), previous=st.just(0), account_id=IDS, account_version=st.integers(1, 2**40),
    kind=st.sampled_from(Kind), outcome=st.sampled_from(Outcome), status=st.sampled_from(Status),
    old_limit_minor=AMOUNTS, new_limit_minor=AMOUNTS, held_minor=AMOUNTS, outstanding_minor=AMOUNTS, profile=PROFILES,
    growth=st.just(NO_GROWTH), points=st.lists(st.integers(-500, 500), max_size=5).map(tuple),
    reasons=st.lists(st.sampled_from(sorted(policy().texts)), min_size=1, max_size=4, unique=True).map(tuple),
    policy_version=st.just("reference-2026-2"), mode_id=st.just("normal"),
    activations=st.lists(st.sampled_from([f"{name}@{book}/v{version}" for name, book, version in ACTIVATIONS]), max_size=3, unique=True).map(tuple), caller=IDS, request_id=IDS, fingerprint=st.just(b""),
    trace_id=st.sampled_from(("", "4bf92f3577b34da6a3ce929d0e0e4736")), decided_us=st.integers(0, 2**52),
    business_day=st.integers(1, 60_000), notice_day=st.integers(0, 60_000), asked=st.none(),
    promised_minor=st.just(0) | AMOUNTS,
    temporary=st.none() | st.builds(Temporary, st.integers(1, 10**6), st.integers(1, 2**52)),
    rules=st.integers(1, 200),
)  # fmt: skip


def _money(minor_units: int) -> money_pb2.Money:
    return money_pb2.Money(minor_units=minor_units, currency_code="CNY")


def _temporary(raised: Temporary | None) -> account_pb2.TemporaryRaise | None:
    if raised is None:
        return None
    until = Timestamp(seconds=raised.until_us // 10**6, nanos=raised.until_us % 10**6 * 1_000)
    return account_pb2.TemporaryRaise(extra=_money(raised.extra_minor), until=until)


def _day(number: int) -> str:
    return Timestamp(seconds=number * 86_400).ToJsonString()[:10] if number else ""


def _reason(code: str, languages: tuple[str, ...]) -> decision_pb2.Reason:
    told = policy().texts[code]
    texts = [
        text_pb2.LocalizedText(language_code=language, text=text)
        for language, text in (("zh", told.zh), ("en", told.en)) if language in languages
    ]  # fmt: skip
    return decision_pb2.Reason(code=code, texts=texts)


def _expected(decided: Decided, languages: tuple[str, ...]) -> limit_service_pb2.DecideResponse:
    made = decided.decision
    facts = account_pb2.Facts()
    for index, value in enumerate(made.profile.values):
        if value is None:
            continue
        if index in MONEY_FACTS:
            getattr(facts, FACTS[index].name).CopyFrom(_money(value))
        else:
            setattr(facts, FACTS[index].name, value)
    own = made.old_limit_minor if made.kind is Kind.TEMPORARY else made.new_limit_minor
    effective = own + (made.temporary.extra_minor if made.temporary else 0)
    balances = account_pb2.Balances(
        limit=_money(own), effective_limit=_money(effective), held=_money(made.held_minor),
        outstanding=_money(made.outstanding_minor),
        available=_money(max(effective - made.held_minor - made.outstanding_minor, 0)),
    )  # fmt: skip
    decision = decision_pb2.Decision(
        decision_id=f"{made.number:016x}" if made.number else "", account_id=made.account_id,
        kind=decision_pb2.DecisionKind.ValueType(int(made.kind)),
        outcome=decision_pb2.Outcome.ValueType(int(made.outcome)), old_limit=_money(made.old_limit_minor),
        new_limit=_money(own), score=sum(made.points) if made.points else None,
        reasons=[_reason(code, languages) for code in made.reasons],
        policy_version=made.policy_version, mode_id=made.mode_id,
        activations=[
            decision_pb2.ActivationRef(id=name, playbook=book, version=int(version))
            for name, book, version in (re.split("@|/v", title) for title in made.activations)
        ],
        caller=made.caller,
        request_id=made.request_id,
        decided_at=Timestamp(seconds=made.decided_us // 10**6, nanos=made.decided_us % 10**6 * 1_000),
        account_version=made.account_version, trace_id=made.trace_id, business_date=_day(made.business_day),
        notice_due_date=_day(made.notice_day), promised=_money(made.promised_minor) if made.promised_minor else None,
        temporary_raise=_temporary(made.temporary), rules_version=made.rules, balances=balances,
    )  # fmt: skip
    account = account_pb2.Account(
        account_id=made.account_id, product=decided.product,
        status=account_pb2.AccountStatus.ValueType(int(made.status)), balances=balances,
        version=made.account_version, facts=facts, temporary_raise=_temporary(made.temporary),
    )  # fmt: skip
    return limit_service_pb2.DecideResponse(decision=decision, account=account, replayed=decided.replayed)


@given(DECISIONS, st.booleans(), st.sampled_from([("zh", "en"), ("zh",), ("en",)]))
def test_a_decision_is_written_as_the_generated_classes_write_it(
    decision: Decision, replayed: bool, languages: tuple[str, ...]
) -> None:
    decided = Decided(decision, "revolving", "CNY", replayed)

    reasons = wire.Reasons().written(decision.reasons, policy().version, lambda _: policy(), languages)
    written = wire.decide_response(decided, reasons)

    assert limit_service_pb2.DecideResponse.FromString(written) == _expected(decided, languages)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_varint_reads_back(number: int) -> None:
    message = money_pb2.Money.FromString(b"\x08" + wire.varint(number))

    assert message.minor_units == number
