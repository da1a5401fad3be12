"""Replay: decide every recorded decision again and compare bit by bit.

Promises to judge each decision from its own record, policy version and activations alone; a difference means that the
record, the policy, a playbook or the code is not what it was.
"""

from collections.abc import Iterator
from typing import NamedTuple

from service.domain import rules
from service.domain.decide import judge_in, principal_reasons
from service.domain.decision import Decision, Kind, Moment, Outcome, recorded_standing
from service.domain.errors import ActivationNotFound, BuildLacksPlaybook, PolicyNotFound
from service.domain.facts import ERASED
from service.engine.control import Control
from service.engine.ports.ledger import Ledger, Unreadable

DIFFERENCES_MAX = 100


class Replay(NamedTuple):
    """How many decisions were judged again, and each that came out differently."""

    decisions: int
    differences: tuple[str, ...]
    erased: int = 0
    """Decisions whose facts were erased: they are counted, and can't be judged again."""


def replay(ledger: Ledger, control: Control) -> Replay:
    """Judge every recorded decision again."""
    differences: list[str] = []
    count = erased = 0
    for decision, unread in _decisions(ledger):
        count += 1
        erased += decision is not None and decision.profile is ERASED
        said = unread if decision is None else difference_of(decision, ledger, control)
        if said and len(differences) < DIFFERENCES_MAX:
            differences.append(said if decision is None else f"decision {decision.number:016x}: {said}")
    return Replay(count, tuple(differences), erased)


def _decisions(ledger: Ledger) -> Iterator[tuple[Decision | None, str]]:
    """Read every decision, or what is said of one that can't be read."""
    recorded = ledger.sealed_all()
    while True:
        try:
            yield next(recorded).decided.decision, ""
        except StopIteration:
            return
        except Unreadable as error:
            yield None, str(error)


def difference_of(decision: Decision, ledger: Ledger, control: Control) -> str:
    """Give what a second judgement says otherwise than the record, empty where nothing, or where facts were erased."""
    if decision.profile is ERASED:
        return ""
    try:
        policy = control.version(ledger, decision.policy_version)
        mode = control.recorded_mode(ledger, decision.activations)
    except PolicyNotFound:
        return f"policy {decision.policy_version} is missing"
    except Unreadable as error:
        return f"its policy or mode: {error}"
    except (ActivationNotFound, BuildLacksPlaybook) as error:
        return f"{error.reason.lower()}: {error.metadata['activation_id']}"
    if decision.kind is Kind.IMPORT:
        return "" if decision.outcome is Outcome.APPROVED else "an import is always approved"
    if not rules.FIRST <= decision.rules <= rules.CURRENT:
        return f"rules of judging {decision.rules} are unknown to this build, which knows up to {rules.CURRENT}"
    judgement = judge_in(
        mode, decision.kind, decision.account_id, policy.product, recorded_standing(decision), policy,
        Moment(decision.decided_us, decision.business_day),
    )  # fmt: skip
    verdict = judgement.verdict
    recorded = (
        decision.outcome, decision.new_limit_minor, decision.points, decision.reasons, decision.activations,
        decision.promised_minor,
    )  # fmt: skip
    reasons = principal_reasons(verdict.grounds)
    again = (
        verdict.outcome, verdict.new_limit_minor, verdict.points, reasons, judgement.activations,
        verdict.promised_minor,
    )  # fmt: skip
    return "" if recorded == again else f"recorded {recorded}, now {again}"
