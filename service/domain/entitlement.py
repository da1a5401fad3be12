"""Entitlements: raises that the rules promise a customer for a business date, each granted or withheld.

Promises that whoever the policy promises a raise on a date has exactly one entitlement for it, which says what was
promised, what was granted, and if less, why. Source of the promise: the policy's raise rules up to and with the
band's step; caps, budget, referral and playbooks only withhold.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from service.domain import scorecard
from service.domain.decision import APPROVED, Decision
from service.domain.policy import PORTFOLIO, Policy

RUN_CALLER = "holdline:run"
"""Who asks in the daily run."""


class EntitlementState(IntEnum):
    """What became of a promise; the numbers are the contract's."""

    GRANTED = 1
    WITHHELD = 2


_GRANTED: Final = EntitlementState.GRANTED
_WITHHELD: Final = EntitlementState.WITHHELD


class Entitlement(NamedTuple):
    """One promise kept or withheld; amounts in minor units, days since 1970-01-01."""

    account_id: str
    business_day: int
    state: EntitlementState
    reason: str
    """The first reason code of the decision."""
    promised_minor: int
    granted_minor: int
    policy_version: str
    segment: str
    """Name of the score band."""
    decision: int
    waiting_since: int
    """First day in a row that it was withheld for the portfolio's budget; 0 where it is not."""


def entitlement_of(decision: Decision, policy: Policy) -> Entitlement:
    """Give the entitlement that a decision with a promise settles, by the policy that decided.

    `waiting_since` is the decision's own day at the earliest; the ledger knows of days before.
    """
    granted_minor = max(decision.new_limit_minor - decision.old_limit_minor, 0)
    is_granted = decision.outcome is APPROVED and granted_minor > 0
    reason = decision.reasons[0]
    return Entitlement(
        decision.account_id, decision.business_day,
        _GRANTED if is_granted else _WITHHELD, reason,
        decision.promised_minor, granted_minor,
        decision.policy_version, scorecard.band(policy.bands, sum(decision.points)).name, decision.number,
        decision.business_day if reason == PORTFOLIO.reason else 0,
    )  # fmt: skip


def run_key(business_day: int, account_id: str) -> str:
    """Give the request id of an account's raise in the daily run of a day; one a day, whoever sends it."""
    return f"{business_day}/{account_id}"
