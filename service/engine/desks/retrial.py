"""An account's past judged again: reads what `domain.hindsight` needs of the store, within bounds.

Promises the right course of an account, all corrections together, or None where there is nothing to put right or it
can't be told: a past too long to read, a policy or playbook that is not to be had. A person decides then.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from service.domain.account import APPLICANT, DAYS_BACK_MAX, WINDOW_DAYS, Account, Course, limit_in_force
from service.domain.book import Book
from service.domain.case import Case, CaseState
from service.domain.decide import judge_in
from service.domain.decision import Decision, Kind, Moment, Standing, Verdict, is_cut
from service.domain.errors import ActivationNotFound, BuildLacksPlaybook, PolicyNotFound
from service.domain.hindsight import Correction, right_course
from service.domain.money import round_down
from service.domain.policy import DAY_US, Policy
from service.engine.control import Control
from service.engine.ports.store import NUMBER_MAX, Store

HISTORY_MAX: Final = 1_000
"""Decisions read of one account; who has more since the one that is appealed is judged by a person."""
HISTORY_FIRST: Final = 64
"""Decisions read at first: nearly always enough."""
CASES_MAX: Final = 200
"""Cases read of one account."""
REACH_US: Final = (WINDOW_DAYS + DAYS_BACK_MAX + 1) * DAY_US
"""How far before a decision others may lie that its growth caps count: the window, and how late a run may be."""


class Retrial(NamedTuple):
    """What came of judging an account's past again on behalf of one case."""

    course: Course
    corrections: tuple[Correction, ...]
    """All that count, the case's own first where it corrects anything."""


def retry(store: Store, control: Control, account: Account, case: Case) -> Retrial | None:
    """Judge an account's past again with what a case and others of the account put right; None where that is nothing.

    A case without corrected facts undoes a cut as it was.
    """
    known = store.cases.of_account(account.account_id, NUMBER_MAX, CASES_MAX + 1)
    if len(known) > CASES_MAX:
        return None
    cases = _counting(case, known)
    history = _history(store, account.account_id, min(one.decision for one in cases))
    if history is None:
        return None
    records = {decision.number: decision for decision in history}
    corrections = tuple(
        Correction(records[one.decision], one.news) for one in cases if one.news or is_cut(records[one.decision])
    )
    if not corrections:
        return None

    def again(decision: Decision, standing: Standing) -> Verdict:
        policy = control.version(store, decision.policy_version)
        mode = control.recorded_mode(store, decision.activations)
        moment = Moment(decision.decided_us, decision.business_day)
        return judge_in(mode, decision.kind, account.account_id, account.product, standing, policy, moment).verdict

    try:
        return Retrial(right_course(account, history, corrections, again), corrections)
    except (PolicyNotFound, ActivationNotFound, BuildLacksPlaybook):
        return None


def _counting(case: Case, known: Sequence[Case]) -> list[Case]:
    """Give the cases whose corrections count, this one first, then the newest first.

    Corrected facts count while nobody has denied them, also where their own decision would have come out the same. A
    case that was granted before the first corrected decision was made is part of what that decision stood on.
    """
    standing = [one for one in known if one.decision != case.decision and _stands(one)]
    counting, since = [case], case.decision
    while True:
        found = [
            one
            for one in standing
            if one.decision >= since or not one.result or one.resolved_us >= Book.microsecond(since)
        ]
        since = min(one.decision for one in (case, *found))
        if len(found) == len(counting) - 1:
            return counting
        counting = [case, *found]


def _history(store: Store, account_id: str, since: int) -> list[Decision] | None:
    """Read an account's decisions in order, from as far before a number as its growth caps reach; None if too many."""
    reach_us = Book.microsecond(since) - REACH_US
    for count in (HISTORY_FIRST, HISTORY_MAX):
        read = [decided.decision for decided in store.account_decisions(account_id, 0, count)]
        if len(read) < count or read[-1].decided_us < reach_us:
            return read[::-1]
    return None


def _stands(case: Case) -> bool:
    return case.state is CaseState.OVERTURNED or (case.state is CaseState.OPEN and bool(case.news))


def suggestion_minor(again: Retrial | None, account: Account, case: Case, policy: Policy) -> int:
    """Give the limit that a case's corrected facts give a settled account by now, in minor units; 0 where no more.

    No more than may be given today: the greatest limits of now hold, with a temporary raise in force counted in.
    """
    if again is None or again.corrections[0].decision.number != case.decision:
        return 0
    top_minor = policy.caps.absolute.bound - (limit_in_force(account) - account.limit_minor)
    if account.status is APPLICANT:
        top_minor = min(top_minor, policy.base_limit.maximum_minor)
    limit_minor = round_down(min(again.course.limit_minor, top_minor), policy.unit_minor)
    is_more = limit_minor > account.limit_minor and again.corrections[0].decision.kind is not Kind.TEMPORARY
    return limit_minor if is_more else 0
