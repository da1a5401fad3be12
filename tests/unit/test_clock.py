"""Confirmed time goes on with the time that passes, whatever the machine's clock is set to.

Goal: nothing is purged, lapses or stands still because of a step that nothing confirms. Method: for any course of steps,
pauses, restarts, reboots and confirmations, against the time that truly passed; then each case that was met.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.clock import (
    JUMPS_MAX,
    OUTAGE_US_MAX,
    PATIENCE,
    SLEW,
    TOLERANCE_US,
    ConfirmedTime,
    Reading,
    advanced,
    confirmed,
    resumed,
    time_before,
)
from tests.builders import DAY_US, NOW_US

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
ELAPSED_US = 5 * HOUR_US
"""How long the machine has been on where a test begins."""

passes = st.integers(0, 90 * SECOND_US)
offsets = st.one_of(st.integers(-TOLERANCE_US, TOLERANCE_US), st.integers(-400 * DAY_US, 400 * DAY_US), st.just(0))


class Machine:
    """A machine, its clocks, and the confirmed time of the store on it."""

    def __init__(self) -> None:
        self.true_us, self.off_us, self.boots, self.booted_us = NOW_US, 0, 1, NOW_US - ELAPSED_US
        self.time = resumed(None, self.reading, 0)

    @property
    def reading(self) -> Reading:
        return Reading(self.true_us + self.off_us, self.true_us - self.booted_us, f"boot-{self.boots}")

    def passes(self, us: int, reads: int = 1) -> ConfirmedTime:
        """Let time pass, read now and then."""
        for part in range(reads):
            self.true_us += us // reads + (us % reads if not part else 0)
            self.time = advanced(self.time, self.reading)
        return self.time

    def set_off(self, us: int) -> ConfirmedTime:
        """Set the machine's clock so far ahead of the truth."""
        self.off_us = us
        return self.passes(0)

    def restarts(self) -> ConfirmedTime:
        """Start the engine anew on the same start of the machine."""
        self.time = resumed(self.time, self.reading, 0)
        return self.time

    def reboots(self, off_for_us: int, off_us: int = 0) -> ConfirmedTime:
        """Switch the machine off for so long; its clock is so far ahead afterwards."""
        self.true_us += off_for_us
        self.booted_us, self.boots, self.off_us = self.true_us, self.boots + 1, off_us
        self.time = resumed(self.time, self.reading, 0)
        return self.time


@given(st.lists(st.tuples(passes, st.integers(1, 5), offsets, st.booleans()), max_size=40))
def test_whatever_steps_the_machine_takes_time_goes_on_as_it_passes(
    course: list[tuple[int, int, int, bool]],
) -> None:
    machine = Machine()

    for us, reads, off_us, is_restarted in course:
        before = machine.time.time_us
        machine.set_off(off_us)
        after = machine.passes(us, reads)
        if is_restarted:
            after = machine.restarts()

        assert abs(after.time_us - before - us) <= us // SLEW + reads + 2
    assert abs(machine.time.time_us - machine.true_us) <= (machine.true_us - NOW_US) // SLEW + 8 * len(course) + 8
    assert machine.time.jumps == ()


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(-TOLERANCE_US, TOLERANCE_US)), max_size=60))
def test_time_never_goes_back_between_two_readings(course: list[tuple[int, int]]) -> None:
    machine = Machine()

    for us, off_us in course:
        before = machine.time.time_us
        machine.off_us = off_us

        assert machine.passes(us).time_us >= before


@given(
    st.lists(
        st.tuples(passes, offsets, st.sampled_from(["nothing", "confirm", "restart", "reboot"]), passes), max_size=30
    )
)
def test_whatever_is_confirmed_or_rebooted_time_never_stands_nor_goes_back(
    course: list[tuple[int, int, str, int]],
) -> None:
    machine = Machine()

    for us, off_us, what, off_for_us in course:
        machine.set_off(off_us)
        before = machine.time.time_us
        after = machine.passes(us, 3)
        assert after.time_us - before >= us // PATIENCE - 3
        if what == "confirm" and not after.is_right:
            machine.time = confirmed(after)
            assert machine.passes(0).is_right
        elif what == "restart":
            machine.restarts()
        elif what == "reboot":
            machine.reboots(off_for_us, off_us)
        assert machine.time.time_us >= after.time_us


