"""Replay: decide every recorded decision again and compare bit by bit.

Promises to judge each decision from its own record and policy version alone; a difference means that the record, the
policy or the code is not what it was.
"""

from collections import OrderedDict
from typing import NamedTuple

from service.domain.decide import judge, principal_reasons
from service.domain.decision import Decision, Kind, Moment, Outcome, recorded_standing
from service.domain.policy import Policy
from service.engine.ports import Ledger, PolicyReader

POLICIES_HELD = 16
DIFFERENCES_MAX = 100


class Replay(NamedTuple):
    """How many decisions were judged again, and each that came out differently."""

    decisions: int
    differences: tuple[str, ...]


def replay(ledger: Ledger, read_policy: PolicyReader) -> Replay:
    """Judge every recorded decision again."""
    policies: OrderedDict[str, Policy | None] = OrderedDict()
    differences: list[str] = []
    count = 0
    for sealed in ledger.sealed_all():
        count += 1
        decision = sealed.decided.decision
        version = decision.policy_version
        if version not in policies:
            record = ledger.policy(version)
            policies[version] = read_policy(record.document)[0] if record else None
            if len(policies) > POLICIES_HELD:
                policies.popitem(last=False)
        difference = difference_of(decision, policies[version])
        if difference and len(differences) < DIFFERENCES_MAX:
            differences.append(f"decision {decision.number:016x}: {difference}")
    return Replay(count, tuple(differences))


def difference_of(decision: Decision, policy: Policy | None) -> str:
    """Give what a second judgement says otherwise than the record, empty where nothing."""
    if policy is None:
        return f"policy {decision.policy_version} is missing"
    if decision.kind is Kind.IMPORT:
        return "" if decision.outcome is Outcome.APPROVED else "an import is always approved"
    verdict = judge(
        decision.kind, recorded_standing(decision), policy, Moment(decision.decided_us, decision.business_day)
    )
    recorded = (decision.outcome, decision.new_limit_minor, decision.points, decision.reasons)
    again = (verdict.outcome, verdict.new_limit_minor, verdict.points, principal_reasons(verdict.grounds))
    return "" if recorded == again else f"recorded {recorded}, now {again}"
