"""Appeals and what else customers say: cases with their states, and voices, which feedback, surveys and appeals leave.

Promises that a case is resolved once, that a change of limit above the four-eyes threshold takes two people, and that
a decision is appealed once, by its own account.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from service.domain.decision import Decision, Kind, is_adverse
from service.domain.errors import ApprovalRefused, CaseOver, NothingToAppeal

TEXT_MAX: Final = 2_000
"""Longest text of a customer or reviewer, in characters."""
SCORE_MAX: Final = 5
"""Best score of a survey; the worst is 1."""
UNHAPPY_SCORE: Final = 2
"""A survey's score up to which it counts as a complaint."""
APPEALABLE: Final = (Kind.ASSIGN, Kind.RAISE, Kind.REDUCE, Kind.REVIEW, Kind.TEMPORARY)


class CaseState(IntEnum):
    """Where an appeal stands; the numbers are the contract's."""

    OPEN = 1
    AWAITING_SECOND = 2
    """One person wants it overturned; another one must, too."""
    UPHELD = 3
    """The decision stands."""
    OVERTURNED = 4


class Resolution(IntEnum):
    """What becomes of an appeal; the numbers are the contract's."""

    UPHOLD = 1
    OVERTURN = 2


class Case(NamedTuple):
    """One appeal; amounts in minor units, times in microseconds since the epoch UTC."""

    number: int
    """0 before it is stored."""
    account_id: str
    decision: int
    """Number of the decision that is appealed."""
    state: CaseState
    statement: str
    news: tuple[tuple[int, int], ...]
    """Corrected facts, pairs of fact index and value."""
    submitted_by: str
    submitted_us: int
    due_us: int
    """When it should be resolved by: the service level."""
    suggested_minor: int
    """The limit that the corrected facts give; 0 where they change nothing."""
    proposed_minor: int = 0
    """With AWAITING_SECOND: the limit that one person wants."""
    proposed_by: str = ""
    resolved_by: str = ""
    resolved_us: int = 0
    note: str = ""
    result: int = 0
    """Number of the decision that overturned it; 0 where none did."""

    @property
    def name(self) -> str:
        """The case's id for people: C and its number."""
        return f"C{self.number}"


class CaseChange(NamedTuple):
    """One change of a case, as a key stands for it."""

    key: str
    fingerprint: bytes
    number: int
    action: str
    """submit and the number of its voice, settle, or the state after it in small letters."""
    caller: str
    changed_us: int
    note: str = ""
    """What a person said with it."""
    limit_minor: int = 0
    """The limit that was wanted or given with it; 0 where none."""

    @property
    def is_word(self) -> bool:
        """Whether somebody said it on the case, after it had been opened."""
        return not self.action.startswith("submit")


class VoiceKind(IntEnum):
    """How a customer spoke up."""

    FEEDBACK = 1
    SURVEY = 2
    APPEAL = 3


class Category(IntEnum):
    """What a piece of feedback is about; the numbers are the contract's."""

    UNCLEAR = 1
    UNFAIR = 2
    WRONG_DATA = 3
    PRAISE = 4
    OTHER = 5


COMPLAINTS: Final = (Category.UNCLEAR, Category.UNFAIR, Category.WRONG_DATA)


class Voice(NamedTuple):
    """One thing that a customer said, with what it counts for."""

    number: int
    """0 before it is stored."""
    key: str
    fingerprint: bytes
    kind: VoiceKind
    account_id: str
    decision: int
    """Number of the decision that it is about; 0 where none."""
    product: str
    policy_version: str
    reasons: tuple[str, ...]
    """Reason codes of the decision."""
    category: int
    """With FEEDBACK: a Category; 0 otherwise."""
    score: int
    """With SURVEY: 1 to 5; 0 otherwise."""
    text: str
    said_us: int

    @property
    def is_complaint(self) -> bool:
        """Whether it speaks of a customer who is upset."""
        if self.kind is VoiceKind.SURVEY:
            return self.score <= UNHAPPY_SCORE
        return self.kind is VoiceKind.APPEAL or self.category in COMPLAINTS


class ReasonLine(NamedTuple):
    """What customers said of one reason code under one policy version, in a period and in the one before."""

    reason: str
    policy_version: str
    complaints: int
    appeals: int
    complaints_before: int


class FeedbackReport(NamedTuple):
    """What customers said in a period; surveys by score, 1 to 5."""

    lines: tuple[ReasonLine, ...]
    voices: int
    complaints: int
    surveys: tuple[int, ...]


def refuse_appeal(decision: Decision) -> None:
    """Refuse an appeal of what holds nothing against the customer; raises NothingToAppeal."""
    if decision.kind not in APPEALABLE or not is_adverse(decision):
        raise NothingToAppeal(decision_id=f"{decision.number:016x}", outcome=decision.outcome.name.lower())


def refuse_over(case: Case) -> None:
    """Refuse a word on a case that is resolved; raises CaseOver."""
    if case.state in (CaseState.UPHELD, CaseState.OVERTURNED):
        raise CaseOver(case_id=case.name, state=case.state.name.lower())


def resolved(
    case: Case, resolution: Resolution, limit_minor: int, by: str, note: str, room_minor: int, now_us: int,
    limit_now_minor: int,
) -> Case:  # fmt: skip
    """Give a case after one person's word on it: UPHELD, OVERTURNED, or AWAITING_SECOND.

    `room_minor` is by how much one person alone may raise. Raises CaseOver or ApprovalRefused.
    """
    refuse_over(case)
    if resolution is Resolution.UPHOLD:
        return case._replace(state=CaseState.UPHELD, resolved_by=by, resolved_us=now_us, note=note)
    if limit_minor - limit_now_minor > room_minor:
        if case.state is not CaseState.AWAITING_SECOND or case.proposed_minor != limit_minor:
            return case._replace(state=CaseState.AWAITING_SECOND, proposed_minor=limit_minor, proposed_by=by, note=note)
        if case.proposed_by == by:
            raise ApprovalRefused("nobody approves their own resolution; ask somebody else", case_id=case.name)
    return case._replace(state=CaseState.OVERTURNED, resolved_by=by, resolved_us=now_us, note=note or case.note)


def report_of(voices: Sequence[Voice], since_us: int) -> FeedbackReport:
    """Count voices by reason code and policy version; those before `since_us` are the period before."""
    counts: dict[tuple[str, str], list[int]] = {}
    surveys = [0] * SCORE_MAX
    said = upset = 0
    for voice in voices:
        is_before = voice.said_us < since_us
        if not is_before:
            said += 1
            upset += voice.is_complaint
            if voice.kind is VoiceKind.SURVEY:
                surveys[voice.score - 1] += 1
        if not voice.is_complaint:
            continue
        for reason in voice.reasons or ("",):
            line = counts.setdefault((reason, voice.policy_version), [0, 0, 0])
            line[2 if is_before else 0] += 1
            line[1] += voice.kind is VoiceKind.APPEAL and not is_before
    lines = [ReasonLine(*name, *line) for name, line in counts.items()]
    lines.sort(key=lambda line: (-line.complaints, -line.complaints_before, line.reason, line.policy_version))
    return FeedbackReport(tuple(lines), said, upset, tuple(surveys))
