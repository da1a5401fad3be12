"""Pass to people whatever the last good policy would have decided otherwise.

Symptoms:
    A new policy is in doubt: scores or outcomes shifted, and some of the shift may be meant.
Use when:
    You want the new policy's decisions where both agree, and a person's eye where they don't.
Don't use when:
    Reviewers can't take the load that the preview shows: rollback_policy or hold_last_known_good.
    The data is wrong: both policies read the same data.
Customers see:
    Most decisions as usual; where the two policies differ, a person decides.
Check first:
    The preview: how many go to review. That the version named is the last one that was fine.
It worked when:
    Decisions that differ are REFERRED with reason POLICIES_DISAGREE.
To leave:
    Settle which policy is right, promote or roll back, then end the activation. The referred cases stay with people.
"""

from typing import Annotated, Final, NamedTuple

from playbooks.declaration import PolicyVersion, ground
from service.domain.decision import Outcome, Verdict
from service.domain.judge import judge
from service.domain.playbook import Case, Safer
from service.domain.policy import Text

NAME: Final = "refer_to_review"
VERSION: Final = 1
REPLACES: Final = ""
APPROVALS: Final = 1
TTL_SECONDS_MAX: Final = 72 * 3_600
PRECEDENCE: Final = 30
CONFLICTS: Final = {
    "static_scorecard": "it changes the facts, and this one compares policies on the same facts: all would be referred"
}
SIGNALS: Final = ("score_psi", "raise_refusal_rate", "assign_refusal_rate")
SAFER: Final = Safer.LESS_MOVEMENT
REASON: Final = "POLICIES_DISAGREE"
TEXTS: Final = {
    REASON: Text(
        "您的申请已转由专人审核。",
        "Your request has been passed to a person.",
        "您无需任何操作。",
        "There is nothing you need to do.",
    )
}
DISAGREE: Final = ground("refer_to_review/v1", REASON, "the last good policy gives the same outcome and limit")


class Parameters(NamedTuple):
    """The policy to compare with."""

    good_version: Annotated[str, PolicyVersion("the last good version; it must have decided before")]


def constrain(parameters: Parameters, case: Case, verdict: Verdict) -> Verdict:
    """Refer what the good version would have decided otherwise, for accounts of its product."""
    good = case.policies[parameters.good_version]
    if good.product != case.product:
        return verdict
    other = judge(case.kind, case.standing, good, case.moment)
    if (other.outcome, other.new_limit_minor) == (verdict.outcome, verdict.new_limit_minor):
        return verdict
    return Verdict(Outcome.REFERRED, case.standing.limit_minor, verdict.points, (DISAGREE,), 0)
