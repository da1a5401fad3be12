"""What takes long, in one form: a daily run, a closing, or what makes a closed day good, as their records tell it.

Promises nothing of its own: an operation is a way of looking at a run or a closing. Days are days since 1970-01-01,
times microseconds since the epoch UTC.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from service.domain.daily_run import ClosingReport, ClosingState, DiscrepancyKind, RunReport, RunState
from service.domain.errors import NotFound, Refused


class OperationNotFound(NotFound):
    """No such operation was ever begun."""

    reason = "OPERATION_NOT_FOUND"


class OperationNotCancellable(Refused):
    """An operation of this kind can't be stopped; it goes on until it is done."""

    reason = "OPERATION_NOT_CANCELLABLE"


class OperationKind(IntEnum):
    """What an operation does; the numbers are the contract's."""

    DAILY_RUN = 1
    CLOSING = 2
    MAKE_GOOD = 3


class OperationState(IntEnum):
    """Where an operation stands; the numbers are the contract's."""

    WAITING = 1
    RUNNING = 2
    DONE = 3
    CANCELLED = 4
    FAILED = 5


OVER: Final = (OperationState.DONE, OperationState.CANCELLED, OperationState.FAILED)


class Operation(NamedTuple):
    """One operation; accounts that are done and that there are to do, `total` 0 where that is not known."""

    kind: OperationKind
    business_day: int
    state: OperationState
    done: int
    total: int
    started_by: str
    """Empty where that was not kept."""
    started_us: int
    ended_us: int
    """0 until it is over, and where that was not kept."""
    result: RunReport | ClosingReport


_RUN_STATES: Final = {RunState.DONE: OperationState.DONE, RunState.CANCELLED: OperationState.CANCELLED}


def of_run(report: RunReport) -> Operation:
    """Give a daily run as an operation; an account that waited for the budget was looked at twice, and counts once."""
    run = report.run
    looked = sum(shard.looked for shard in report.shards)
    at_work = _at_work(report.waits_for)
    return Operation(
        OperationKind.DAILY_RUN, run.business_day, _RUN_STATES.get(run.state, at_work),
        min(looked, run.accounts) if run.accounts else looked, run.accounts, run.started_by, run.started_us,
        run.ended_us, report,
    )  # fmt: skip


def of_closing(report: ClosingReport) -> list[Operation]:
    """Give a closing as operations: what makes its day good, where somebody asked for that, then the closing itself."""
    closing = report.closing
    is_closing = closing.state is ClosingState.CLOSING
    itself = Operation(
        OperationKind.CLOSING, closing.business_day, _at_work(report.waits_for) if is_closing else OperationState.DONE,
        closing.accounts, 0 if is_closing else closing.accounts, closing.asked_by, closing.asked_us, closing.closed_us,
        report,
    )  # fmt: skip
    if closing.state not in (ClosingState.MAKING_GOOD, ClosingState.MADE_GOOD):
        return [itself]
    missing = [count for count in report.counts if count.kind is DiscrepancyKind.MISSING]
    is_over = closing.state is ClosingState.MADE_GOOD
    made_good = Operation(
        OperationKind.MAKE_GOOD, closing.business_day, OperationState.DONE if is_over else _at_work(report.waits_for),
        sum(count.made_good for count in missing), sum(count.accounts for count in missing), closing.making_good_by,
        closing.making_good_us, closing.ended_us, report,
    )  # fmt: skip
    return [made_good, itself]


def _at_work(waits_for: int) -> OperationState:
    return OperationState.WAITING if waits_for else OperationState.RUNNING