@given(st.lists(st.tuples(passes, st.integers(0, 400 * DAY_US), st.booleans()), max_size=2 * JUMPS_MAX), passes)
def test_nothing_is_older_for_purging_than_time_has_truly_passed(
    course: list[tuple[int, int, bool]], age_us: int
) -> None:
    machine = Machine()
    stamps = []

    for us, off_us, is_reboot in course:
        machine.passes(us)
        stamps.append((machine.time.time_us, machine.true_us))
        if is_reboot:
            # Nobody can retry while the machine is off, and a key kept for longer harms nobody.
            machine.reboots(off_us)
        machine.set_off(off_us)
        if not machine.time.is_right:
            machine.time = confirmed(machine.time)
    before_us = time_before(machine.time, age_us)

    slack_us = (machine.true_us - NOW_US) // SLEW + 8 * len(course) + 8
    for stamp_us, true_us in stamps:
        if stamp_us < before_us:
            assert machine.true_us - true_us >= age_us - slack_us


def test_a_clock_that_was_never_stepped_forgets_by_plain_age() -> None:
    machine = Machine()

    assert time_before(machine.passes(HOUR_US, 60), 72 * HOUR_US) == machine.time.time_us - 72 * HOUR_US


@pytest.mark.parametrize("off_us", [HOUR_US, -HOUR_US, 80 * HOUR_US, DAY_US, -DAY_US, TOLERANCE_US + 1])
def test_a_step_is_noticed_bounded_and_over_when_the_clock_is_set_right(off_us: int) -> None:
    machine = Machine()

    stepped = machine.set_off(off_us)
    later = machine.passes(75 * SECOND_US, 75)
    right = machine.set_off(0)

    assert (stepped.ahead_us, stepped.since_us, stepped.time_us) == (off_us, NOW_US, NOW_US)
    assert (later.time_us, later.ahead_us, later.since_us) == (NOW_US + 75 * SECOND_US, off_us, NOW_US)
    assert right.is_right
    assert right.time_us == machine.true_us


@pytest.mark.parametrize("off_us", [SECOND_US, -SECOND_US, TOLERANCE_US, -TOLERANCE_US])
def test_what_ntp_corrects_is_followed_slowly_and_needs_nobody(off_us: int) -> None:
    machine = Machine()

    at_once = machine.set_off(off_us)
    soon = machine.passes(10 * SECOND_US, 1_000)
    later = machine.passes(SLEW * TOLERANCE_US, 100)

    sign = 1 if off_us > 0 else -1
    assert at_once.time_us == NOW_US
    assert soon.time_us - machine.true_us + SLEW * TOLERANCE_US == sign * 10 * SECOND_US // SLEW
    assert later.time_us == machine.true_us + off_us
    assert at_once.is_right
    assert soon.is_right


def test_readings_a_microsecond_apart_are_followed_as_well() -> None:
    machine = Machine()
    machine.off_us = SECOND_US

    assert machine.passes(1_000, 1_000).time_us == NOW_US + 1_010


def test_a_confirmed_clock_ahead_is_taken_over_at_once_and_ages_no_key() -> None:
    machine = Machine()
    machine.set_off(80 * HOUR_US)

    machine.time = confirmed(machine.time)
    after = machine.passes(60 * SECOND_US)

    assert after.is_right
    assert after.time_us == NOW_US + 80 * HOUR_US + 60 * SECOND_US
    assert time_before(after, 72 * HOUR_US) == NOW_US - 72 * HOUR_US + 60 * SECOND_US
    assert time_before(after, 30 * SECOND_US) == after.time_us - 30 * SECOND_US


