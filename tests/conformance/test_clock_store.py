"""The store's clock over every store: kept, followed, told and confirmed, each within its transaction."""

import json
from pathlib import Path

import pytest

from service import bootstrap, telemetry
from service.domain.clock import ClockChange, ConfirmedTime, Jump, Reading
from service.domain.decision import Decided, Kind
from service.domain.errors import ClockNotConfirmed, IdempotencyKeyReused, StoreUnavailable
from service.domain.watch import MessageState
from service.engine.clock import TELL_US, ClockOrder, FollowedClock
from service.engine.execute import execute
from service.engine.ports.store import NUMBER_MAX
from service.storage.verify import verify
from tests.builders import DAY_US, NOW_US, Bench, command, news, read_policy, settings, sqlite

HOUR_US = 3_600_000_000
METERS = telemetry.engine_meters(None)
KEPT = ConfirmedTime(
    NOW_US, 17, "boot-1", 3, 1, -HOUR_US, NOW_US - 5, is_rebooted=True, jumps=(Jump(9, 4), Jump(19, 5))
)


class Serving:
    """An engine's parts over a store, on a machine whose clocks are turned."""

    def __init__(self, bench: Bench, true_us: int = NOW_US) -> None:
        self.bench, self.true_us, self.off_us, self.boot = bench, true_us, 0, "boot-1"
        self.starts()

    def read(self) -> Reading:
        return Reading(self.true_us + self.off_us, self.true_us - NOW_US + HOUR_US, self.boot)

    def starts(self) -> None:
        """Start an engine anew."""
        self.parts = bootstrap.make_parts(self.bench.store, settings(), read_policy, self.read)

    def minds(self) -> None:
        """Let the engine mind its clock."""
        self.parts.clock.mind(METERS)

    def told(self) -> list[tuple[str, str]]:
        """Give the alerts of the clock, oldest first: severity and what."""
        found = self.bench.store.outbox.messages("alert", (MessageState.WAITING,), NUMBER_MAX, 1_000)
        return [(one.severity, json.loads(one.body)["what"]) for one in reversed(found)]

    def decides(self, request_id: str, kind: Kind = Kind.ASSIGN) -> Decided:
        parts = self.parts
        (made,) = execute(
            [command(kind, request_id=request_id, news=news() if kind is not Kind.ASSIGN else command().news)],
            self.bench.store, parts.control, parts.calendar, parts.brake,
        )  # fmt: skip
        assert isinstance(made, Decided)
        return made


@pytest.fixture
def serving(bench: Bench) -> Serving:
    return Serving(bench)


def _order(ahead_us: int, key: str = "olga/k", seal: bytes = b"s") -> ClockOrder:
    return ClockOrder(key, seal, "olga", "she looked", ahead_us)


def test_what_is_kept_is_read_again_and_what_is_rolled_back_is_not(bench: Bench) -> None:
    change = ClockChange("olga/k", b"s", "olga", "she looked", -5, NOW_US)
    nothing = bench.store.clock.kept(), bench.store.clock.change("olga/k")
    bench.store.begin()
    bench.store.clock.keep(KEPT)
    bench.store.clock.enter_change(change)
    bench.store.rollback()
    still_nothing = bench.store.clock.kept(), bench.store.clock.change("olga/k")

    bench.store.begin()
    bench.store.clock.keep(KEPT._replace(jumps=()))
    bench.store.clock.keep(KEPT)
    bench.store.clock.enter_change(change)
    bench.store.commit()

    assert nothing == still_nothing == (None, None)
    assert (bench.store.clock.kept(), bench.store.clock.change("olga/k")) == (KEPT, change)


def test_numbers_dates_and_records_follow_the_time_that_passed(serving: Serving) -> None:
    serving.off_us = 400 * DAY_US

    ahead = serving.decides("r-1").decision
    serving.off_us = -400 * DAY_US
    serving.true_us += 1_000_000
    behind = serving.decides("r-2", Kind.RAISE).decision

    assert (ahead.decided_us, ahead.number >> 10) == (NOW_US, NOW_US)
    assert (behind.decided_us, behind.number >> 10) == (NOW_US + 1_000_000, NOW_US + 1_000_000)
    assert ahead.business_day == behind.business_day == serving.parts.calendar.business_day(NOW_US)


def test_a_step_is_told_at_once_and_a_clock_that_flaps_tells_little(serving: Serving) -> None:
    serving.minds()
    quiet = serving.told()
    serving.off_us = DAY_US
    serving.minds()
    at_once = serving.told()
    for second in range(30):
        serving.off_us = DAY_US if second % 2 else 0
        serving.true_us += 1_000_000
        serving.minds()
    serving.off_us = 0
    serving.true_us += TELL_US
    serving.minds()
    serving.true_us += TELL_US
    serving.minds()

    assert quiet == []
    assert at_once == [("critical", "clock_stepped")]
    assert 3 <= len(serving.told()) <= 8
    assert serving.told()[-1] == ("warning", "clock_right_again")


def test_a_step_that_a_decision_saw_is_told_though_it_was_over_before_anybody_looked(serving: Serving) -> None:
    serving.minds()
    serving.off_us = 80 * HOUR_US
    serving.decides("r-1")
    serving.off_us = 0

    serving.minds()

    assert serving.told() == [("critical", "clock_stepped"), ("warning", "clock_right_again")]


