"""One generator process: sends a share of a scenario's calls on schedule, and tells what came of them.

Promises that a call's latency runs from its intended start, however late it could be sent; that the generator's own
lateness is measured and told; and that it ends by itself. `python -m loadtests.generator` takes its orders as one JSON
line on standard input and writes a JSON line a second, then its result.
"""

import contextlib
import heapq
import json
import math
import os
import random
import select
import sys
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from holdline.v1 import draw_service_pb2

from loadtests import wire
from loadtests.journal import Entry, Journal, Knowledge, seal_of
from loadtests.scenario import DRAWS, WRITES, Rpc, Scenario
from loadtests.schedule import Arrival, arrivals
from loadtests.tally import NO_ROOM, NOT_SENT, Call, Second, Tally
from loadtests.traffic import PATHS, Asked, Traffic

WAIT_SECONDS_MAX: Final = 0.02
RECONNECT_SECONDS: Final = 0.05
GRACE_SECONDS: Final = 1.0
"""So long after its deadline a call without an answer is given up."""
DUPLICATE_SECONDS_MAX: Final = 0.02
AWAY: Final = "14 CONNECTION_LOST"
EXPIRED: Final = "4 -"
TIMEOUT_STEP_MS: Final = 50
"""Deadlines are told in such steps, so that headers are written once."""
NICENESS: Final = -10
"""The generator comes first where cores are short, as it would on a machine of its own; where it may."""

_TOLD: Final = {
    "0": Knowledge.ACKNOWLEDGED, "5": Knowledge.DECLINED, "6": Knowledge.DECLINED, "8": Knowledge.REFUSED,
    "9": Knowledge.DECLINED,
}  # fmt: skip
_TRY_AGAIN: Final = ("8", "14", "4")


