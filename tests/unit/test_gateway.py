"""Who calls, and who is let in."""

import asyncio
from contextlib import ExitStack

import pytest
from pydantic import ValidationError

from service.domain.decision import Criticality
from service.domain.errors import InvalidRequest, Overloaded
from service.engine.ports.codec import Answer, Call
from service.gateway.admission import Pace, Queue, Waiting
from service.gateway.identity import identify
from service.gateway.places import Places
from service.gateway.server import options
from service.settings import Settings, is_host, is_loopback
from tests.builders import settings

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_caller_without_metadata_is_anonymous_and_interactive() -> None:
    found = identify(())

    assert (found.caller, found.criticality, found.trace_id, found.is_sampled) == (
        "anonymous", Criticality.INTERACTIVE, "", False,
    )  # fmt: skip


def test_a_trace_is_read_and_a_broken_one_is_ignored() -> None:
    good, broken = identify((("traceparent", TRACE),)), identify((("traceparent", "00-xyz"),))

    assert (good.trace_id, good.is_sampled) == ("4bf92f3577b34da6a3ce929d0e0e4736", True)
    assert (broken.trace_id, broken.is_sampled) == ("", False)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "ä", "a,b", "a\n", "a\x00b", b"billing", "c" * 65])
def test_a_name_that_could_not_stand_in_a_key_is_refused(name: str | bytes) -> None:
    with pytest.raises(InvalidRequest):
        identify((("x-holdline-caller", name),))