def test_what_could_not_be_told_is_told_when_the_store_takes_writes_again(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise StoreUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(serving.bench.store, "commit", refuse)
        serving.off_us = DAY_US
        serving.minds()
        refused = serving.told()

    serving.minds()

    assert refused == []
    assert serving.told() == [("critical", "clock_stepped")]


def test_a_restart_tells_a_known_step_once_and_one_that_came_meanwhile(serving: Serving) -> None:
    serving.off_us = DAY_US
    serving.minds()
    serving.true_us += HOUR_US

    serving.starts()
    serving.minds()
    known = serving.told()
    serving.off_us = -DAY_US
    serving.starts()
    serving.minds()

    assert known == [("critical", "clock_stepped")]
    assert serving.told() == [("critical", "clock_stepped")] * 2
    assert serving.parts.clock.time().time_us == NOW_US + HOUR_US


@pytest.mark.parametrize(("off_for_us", "severity"), [(60_000_000, "info"), (63 * HOUR_US, "warning")])
def test_an_outage_is_told_after_a_reboot_and_ages_no_key(serving: Serving, off_for_us: int, severity: str) -> None:
    made = serving.decides("r-1")
    serving.minds()
    serving.true_us, serving.boot = NOW_US + off_for_us, "boot-2"

    serving.starts()
    serving.minds()
    looked_at = serving.bench.store.purge(serving.parts.clock.time_before(HOUR_US), 10)

    assert serving.told() == [(severity, "clock_outage")]
    assert serving.parts.clock.time().time_us == NOW_US + off_for_us
    assert looked_at == 0
    assert serving.decides("r-1") == made._replace(replayed=True)


def test_a_word_on_the_clock_counts_once_it_is_durable_and_only_once(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise StoreUnavailable

    desk = serving.parts.clock
    serving.off_us = 80 * HOUR_US
    with monkeypatch.context() as patched:
        patched.setattr(serving.bench.store, "commit", refuse)
        with pytest.raises(StoreUnavailable):
            desk.confirm(_order(80 * HOUR_US))
    not_yet = desk.time()

    taken, was_before = desk.confirm(_order(80 * HOUR_US))
    again = desk.confirm(_order(80 * HOUR_US))

    assert (not_yet.time_us, not_yet.ahead_us) == (NOW_US, 80 * HOUR_US)
    assert (taken.time_us, taken.is_right, was_before) == (NOW_US + 80 * HOUR_US, True, False)
    assert again == (taken, True)
    assert serving.bench.store.clock.kept() == taken
    recorded = serving.bench.store.clock.change("olga/k")
    assert recorded == ClockChange("olga/k", b"s", "olga", "she looked", 80 * HOUR_US, NOW_US)
    assert serving.told() == [("critical", "clock_confirmed")]
    with pytest.raises(IdempotencyKeyReused):
        desk.confirm(_order(80 * HOUR_US, seal=b"other"))


def test_only_the_step_that_was_seen_is_confirmed(serving: Serving) -> None:
    desk = serving.parts.clock
    with pytest.raises(ClockNotConfirmed):
        desk.confirm(_order(HOUR_US))
    serving.off_us = DAY_US
    with pytest.raises(ClockNotConfirmed) as refused:
        desk.confirm(_order(HOUR_US))

    assert refused.value.metadata == {"ahead_micros": str(DAY_US)}
    assert desk.time().ahead_us == DAY_US
    assert serving.told() == []


def test_another_process_follows_the_engines_time_and_its_confirmations(serving: Serving) -> None:
    follower = FollowedClock(serving.bench.store.clock, serving.read)
    alone = follower.now_us()
    serving.minds()
    follower.look()
    serving.off_us = DAY_US
    stepped = follower.now_us()
    serving.parts.clock.confirm(_order(DAY_US))
    follower.look()

    assert (alone, stepped, follower.now_us()) == (NOW_US, NOW_US, NOW_US + DAY_US)


def test_a_store_that_another_version_left_a_day_ahead_goes_on_and_says_so(bench: Bench) -> None:
    bench.clock.time_us = NOW_US + DAY_US
    bench.execute(command())

    serving = Serving(bench)
    serving.minds()
    serving.true_us += HOUR_US

    assert serving.parts.clock.time().time_us == NOW_US + DAY_US + HOUR_US
    assert serving.told() == [("critical", "clock_stepped")]


@pytest.mark.parametrize("column", ["time_us", "elapsed_us", "owed_us", "ahead_us", "since_us", "is_rebooted"])
def test_a_kept_time_that_was_damaged_is_named_and_not_used(tmp_path: Path, column: str) -> None:
    serving = Serving(Bench(sqlite(tmp_path / "holdline.db")))
    serving.minds()
    store = serving.bench.store
    whole = verify(store).faults  # type: ignore[arg-type]  # a SQLite store is a ledger.
    store.begin()
    store._run(f"UPDATE clock SET {column} = {column} + 1")  # type: ignore[attr-defined]  # damage goes below the protocol.
    store.commit()

    serving.starts()

    assert whole == ()
    damaged_us = NOW_US + (column == "time_us")
    assert f"clock: {damaged_us} does not agree with its seal" in verify(store).faults  # type: ignore[arg-type]  # as above.
    assert serving.parts.clock.time().time_us == NOW_US
    store.close()
