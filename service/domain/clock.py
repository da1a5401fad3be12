"""Confirmed time: what the store's clock shows, whatever the machine's clock is set to.

Promises, for any settings of the machine's clock, that confirmed time goes on with the time that truly passes (within
`SLEW` of it, and at no less than half its speed while it waits for a clock that a person set back), that it never goes
back, and that it jumps only where a reboot explains the gap or a person confirmed it. Reads no clock.
"""

from typing import Final, NamedTuple

TOLERANCE_US: Final = 10_000_000
"""The machine's clock may lie so far off without a word: leap seconds and the steps of NTP; it is followed slowly."""
SLEW: Final = 100
"""Confirmed time follows a clock within the tolerance by at most one part in so many of the time that passes."""
PATIENCE: Final = 2
"""Confirmed time that lies ahead of a confirmed clock gives up one part in so many of the time that passes."""
OUTAGE_US_MAX: Final = 7 * 86_400_000_000
"""A machine may have been off for so long without a person's word: a weekend and its holidays."""
JUMPS_MAX: Final = 64


class Reading(NamedTuple):
    """What a machine shows at one moment."""

    wall_us: int
    """Its clock, which anybody can set: microseconds since the epoch UTC."""
    elapsed_us: int
    """Time since its start, sleep included, which nobody can set: microseconds."""
    boot: str
    """Which start that is; another one after each reboot and on each machine."""


class Jump(NamedTuple):
    """Time that was taken over without having passed before our eyes: where it ended, and by how much."""

    at_us: int
    by_us: int


class ConfirmedTime(NamedTuple):
    """Confirmed time at a moment, and what is to be known to go on from there; times in microseconds."""

    time_us: int
    """Since the epoch UTC."""
    elapsed_us: int
    boot: str
    owed_us: int = 0
    """How far it lies ahead of a machine's clock that a person confirmed; worked off at half speed."""
    rest: int = 0
    """What is left of dividing the time that passed, so that small steps add up."""
    ahead_us: int = 0
    """How far the machine's clock lies ahead of what passed (negative: behind); 0 within the tolerance."""
    since_us: int = 0
    """Since when it does, in confirmed time; 0 where it doesn't."""
    is_rebooted: bool = False
    """Whether the machine was started anew and its clock has not been plausible since."""
    jumps: tuple[Jump, ...] = ()
    """The newest jumps, oldest first; older ones are merged."""

    @property
    def is_right(self) -> bool:
        """Whether the machine's clock shows what time passed."""
        return not self.ahead_us


class ClockChange(NamedTuple):
    """A person's word that the machine's clock is right, as a key stands for it."""

    key: str
    fingerprint: bytes
    caller: str
    reason: str
    ahead_us: int
    """How far the machine's clock lay ahead of confirmed time (negative: behind), in microseconds."""
    changed_us: int
    """Confirmed time before it."""


def resumed(kept: ConfirmedTime | None, reading: Reading, newest_us: int) -> ConfirmedTime:
    """Go on from what was kept, on the same start of the machine or another; never before the newest record.

    Without anything kept the machine's clock is believed: there is nothing to hold it against.
    """
    if kept is None:
        kept = ConfirmedTime(max(reading.wall_us, newest_us), reading.elapsed_us, reading.boot)
    elif kept.boot != reading.boot or kept.elapsed_us > reading.elapsed_us:
        kept = kept._replace(elapsed_us=reading.elapsed_us, boot=reading.boot, is_rebooted=True)
    found = advanced(kept, reading)
    return found if found.time_us >= newest_us else advanced(found._replace(time_us=newest_us), reading)


def advanced(before: ConfirmedTime, reading: Reading) -> ConfirmedTime:
    """Give confirmed time at a later reading of the same start of the machine."""
    passed = max(reading.elapsed_us - before.elapsed_us, 0)
    room, rest = divmod(before.rest + passed, PATIENCE if before.owed_us else SLEW)
    paid = min(before.owed_us, room)
    time_us, owed_us = before.time_us + passed - paid, before.owed_us - paid
    ahead_us = reading.wall_us - (time_us - owed_us)
    known_us, since_us, is_rebooted = before.ahead_us, before.since_us, before.is_rebooted
    is_outage = is_rebooted and _was_off(known_us, ahead_us)
    if -TOLERANCE_US <= ahead_us <= TOLERANCE_US:
        if not owed_us and not is_outage:
            time_us += max(-room, min(ahead_us, room))
        known_us, since_us, is_rebooted = 0, 0, False
    elif not is_outage:
        known_us, since_us = ahead_us, since_us or time_us
    # One record a reading and no copies of it: every batch comes by here.
    now = ConfirmedTime(
        time_us, reading.elapsed_us, reading.boot, owed_us, rest, known_us, since_us, is_rebooted, before.jumps
    )
    return _moved(now, ahead_us) if is_outage and ahead_us > TOLERANCE_US else now


def _was_off(before_us: int, ahead_us: int) -> bool:
    """Claim that having been off explains how far a clock is ahead, and not an error known from before."""
    is_same_error = before_us > 0 and ahead_us >= before_us - TOLERANCE_US
    return -TOLERANCE_US <= ahead_us <= OUTAGE_US_MAX and not is_same_error


def confirmed(clock: ConfirmedTime) -> ConfirmedTime:
    """Give confirmed time after a person has said that the machine's clock is right.

    Ahead, it is taken over at once; behind, confirmed time goes half as fast until the machine's clock has caught up.
    """
    return _moved(clock, clock.ahead_us)


def _moved(clock: ConfirmedTime, ahead_us: int) -> ConfirmedTime:
    """Take over a machine's clock that lies so far ahead of the time that passed, or behind it."""
    by_us = ahead_us - clock.owed_us
    clock = _righted(clock)._replace(owed_us=max(-by_us, 0), rest=0)
    if by_us <= 0:
        return clock
    jumps = (*clock.jumps, Jump(clock.time_us + by_us, by_us))
    if len(jumps) > JUMPS_MAX:
        # What passed between the two oldest counts as passed no longer: time seems younger, never older.
        jumps = (Jump(jumps[1].at_us, jumps[0].by_us + jumps[1].by_us), *jumps[2:])
    return clock._replace(time_us=clock.time_us + by_us, jumps=jumps)


def _righted(clock: ConfirmedTime) -> ConfirmedTime:
    return clock._replace(ahead_us=0, since_us=0, is_rebooted=False)


def time_before(clock: ConfirmedTime, age_us: int) -> int:
    """Give the confirmed time after which no more than so much time has truly passed: what is older may be forgotten.

    Jumps don't count, so what was written a minute before one is a minute old after it.
    """
    since_us, left_us = clock.time_us, age_us
    for jump in reversed(clock.jumps):
        stretch_us = since_us - jump.at_us
        if stretch_us >= left_us:
            break
        since_us, left_us = jump.at_us - jump.by_us, left_us - stretch_us
    return since_us - left_us
