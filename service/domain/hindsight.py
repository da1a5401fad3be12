"""Hindsight: where an account would stand by now had the facts been right when it was decided.

Promises that corrected facts never give more than deciding rightly at the time would have: the account's decisions are
judged again one after the other, all corrections together, each by its own policy and mode, at the limit, waits and
room that the right course would have left. A fact that was wrong counts as wrong wherever the same observation of it
was used; what was observed anew stands.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from service.domain import late
from service.domain.account import (
    ACTIVE,
    APPLICANT,
    CLOSED,
    Account,
    Course,
    growth_then,
    moved,
    utilisation_bp,
)
from service.domain.decide import moves_after
from service.domain.decision import (
    APPEAL,
    APPROVED,
    ASSIGN,
    IMPORT,
    TEMPORARY,
    Decision,
    Standing,
    Verdict,
    own_limit_minor,
    recorded_standing,
)
from service.domain.facts import INDEX, Profile
from service.domain.policy import Policy

Again = Callable[[Decision, Standing], Verdict]
"""Judges a recorded decision's kind again on another standing, by the policy and mode of the record."""

_DPD_NOW: Final = INDEX["dpd_now"]
_MISUSE: Final = INDEX["misuse_flags"]
_OPENING: Final = frozenset((ASSIGN, IMPORT))


class Correction(NamedTuple):
    """What was wrong with one decision: corrected facts (fact index and value), none where it was undone as it was."""

    decision: Decision
    news: tuple[tuple[int, int], ...]


def right_course(
    account: Account, history: Sequence[Decision], corrections: Sequence[Correction], again: Again
) -> Course:
    """Give where an account would stand had its decisions been made with corrected facts.

    `history` holds its decisions in order, from at least two windows of the growth caps before the first corrected one
    or from the account's first, to the newest. `corrections` come in the order of their weight where two speak of one
    observation. What people gave on appeal beyond the right course is no part of the limit, but counts in caps.
    """
    first, since = history[0], min(correction.decision.number for correction in corrections)
    corrected = {correction.decision.number: correction for correction in corrections}
    account = account._replace(
        status=APPLICANT if first.kind in _OPENING else account.status,
        limit_minor=first.old_limit_minor,
        last_raise_day=first.growth.last_raise_day,
        last_cut_day=first.growth.last_cut_day,
        movements=(),
    )
    for decision in history:
        if decision.number < since:
            account = _moved(account, decision, own_limit_minor(decision))
        else:
            account = _lived(account, decision, corrected.get(decision.number), corrections, again)
    return Course(account.limit_minor, account.last_raise_day, account.last_cut_day, account.movements)


def _lived(
    account: Account, decision: Decision, own: Correction | None, corrections: Sequence[Correction], again: Again
) -> Account:
    """Give the account after a decision as it would have come out on the right course."""
    kind = decision.kind
    if kind is IMPORT:
        return _moved(account, decision, decision.new_limit_minor)
    if kind is APPEAL:
        return _given_beyond(account, decision)
    if kind is TEMPORARY or (kind is ASSIGN and account.status is not APPLICANT):
        return account
    if own is not None and not own.news:
        return account
    recorded = recorded_standing(decision)
    growth = growth_then(account, decision.business_day)
    if recorded.growth.later is not None and recorded.growth.later.is_budget_spent:
        growth = late.without_budget(growth)
    standing = recorded._replace(
        limit_minor=account.limit_minor,
        profile=corrected_profile(recorded.profile, corrections, own),
        growth=growth._replace(
            portfolio_room_minor=recorded.growth.portfolio_room_minor,
            temporary_minor=recorded.growth.temporary_minor,
        ),
    )
    if standing == recorded:
        return _moved(account, decision, own_limit_minor(decision))
    verdict = again(decision, standing)
    return _moved(account, decision, verdict.new_limit_minor) if verdict.outcome is APPROVED else account


def _given_beyond(account: Account, decision: Decision) -> Account:
    """Count what an appeal gave beyond the right course: it is no part of it, but uses up room."""
    course = decision.asked.course if decision.asked is not None else None
    rightly_minor = max(decision.old_limit_minor, course.limit_minor if course is not None else 0)
    beyond_minor = decision.new_limit_minor - rightly_minor
    if beyond_minor <= 0 or account.status is APPLICANT:
        return account
    return account._replace(
        last_raise_day=max(account.last_raise_day, decision.business_day),
        movements=moved(account.movements, decision.business_day, beyond_minor),
    )


def _moved(account: Account, decision: Decision, limit_minor: int) -> Account:
    """Move an account as a decision would have that left this limit."""
    moving = decision._replace(old_limit_minor=account.limit_minor, new_limit_minor=limit_minor)
    last_raise_day, last_cut_day, movements = moves_after(account, moving)
    return account._replace(
        # The record of a first limit that was refused still says applicant.
        status=ACTIVE if limit_minor else account.status,
        limit_minor=limit_minor, last_raise_day=last_raise_day, last_cut_day=last_cut_day, movements=movements,
    )  # fmt: skip


def corrected_profile(profile: Profile, corrections: Sequence[Correction], own: Correction | None = None) -> Profile:
    """Put right each fact of a profile that rests on an observation that was found wrong.

    `own` is the correction of the very decision whose profile it is; what it says counts whatever was observed. A fact
    that was put right is as old as the decision that it was found wrong in.
    """
    values, observed = list(profile.values), list(profile.observed_us)
    put_right: set[int] = set()
    for correction in (own, *corrections) if own is not None else corrections:
        wrong = correction.decision.profile
        for fact, value in correction.news:
            is_same = (profile.values[fact], profile.observed_us[fact]) == (wrong.values[fact], wrong.observed_us[fact])
            if fact not in put_right and (is_same or correction is own):
                put_right.add(fact)
                values[fact], observed[fact] = value, correction.decision.decided_us
    return Profile(tuple(values), tuple(observed)) if put_right else profile


def news_that_stand(account: Account, correction: Correction) -> tuple[tuple[int, int], ...]:
    """Give the corrected facts of a decision that nothing stated later has overtaken."""
    decided_us = correction.decision.decided_us
    return tuple(pair for pair in correction.news if account.profile.observed_us[pair[0]] <= decided_us)


def is_for_a_person(account: Account, profile: Profile, policy: Policy, now_us: int) -> bool:
    """Claim that a machine must not raise an account today: closed, past due, misusing, or barred by the policy.

    `profile` is what is known today, put right. What is known to be bad counts however long ago it was observed.
    """
    if account.status is CLOSED or (profile.values[_DPD_NOW] or 0) > 0 or (profile.values[_MISUSE] or 0) > 0:
        return True
    values, _ = policy.usable(profile.values, profile.observed_us, now_us)
    values.append(utilisation_bp(account.limit_minor, account.held_minor + account.outstanding_minor))
    barred = policy.knocked_out_of_first if account.status is APPLICANT else policy.knocked_out_of_raise
    return bool(barred(values) or policy.fired(values))
