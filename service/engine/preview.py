"""Preview a playbook: decide the newest recorded decisions again as if it had been in force, and count what differs.

Promises to write nothing, and to change one thing only: each decision keeps its own policy version and the activations
it was made under, and the playbook comes on top. What differs is the playbook's doing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from service.domain.decide import judge_in, principal_reasons
from service.domain.decision import Criticality, Decided, Decision, Kind, Moment, recorded_standing
from service.domain.errors import HoldlineError
from service.domain.mode import Mode, Scope, admit, covers
from service.domain.money import SUM_MAX
from service.domain.playbook import Playbook, Request
from service.domain.policy import Ground, Policy
from service.engine.ports.store import NUMBER_MAX, Store

SAMPLES: Final = 10
PAGE: Final = 1_000
"""Decisions read at a time, so that memory doesn't grow with the preview."""
REFUSED: Final = 0
"""In place of an outcome: the call would have been refused."""
CRITICALITY_UNKNOWN: Final = "The log doesn't hold how critical a call was; each is counted as interactive."


Why = tuple[Ground, ...] | HoldlineError
NO_GROUNDS: Final[Why] = ()


class Changed(NamedTuple):
    """One decision that would have come out otherwise; limit in minor units, outcome 0 where it would be refused."""

    decision: Decision
    currency: str
    outcome: int
    limit_minor: int
    why: Why

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reason codes that would have been; none for a refused call."""
        return () if isinstance(self.why, HoldlineError) else principal_reasons(self.why)

    @property
    def refusal(self) -> str:
        """The reason of the error that the call would have been refused with; empty for an answered one."""
        return self.why.reason if isinstance(self.why, HoldlineError) else ""


class Money(NamedTuple):
    """Limits granted and cut, as recorded and as they would have been, in minor units of one currency.

    SUM_MAX stands for as much or more: of an absurd policy's decisions, too, on-call gets a preview.
    """

    raised_was: int = 0
    raised_would_be: int = 0
    cut_was: int = 0
    cut_would_be: int = 0


class Preview(NamedTuple):
    """What a playbook would have changed; transitions are (kind, outcome, outcome that would have been)."""

    decisions: int
    covered: int
    changed: int
    transitions: Counter[tuple[int, int, int]]
    money: dict[str, Money]
    samples: tuple[Changed, ...]
    note: str


def newest(store: Store, count: int) -> Iterator[Decided]:
    """Read the newest decisions, newest first, page by page."""
    before = NUMBER_MAX
    while count > 0:
        page = store.decisions_before(before, min(count, PAGE))
        yield from page
        if len(page) < PAGE:
            return
        before, count = page[-1].decision.number, count - len(page)


class Spread:
    """Keeps samples spread evenly over what it was offered, however much that is."""

    def __init__(self) -> None:
        self._kept: list[Changed] = []
        self._step = 1
        self.offered = 0

    def offer(self, one: Changed) -> None:
        """Keep every n-th; where too many are kept, every other of them, and n doubles."""
        if self.offered % self._step == 0:
            self._kept.append(one)
            if len(self._kept) == 2 * SAMPLES:
                self._kept, self._step = self._kept[::2], 2 * self._step
        self.offered += 1

    def samples(self) -> tuple[Changed, ...]:
        """Give ten, or all where there are fewer."""
        count = min(len(self._kept), SAMPLES)
        return tuple(self._kept[place * len(self._kept) // count] for place in range(count))


def preview(
    decided: Iterable[Decided],
    playbook: Playbook,
    scope: Scope,
    mode_of: Callable[[tuple[str, ...]], Mode],
    policy_of: Callable[[str], Policy],
) -> Preview:
    """Decide again; `mode_of` gives the would-be mode of a decision by the activations that it names."""
    count = covered = 0
    transitions: Counter[tuple[int, int, int]] = Counter()
    money: dict[str, list[int]] = {}
    differing = Spread()
    modes: dict[tuple[str, ...], Mode] = {}
    policies: dict[str, Policy] = {}
    for one in decided:
        count += 1
        decision = one.decision
        old, was = decision.old_limit_minor, decision.new_limit_minor
        sums = money.setdefault(one.currency, [0, 0, 0, 0])
        sums[0 if was > old else 2] += abs(was - old)
        outcome, limit, why = int(decision.outcome), was, NO_GROUNDS
        if decision.kind is not Kind.IMPORT and covers(scope, one.product, decision.account_id, decision.profile):
            covered += 1
            names = decision.activations
            mode = modes.get(names) or modes.setdefault(names, mode_of(names))
            version = decision.policy_version
            policy = policies.get(version) or policies.setdefault(version, policy_of(version))
            outcome, limit, why = _again(decision, one.product, mode, policy)
        sums[1 if limit > old else 3] += abs(limit - old)
        if (outcome, limit) != (decision.outcome, was):
            transitions[int(decision.kind), int(decision.outcome), outcome] += 1
            differing.offer(Changed(decision, one.currency, outcome, limit, why))
    note = CRITICALITY_UNKNOWN if playbook.admit is not None else ""
    return Preview(
        count, covered, differing.offered, transitions,
        {name: Money(*(min(total, SUM_MAX) for total in sums)) for name, sums in money.items()},
        differing.samples(), note,
    )  # fmt: skip


def _again(decision: Decision, product: str, mode: Mode, policy: Policy) -> tuple[int, int, Why]:
    try:
        request = Request(Criticality.INTERACTIVE)
        admit(mode, request, decision.account_id, product, decision.profile)
    except HoldlineError as refusal:
        return REFUSED, decision.old_limit_minor, refusal
    verdict = judge_in(
        mode, decision.kind, decision.account_id, product, recorded_standing(decision), policy,
        Moment(decision.decided_us, decision.business_day),
    ).verdict  # fmt: skip
    return int(verdict.outcome), verdict.new_limit_minor, verdict.grounds