@pytest.mark.parametrize(
    ("key", "first", "second"),
    [
        ("x-holdline-caller", "billing", "root"),
        ("x-holdline-caller", "billing", "billing"),
        ("x-holdline-criticality", "batch", "interactive"),
    ],
)
def test_a_name_or_criticality_that_is_sent_twice_is_refused(key: str, first: str, second: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        identify(((key, first), ("other", "x"), (key, second), (key, second)))

    assert [violation.field for violation in refused.value.violations] == [f"metadata.{key}"]


def test_of_two_traces_neither_is_taken() -> None:
    found = identify((("traceparent", TRACE), ("traceparent", TRACE)))

    assert (found.trace_id, found.is_sampled) == ("", False)


def _waiting(loop: asyncio.AbstractEventLoop, since_us: int = 0, size: int = 10) -> Waiting:
    answer: asyncio.Future[Answer] = loop.create_future()
    return Waiting(Call(0, "c", 0, "", b"x" * size), answer, since_us)


@pytest.fixture
def loop() -> asyncio.AbstractEventLoop:
    made = asyncio.new_event_loop()
    made.close()
    return made


def test_a_full_queue_sheds_a_batch_call_for_an_interactive_one(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(calls_max=2, bytes_max=1_000_000, wait_ms_max=1_000)
    low, high, higher = (_waiting(loop) for _ in range(3))
    queue.admit(low, Criticality.BATCH)
    queue.admit(high, Criticality.INTERACTIVE)

    put_out = queue.admit(higher, Criticality.INTERACTIVE)

    assert put_out is low
    with pytest.raises(Overloaded):
        queue.admit(_waiting(loop), Criticality.BATCH)
    with pytest.raises(Overloaded):
        queue.admit(_waiting(loop), Criticality.INTERACTIVE)
    assert queue.take(10, 1_000) == [high, higher]


def test_draws_are_shed_last(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(calls_max=2, bytes_max=1_000_000, wait_ms_max=1_000)
    low, high, draw, other_draw = (_waiting(loop) for _ in range(4))
    queue.admit(low, Criticality.BATCH)
    queue.admit(high, Criticality.INTERACTIVE)

    assert queue.admit(draw, Criticality.DRAW) is low
    assert queue.admit(other_draw, Criticality.DRAW) is high
    with pytest.raises(Overloaded):
        queue.admit(_waiting(loop), Criticality.DRAW)
    with pytest.raises(Overloaded):
        queue.admit(_waiting(loop), Criticality.INTERACTIVE)
    assert queue.take(10, 1_000) == [draw, other_draw]


def test_calls_are_refused_once_the_oldest_has_waited_too_long(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(calls_max=100, bytes_max=1_000_000, wait_ms_max=10)
    queue.admit(_waiting(loop, since_us=0), Criticality.INTERACTIVE)
    queue.admit(_waiting(loop, since_us=10_000), Criticality.INTERACTIVE)

    with pytest.raises(Overloaded) as refused:
        queue.admit(_waiting(loop, since_us=10_001), Criticality.INTERACTIVE)
    assert refused.value.retry_after_ms == 10


def test_callers_that_have_gone_shed_nobody(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(calls_max=100, bytes_max=1_000_000, wait_ms_max=10)
    gone = _waiting(loop, since_us=0)
    queue.admit(gone, Criticality.INTERACTIVE)
    gone.answer.cancel()

    assert queue.admit(_waiting(loop, since_us=50_000), Criticality.INTERACTIVE) is None
    assert len(queue) == 1


def test_a_frame_keeps_within_count_and_size_and_skips_callers_that_have_gone(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(calls_max=100, bytes_max=1_000_000, wait_ms_max=1_000)
    gone, *rest = (_waiting(loop, size=40) for _ in range(6))
    for waiting in (gone, *rest):
        queue.admit(waiting, Criticality.INTERACTIVE)
    gone.answer.cancel()

    assert queue.take(2, 1_000) == rest[:2]
    assert queue.take(10, 100) == rest[2:4]
    assert queue.take(10, 1) == rest[4:]
    assert len(queue) == 0


def test_more_bytes_than_may_wait_are_shed_and_room_comes_back(loop: asyncio.AbstractEventLoop) -> None:
    queue = Queue(calls_max=100, bytes_max=100, wait_ms_max=1_000)
    first, second = _waiting(loop, size=60), _waiting(loop, size=60)
    queue.admit(first, Criticality.INTERACTIVE)

    with pytest.raises(Overloaded):
        queue.admit(second, Criticality.INTERACTIVE)
    queue.take(10, 1_000)

    assert queue.admit(second, Criticality.INTERACTIVE) is None


def _paced(pace: Pace, offered: int, served: int, seconds: float, wait_us: int, began_us: int = 0) -> list[int]:
    """Offer so many interactive calls a second to a server that answers so many; gives admissions of each 100 ms."""
    admitted = []
    for window in range(int(seconds * 10)):
        count = 0
        for call in range(offered // 10):
            now_us = began_us + window * 100_000 + call * 1_000_000 // offered
            count += pace.lets_in(Criticality.INTERACTIVE, now_us)
        pace.answered(served // 10)
        pace.waited(wait_us)
        admitted.append(count)
    return admitted


def test_everybody_comes_in_while_waits_are_short() -> None:
    assert _paced(Pace(20), 5_000, 5_000, seconds=2, wait_us=19_000) == [500] * 20


def test_while_a_queue_stands_no_more_come_in_than_are_answered() -> None:
    admitted = _paced(Pace(20), 5_000, 1_000, seconds=3, wait_us=80_000)

    assert admitted[0] == 500
    assert all(80 <= count <= 102 for count in admitted[2:])


def test_a_hiccup_does_not_shut_callers_out() -> None:
    pace = Pace(20)
    _paced(pace, 1_000, 1_000, seconds=1, wait_us=1_000)
    _paced(pace, 1_000, 0, seconds=0.2, wait_us=150_000, began_us=1_000_000)

    assert _paced(pace, 1_000, 1_000, seconds=0.1, wait_us=1_000, began_us=1_200_000)[0] >= 90


def test_a_streams_messages_at_once_are_no_overload() -> None:
    pace = Pace(20)
    _paced(pace, 10, 10, seconds=2, wait_us=150_000)

    assert all(pace.lets_in(Criticality.INTERACTIVE, 2_000_000) for _ in range(32))


def test_few_calls_are_no_overload() -> None:
    assert _paced(Pace(20), 90, 90, seconds=2, wait_us=80_000) == [9] * 20


def test_draws_come_in_all_the_same_and_take_the_place_of_others() -> None:
    pace = Pace(20)
    _paced(pace, 5_000, 1_000, seconds=1, wait_us=80_000)
    now_us = 1_000_000

    draws = sum(pace.lets_in(Criticality.DRAW, now_us + step) for step in range(0, 90_000, 900))
    others = sum(pace.lets_in(Criticality.INTERACTIVE, now_us + step) for step in range(90_000, 99_000, 900))

    assert (draws, others) == (100, 0)
    assert not pace.lets_in(Criticality.BATCH, now_us + 99_000)


def test_once_nobody_waits_everybody_comes_in_again() -> None:
    pace = Pace(20)
    _paced(pace, 5_000, 1_000, seconds=1, wait_us=80_000)

    admitted = _paced(pace, 900, 900, seconds=2, wait_us=1_000, began_us=1_000_000)

    assert pace.rate is None
    assert admitted[-1] == 90


def test_a_process_that_is_behind_counts_as_waiting() -> None:
    pace = Pace(20)
    pace.lagged(50_000)

    assert sum(_paced(pace, 5_000, 1_000, seconds=1, wait_us=1_000)) < 2_000


def test_every_known_attack_has_its_channel_argument() -> None:
    given = dict(options(settings()))

    assert given["grpc.max_concurrent_streams"] <= 256
    assert given["grpc.http2.max_ping_strikes"] > 0
    assert given["grpc.server_handshake_timeout_ms"] == 10_000
    assert given["grpc.max_connection_age_ms"] == 300_000
    assert given["grpc.absolute_max_metadata_size"] == 16_384
    assert given["grpc.server.max_pending_requests"] == 10_000
    assert given["grpc.so_reuseport"] == 0
    assert dict(options(settings(gateways=2)))["grpc.so_reuseport"] == 1


@pytest.mark.parametrize(
    "said",
    [
        {"listen": "0.0.0.0:1"}, {"listen": "nowhere"}, {"store": "postgresql://x"}, {"key_retention_hours": 23},
        {"gateways": 0}, {"business_time_zone": "Mars/Olympus"}, {"no_such_setting": 1}, {"log_level": "loud"},
    ],
)  # fmt: skip
def test_a_setting_out_of_range_or_unknown_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(**said)


def test_listening_beyond_loopback_needs_to_be_said() -> None:
    assert Settings(listen="0.0.0.0:1", insecure_remote=True).host == "0.0.0.0"
    assert [is_loopback(host) for host in ("127.0.0.1", "localhost", "[::1]", "10.0.0.1", "example")] == [
        True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "listen",
    ["::1%lo:0", "[::1%lo]:0", "::1:50051", "127.0.0.1%lo:0", "localhost%lo:0", "127.1:0", "0x7f000001:0", "2130706433:0",
     "[127.0.0.1]:0", "[]:0", ":0", "local host:0", "127.0.0.1:65536", "127.0.0.1:0:0", "unix:/tmp/x:0", "[::1]", "[::1]x:0",
     "127.0.0.1:0\n"],
)  # fmt: skip
def test_an_address_that_may_be_read_in_two_ways_is_refused(listen: str) -> None:
    with pytest.raises(ValidationError, match="listen"):
        Settings(listen=listen, insecure_remote=True)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "[::1]:50051"])
def test_an_address_of_this_machine_is_taken(listen: str) -> None:
    assert Settings(listen=listen).listen == listen


def test_names_and_whole_addresses_are_hosts() -> None:
    hosts = ("limits.example.com", "db-1", "10.0.0.1", "[::]", "[fe80::1]")

    assert [is_host(host) for host in hosts] == [True] * 5
    assert [is_loopback(host) for host in (*hosts, "[::1%lo]", "::1%lo")] == [False] * 7


def test_one_callers_watches_leave_room_for_others_and_all_of_them_for_on_call() -> None:
    places = Places(places_max=10, places_a_caller_max=4, reserved=3)
    with ExitStack() as stack:

        def take(caller: str, *, is_on_call: bool = False) -> None:
            stack.enter_context(places.taken(caller, is_on_call=is_on_call))

        for caller in ("greedy",) * 4 + ("billing",) * 3:
            take(caller)
        for caller in ("greedy", "billing", "another"):
            with pytest.raises(Overloaded):
                take(caller)
        for name in ("olga", "olga", "ada"):
            take(name, is_on_call=True)
        with pytest.raises(Overloaded):
            take("oscar", is_on_call=True)

    with places.taken("another", is_on_call=False):
        pass


def test_a_place_is_free_again_however_its_watch_ends() -> None:
    places = Places(places_max=1, places_a_caller_max=1, reserved=0)

    for _ in range(3):
        with pytest.raises(ZeroDivisionError), places.taken("billing", is_on_call=False):
            raise ZeroDivisionError


def test_settings_leave_others_than_on_call_a_place() -> None:
    with pytest.raises(ValidationError, match="watches_reserved"):
        Settings(watchers_max=16, watches_reserved=16)