class Generator:
    """Sends calls over its connections until its schedule is done and every call has ended."""

    def __init__(self, scenario: Scenario, number: int, listen: str, caller: str, journal: Journal) -> None:
        self._scenario = scenario
        self._listen = listen
        self._caller = caller
        self._journal = journal
        self._rng = random.Random(f"{scenario.seed}/{number}/manners")
        self._traffic = Traffic(scenario, f"{number}", caller)
        self._schedule: Iterator[Arrival] = islice(arrivals(scenario, scenario.seed), number, None, scenario.processes)
        self._headers: dict[tuple[Rpc, int], bytes] = {}
        self._connections: list[wire.Connection | None] = [None] * scenario.connections
        self._in_flight: list[dict[int, Call]] = [{} for _ in range(scenario.connections)]
        self._connect_at = [0.0] * scenario.connections
        self._turn = 0
        self._lines: tuple[deque[Call], deque[Call]] = deque(), deque()
        self._later: list[tuple[float, int, Call]] = []
        self._sequence = 0
        self.tally = Tally()

    def run(self, began: float) -> Iterator[int]:
        """Send everything; gives each second's number once it is over. `began`: monotonic seconds."""
        scenario = self._scenario
        upcoming = next(self._schedule, None)
        told = 0
        over = scenario.seconds + scenario.deadline_ms / 1_000 + 2 * GRACE_SECONDS + 10
        while True:
            now = time.monotonic() - began
            upcoming = self._take_due(upcoming, now)
            if scenario.closed_loop:
                self._keep_busy(now)
            self._connect(now)
            self._send(now)
            is_done = upcoming is None if not scenario.closed_loop else now >= scenario.seconds
            if is_done and not any(self._lines) and not self._later and not any(self._in_flight):
                break
            if now > over:
                self._give_up(math.inf, now)
                break
            while told < int(now):
                yield told
                told += 1
            self._wait(upcoming, began)
            self._give_up(now, now)
        yield from range(told, int(now) + 1)

    def _take_due(self, upcoming: Arrival | None, now: float) -> Arrival | None:
        """Make calls of what is due; lateness counts only where no call had to wait for room before."""
        if self._scenario.closed_loop:
            return None
        had_room = not any(self._lines)
        while upcoming is not None and upcoming.at <= now:
            self._offer(upcoming, now, had_room=had_room)
            upcoming = next(self._schedule, None)
        while self._later and self._later[0][0] <= now:
            call = heapq.heappop(self._later)[2]
            self._line(call.rpc).append(call)
        return upcoming

    def _offer(self, arrival: Arrival, now: float, *, had_room: bool) -> None:
        tally = self.tally
        rpc = self._traffic.draw()
        self._line(rpc).append(Call(rpc, arrival.at, arrival.phase))
        tally.firsts += 1
        tally.second(arrival.at).counts["offered"] += 1
        if had_room:
            tally.begin(now - arrival.at)

    def _write(self, call: Call, now: float) -> Asked:
        """Write a call's request before its first attempt, and send it twice where the scenario wants that."""
        if call.asked is None:
            asked = call.asked = self._traffic.ask(call.rpc)
            call.rpc = asked.rpc
            if asked.rpc in WRITES and self._rng.random() < self._scenario.duplicates:
                self.tally.duplicates += 1
                at = now + self._rng.random() * DUPLICATE_SECONDS_MAX
                self._put_off(Call(asked.rpc, at, call.phase, asked), at)
        return call.asked

    def _keep_busy(self, now: float) -> None:
        """Closed loop: as many calls as the scenario wants in flight, each new one intended for now."""
        if now >= self._scenario.seconds:
            return
        missing = self._scenario.closed_loop - sum(map(len, self._in_flight)) - sum(map(len, self._lines))
        for _ in range(missing):
            self._offer(Arrival(now, 0), now, had_room=False)

    def _put_off(self, call: Call, at: float) -> None:
        self._sequence += 1
        heapq.heappush(self._later, (at, self._sequence, call))

    def _connect(self, now: float) -> None:
        for place, connection in enumerate(self._connections):
            if connection is None and now >= self._connect_at[place]:
                try:
                    made = wire.Connection(self._listen, PATHS[Rpc.DECIDE], self._caller)
                    made.greet(RECONNECT_SECONDS)
                except OSError:
                    self._connect_at[place] = now + RECONNECT_SECONDS
                    continue
                made.answers, made.tells_reasons = {}, True
                self._connections[place] = made

    def _send(self, now: float) -> None:
        """Send what is ready, in turn over the connections that have room.

        A caller's patience begins with its intention: what found no room in time is not sent any more.
        """
        patience = min(self._scenario.deadline_ms, self._scenario.room_ms) / 1_000
        for line in self._lines:
            while line and now - line[0].intended > patience and not line[0].attempts:
                self._ended(line.popleft(), NO_ROOM, b"", now)
            if not any(self._connections):
                for call in [line.popleft() for _ in range(len(line))]:
                    self._ended(call, NOT_SENT, b"", now)
        for _ in range(len(self._connections)):
            self._turn = (self._turn + 1) % len(self._connections)
            connection, in_flight = self._connections[self._turn], self._in_flight[self._turn]
            line = self._lines[self._turn < self._scenario.draw_connections]
            if not line or connection is None or connection.last_stream is not None:
                continue
            share = -(-len(line) // len(self._connections))
            calls: list[Call] = []
            room = connection.window
            while line and len(calls) < share and len(in_flight) + len(calls) < connection.streams_max:
                room -= len(self._write(line[0], now).body) + 5
                if room < 0:
                    break
                calls.append(line.popleft())
            if calls:
                self._send_over(self._turn, connection, calls, now)

    def _line(self, rpc: Rpc) -> deque[Call]:
        """Give the line of calls that wait for room; draws have their own where they have their own connections."""
        return self._lines[rpc in DRAWS and self._scenario.draw_connections > 0]

    def _send_over(self, place: int, connection: wire.Connection, calls: list[Call], now: float) -> None:
        deadline = now + self._scenario.deadline_ms / 1_000 + GRACE_SECONDS
        try:
            streams = connection.send_calls(
                [(self._header(call, now), call.asked.body) for call in calls if call.asked is not None]
            )
        except OSError:
            for call in calls:
                self._ended(call, AWAY, b"", now)
            self._lose(place, now)
            return
        for stream, call in zip(streams, calls, strict=True):
            call.attempts += 1
            call.deadline = deadline
            self._in_flight[place][stream] = call
        self.tally.attempts += len(calls)
        self.tally.second(now).counts["sent"] += len(calls)

    def _header(self, call: Call, now: float) -> bytes:
        """Give a call's headers: its deadline is what is left of its caller's patience, and at least a little."""
        waited = now - call.intended if not call.attempts else 0.0
        left = max(self._scenario.deadline_ms - int(waited * 1_000), TIMEOUT_STEP_MS)
        steps = -(-left // TIMEOUT_STEP_MS)
        found = self._headers.get((call.rpc, steps))
        if found is None:
            found = wire.header_block(self._listen, PATHS[call.rpc], self._caller, f"{steps * TIMEOUT_STEP_MS}m")
            self._headers[call.rpc, steps] = found
        return found

    def _wait(self, upcoming: Arrival | None, began: float) -> None:
        """Wait for answers until the next call is due, and take them in."""
        now = time.monotonic() - began
        due = min(upcoming.at if upcoming else now + 1, self._later[0][0] if self._later else now + 1)
        seconds = min(max(due - now, 0.0), WAIT_SECONDS_MAX)
        places = {one.socket: place for place, one in enumerate(self._connections) if one is not None}
        if not places:
            time.sleep(min(seconds, RECONNECT_SECONDS))
            return
        for ready in select.select(list(places), [], [], seconds)[0]:
            self._receive(places[ready], began)

    def _receive(self, place: int, began: float) -> None:
        connection = self._connections[place]
        assert connection is not None
        assert connection.answers is not None
        try:
            ended = connection.receive(0)
        except OSError:
            self._lose(place, time.monotonic() - began)
            return
        now = time.monotonic() - began
        for stream, status in ended:
            call = self._in_flight[place].pop(stream, None)
            answer = bytes(connection.answers.pop(stream, b""))[5:]
            if call is None:
                continue
            if status == wire.NOT_TAKEN:
                self._take_back(call)
            else:
                self._ended(call, status, answer, now)
        if connection.last_stream is not None:
            self._leave(place, connection, connection.last_stream, now)

    def _leave(self, place: int, connection: wire.Connection, last_stream: int, now: float) -> None:
        """The server goes away in order: what it won't answer is tried elsewhere, the rest is waited for."""
        in_flight = self._in_flight[place]
        for stream in [stream for stream in in_flight if stream > last_stream]:
            self._take_back(in_flight.pop(stream))
        if not in_flight:
            connection.close()
            self._connections[place], self._connect_at[place] = None, now

    def _take_back(self, call: Call) -> None:
        """The server did not take a call, so it is as if it had never been sent; gRPC's own clients do the same."""
        call.attempts -= 1
        self.tally.attempts -= 1
        self._line(call.rpc).appendleft(call)

    def _lose(self, place: int, now: float) -> None:
        """A connection is gone: nobody knows of its calls."""
        connection, left = self._connections[place], self._in_flight[place]
        self._connections[place], self._in_flight[place] = None, {}
        self._connect_at[place] = now + RECONNECT_SECONDS
        if connection is not None:
            connection.close()
        for call in left.values():
            self._ended(call, AWAY, b"", now)

    def _give_up(self, before: float, now: float) -> None:
        """Give up calls whose deadline lies before a time; a connection's calls stand in the order of theirs."""
        for in_flight in self._in_flight:
            while in_flight and next(iter(in_flight.values())).deadline < before:
                self._ended(in_flight.pop(next(iter(in_flight))), EXPIRED, b"", now)

    def _ended(self, call: Call, status: str, answer: bytes, now: float) -> None:
        """Take an attempt's end: try again where the caller would, else count and journal it."""
        code = status.partition(" ")[0]
        told = Knowledge.REFUSED if status in (NOT_SENT, NO_ROOM) else _TOLD.get(code, Knowledge.UNKNOWN)
        if code in _TRY_AGAIN and status != NO_ROOM and not call.is_duplicate and self._may_retry(call):
            self.tally.second(now).counts[f"try again: {status}"] += 1
            pause = self._scenario.retries.pause_ms / 1_000 * 2 ** max(call.attempts - 1, 0)
            self._put_off(call, now + pause * self._rng.uniform(0.5, 1.5))
            if told is Knowledge.UNKNOWN:
                self._enter(call, told, b"\0" * 8)
            return
        if call.asked is None:
            # Nothing was written, so nothing is journalled. Under overload most calls end here, on the server's cores.
            self.tally.end(call, status, told, now)
            return
        seal, is_replay = seal_of(call.rpc, answer, status)
        self.tally.replays += is_replay
        if not call.is_duplicate:
            self.tally.end(call, status, told, now)
        if answer and call.rpc is Rpc.AUTHORIZE and told is Knowledge.ACKNOWLEDGED and not is_replay:
            posting = draw_service_pb2.AuthorizeDrawResponse.FromString(answer).posting
            if posting.HasField("hold"):
                self._traffic.granted(posting)
        self._enter(call, told, seal)

    def _enter(self, call: Call, told: Knowledge, seal: bytes) -> None:
        if call.asked is not None and call.rpc in WRITES:
            self._journal.enter(Entry(call.rpc, told, call.asked.key, seal, call.asked.body))

    def _may_retry(self, call: Call) -> bool:
        manners, tally = self._scenario.retries, self.tally
        retries = tally.attempts - tally.firsts - tally.duplicates
        return call.attempts < manners.attempts and retries < manners.budget * tally.firsts + 10

    def close(self) -> None:
        """Let go of the connections."""
        for connection in self._connections:
            if connection is not None:
                connection.close()


def main() -> None:
    """Run one generator as ordered."""
    orders = json.loads(sys.stdin.readline())
    scenario = Scenario.model_validate(orders["scenario"])
    with contextlib.suppress(PermissionError):
        os.nice(NICENESS)
    journal = Journal(Path(orders["journal"]))
    generator = Generator(scenario, orders["number"], orders["listen"], orders["caller"], journal)
    _say({"ready": True})
    began = float(sys.stdin.readline())
    while (wait := began - time.monotonic()) > 0:
        time.sleep(min(wait, 0.05))
    for number in generator.run(began):
        second = generator.tally.seconds.pop(number, None) or Second()
        _say({"second": number, "counts": second.counts, "latencies": second.latencies.encode().decode()})
    generator.close()
    journal.close()
    times = os.times()
    _say({"result": generator.tally.result(), "cpu_seconds": times.user + times.system, "niceness": os.nice(0)})


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
