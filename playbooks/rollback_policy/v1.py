"""Decide by an earlier policy version.

Symptoms:
    Outcomes changed right after a promotion: more refusals, more cuts, other scores.
Use when:
    The version before was fine, and you want its decisions for a product, a segment or a share of the accounts while
    the new one is looked at.
Don't use when:
    The new version is to go for good and for everybody: `holdline policy rollback` does that.
    The data is wrong, not the rules: the earlier version reads the same data.
Customers see:
    Decisions as before the change.
Check first:
    The preview: which outcomes differ. That the version named is the last one that was fine.
It worked when:
    New decisions name the earlier version as their policy.
To leave:
    Promote a mended version or roll the policy back for good, then end the activation.
"""

from typing import Annotated, Final, NamedTuple

from playbooks.declaration import PolicyVersion
from service.domain.playbook import Case, Safer
from service.domain.policy import Policy, Text

NAME: Final = "rollback_policy"
VERSION: Final = 1
REPLACES: Final = ""
APPROVALS: Final = 1
TTL_SECONDS_MAX: Final = 72 * 3_600
PRECEDENCE: Final = 10
CONFLICTS: Final[dict[str, str]] = {}
SIGNALS: Final = ("cut_rate", "raise_refusal_rate", "assign_refusal_rate", "score_psi")
SAFER: Final = Safer.NAMED_POLICY
TEXTS: Final[dict[str, Text]] = {}


class Parameters(NamedTuple):
    """The version to decide by."""

    to_version: Annotated[str, PolicyVersion("the version that decides; it must have decided before")]


def choose_policy(parameters: Parameters, case: Case) -> Policy:
    """Give the named version, for accounts of its product."""
    named = case.policies[parameters.to_version]
    return named if named.product == case.product else case.policy