def test_a_confirmed_clock_behind_is_waited_for_at_half_speed() -> None:
    machine = Machine()
    machine.set_off(-HOUR_US)

    machine.time = confirmed(machine.time)
    half = machine.passes(HOUR_US, 1_000)
    stepped = machine.set_off(-HOUR_US + DAY_US)
    back = machine.set_off(-HOUR_US)
    caught_up = machine.passes(HOUR_US, 1_000)

    assert half.is_right
    assert (half.time_us - NOW_US, half.owed_us) == (HOUR_US // 2, HOUR_US // 2)
    assert stepped.ahead_us == DAY_US
    assert back.is_right
    assert (caught_up.time_us, caught_up.owed_us) == (machine.true_us + machine.off_us, 0)


def test_confirming_ahead_while_time_is_owed_pays_the_debt_first() -> None:
    machine = Machine()
    machine.set_off(-HOUR_US)
    machine.time = confirmed(machine.time)
    machine.set_off(0)

    machine.time = confirmed(machine.time)

    assert machine.passes(0) == machine.time
    assert (machine.time.time_us, machine.time.owed_us, machine.time.jumps) == (NOW_US, 0, ())


def test_a_restart_knows_what_passed_and_keeps_a_step_in_mind() -> None:
    machine = Machine()
    kept = machine.set_off(DAY_US)
    machine.true_us += 3 * DAY_US

    found = machine.restarts()

    assert found.time_us == kept.time_us + 3 * DAY_US
    assert (found.ahead_us, found.since_us) == (DAY_US, NOW_US)
    assert found.jumps == ()


@pytest.mark.parametrize("off_for_us", [30 * SECOND_US, HOUR_US, 63 * HOUR_US, OUTAGE_US_MAX])
def test_a_reboot_explains_the_time_that_the_machine_was_off(off_for_us: int) -> None:
    machine = Machine()

    found = machine.reboots(off_for_us)

    assert found.is_right
    assert found.time_us == machine.true_us
    assert time_before(found, HOUR_US) == NOW_US - HOUR_US


@pytest.mark.parametrize("off_us", [OUTAGE_US_MAX + 1, -TOLERANCE_US - 1, -20_000 * DAY_US])
def test_a_clock_that_no_outage_explains_waits_for_a_person_after_a_reboot(off_us: int) -> None:
    machine = Machine()

    found = machine.reboots(0, off_us)
    later = machine.passes(HOUR_US, 60)

    assert found.ahead_us == off_us
    assert later.time_us == NOW_US + HOUR_US


def test_a_machine_without_a_battery_is_right_again_when_the_network_tells_it_the_time() -> None:
    machine = Machine()
    machine.reboots(12 * HOUR_US, -20_000 * DAY_US)
    waiting = machine.passes(20 * SECOND_US)

    found = machine.set_off(0)

    assert not waiting.is_right
    assert waiting.time_us == NOW_US + 20 * SECOND_US
    assert found.is_right
    assert found.time_us == machine.true_us


def test_a_reboot_confirms_no_step_that_was_known_before_it() -> None:
    machine = Machine()
    machine.set_off(DAY_US)

    still_wrong = machine.reboots(600 * SECOND_US, DAY_US)
    right = machine.set_off(0)

    assert still_wrong.ahead_us == DAY_US + 600 * SECOND_US
    assert still_wrong.time_us == NOW_US
    assert right.is_right
    assert right.time_us == machine.true_us


def test_a_store_is_never_served_at_a_time_before_its_newest_record() -> None:
    machine = Machine()

    ahead = resumed(None, machine.reading, NOW_US + DAY_US)
    later = advanced(ahead, machine.reading._replace(elapsed_us=machine.reading.elapsed_us + HOUR_US))

    assert ahead.time_us == NOW_US + DAY_US
    assert ahead.ahead_us == -DAY_US
    assert later.time_us == NOW_US + DAY_US + HOUR_US


def test_jumps_are_bounded_and_what_is_merged_seems_no_older() -> None:
    machine = Machine()
    for _ in range(3 * JUMPS_MAX):
        machine.passes(60 * SECOND_US)
        machine.reboots(HOUR_US)

    assert len(machine.time.jumps) == JUMPS_MAX
    assert time_before(machine.time, 60 * SECOND_US * JUMPS_MAX * 2) <= NOW_US + JUMPS_MAX * (HOUR_US + 60 * SECOND_US)
