"""The daily run of promised raises and the closing of a business day: records, states, and what a day must add up to.

Promises records only; who moves them stands in `engine/daily_run.py`. Days are days since 1970-01-01 in the business
time zone, times microseconds since the epoch UTC, amounts minor units.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from service.domain.entitlement import Entitlement, EntitlementState

QUEUE_SHARD: Final = 0
"""The shard of those who wait for the budget since the last day; it is worked off before any other begins."""
LAST_ID: Final = "~"
"""Above every account id."""


class RunState(IntEnum):
    """Where a run stands; the numbers are the contract's."""

    RUNNING = 1
    DONE = 2
    CANCELLED = 3


class Run(NamedTuple):
    """One day's run; the cursor is the account id up to which shards were cut."""

    business_day: int
    state: RunState
    started_by: str
    started_us: int
    ended_us: int
    accounts: int
    """How many there are, 0 until a worker has counted."""
    cursor: str
    is_cut: bool
    """Whether every account lies in a shard."""


class Shard(NamedTuple):
    """Accounts with ids above `after_id` up to `upto_id`, worked off up to `done_id`; leased to one worker."""

    business_day: int
    shard: int
    after_id: str
    upto_id: str
    done_id: str
    holder: str
    lease_us: int
    looked: int
    granted: int
    withheld: int
    done_us: int
    begun_us: int = 0
    """When it was first leased; 0 in a store from before that was kept."""
    waiting: int = 0
    """How many of the withheld wait for the day's budget; 0 in a store from before that was kept."""
    without_limit: int = 0
    """How many of those looked at had no limit on the day; 0 in a store from before that was kept."""


class Passed(NamedTuple):
    """What a run has come to: looked at, raised, waiting for the budget; who had no limit on the day is not counted."""

    business_day: int
    state: RunState
    ended_us: int
    looked: int
    granted: int
    waiting: int


class Slice(NamedTuple):
    """What one engine took out of a day's budget, and what it raised of it, in minor units."""

    holder: str
    taken_minor: int
    raised_minor: int


class ClosingState(IntEnum):
    """Where a closing stands; the numbers are the contract's."""

    CLOSING = 1
    CLOSED = 2
    MAKING_GOOD = 3
    MADE_GOOD = 4


class PromiseLine(NamedTuple):
    """What was promised on a day under one policy version in one segment, counted from the decision log."""

    policy_version: str
    segment: str
    due: int
    granted: int
    withheld: int


class Closing(NamedTuple):
    """How a day was closed."""

    business_day: int
    state: ClosingState
    asked_by: str
    asked_us: int
    ended_us: int
    done_id: str
    holder: str
    lease_us: int
    accounts: int
    lines: tuple[PromiseLine, ...]
    incident: str
    """Id of the incident that a difference opened, empty where the day adds up."""
    closed_us: int = 0
    """When the closing itself ended; 0 until then, and where that was not kept."""
    making_good_by: str = ""
    making_good_us: int = 0
    """When it was asked to be made good; 0 where nobody did, or that was not kept."""


class DiscrepancyKind(IntEnum):
    """How a day does not add up for an account; the numbers are the contract's."""

    MISSING = 1
    """A raise was promised and nothing is recorded."""
    DOUBLED = 2
    """More than one raise for one promise."""
    CORRUPT = 3
    """What is recorded does not follow from its own facts and policy, or was altered."""
    LEFT_SHORT = 4
    """The day was run after a later one, and so gives less than the days in order would have, or gives it later."""


class Discrepancy(NamedTuple):
    """One account for which a day does not add up; `decision` made it good, 0 until then."""

    business_day: int
    account_id: str
    kind: DiscrepancyKind
    detail: str
    decision: int


class DiscrepancyCount(NamedTuple):
    """How many of a kind there are, and how many of them were made good."""

    kind: DiscrepancyKind
    accounts: int
    made_good: int


class RunReport(NamedTuple):
    """A run with its shards; how many accounts it left short, and the earlier day that it waits for, 0 for none."""

    run: Run
    shards: tuple[Shard, ...]
    left_short: int
    waits_for: int


class ClosingReport(NamedTuple):
    """A closing, what does not add up, and the earlier day that it waits for, 0 for none."""

    closing: Closing
    counts: tuple[DiscrepancyCount, ...]
    discrepancies: tuple[Discrepancy, ...]
    waits_for: int


def line_of(settled: Entitlement) -> PromiseLine:
    """Count one settled promise."""
    granted = int(settled.state is EntitlementState.GRANTED)
    return PromiseLine(settled.policy_version, settled.segment, 1, granted, 1 - granted)


def added(lines: tuple[PromiseLine, ...], more: tuple[PromiseLine, ...]) -> tuple[PromiseLine, ...]:
    """Add lines up by policy version and segment."""
    sums = {(line.policy_version, line.segment): line for line in lines}
    for line in more:
        key = line.policy_version, line.segment
        so_far = sums.get(key, PromiseLine(*key, 0, 0, 0))
        sums[key] = PromiseLine(
            *key, so_far.due + line.due, so_far.granted + line.granted, so_far.withheld + line.withheld
        )
    return tuple(sums[key] for key in sorted(sums))
