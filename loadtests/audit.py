"""The oracle of every run: the client's journals held against the server, and the store against its own promises.

Promises, after RELIABILITY: every acknowledged key was recorded once, with the acknowledged answer; every refused one
was not; every unknown one was recorded once or not at all, and its retry gives one stable answer. With a store at hand
also: every chain whole, every decision replayed, and no decision in the store that nobody knows of.
"""

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from holdline.client import Client

from loadtests import wire
from loadtests.journal import Entry, Knowledge, read, seal_of
from loadtests.own_server import OwnServer
from loadtests.scenario import Rpc
from loadtests.traffic import PATHS

FAULTS_MAX: Final = 20
IN_FLIGHT: Final = 32
ATTEMPTS_MAX: Final = 20
PAUSE_SECONDS: Final = 0.2
_RANK: Final = (Knowledge.REFUSED, Knowledge.UNKNOWN, Knowledge.DECLINED, Knowledge.ACKNOWLEDGED)
"""What is known of a key with several entries: the strongest of them."""


class Audit(NamedTuple):
    """What the audit found; no faults, no broken promise."""

    acknowledged: int
    declined: int
    refused: int
    unknown: int
    asked_again: int
    faults: tuple[str, ...]


class Known(NamedTuple):
    """What a journal knows of a key."""

    entry: Entry
    seals: frozenset[bytes]


class Auditor:
    """Asks again, and counts what does not agree."""

    def __init__(self, listen: str) -> None:
        self._listen = listen
        self._faults: list[str] = []
        self._asked = 0
        self.counts = dict.fromkeys(Knowledge, 0)
        self.decided = 0
        """Decisions that the journals and this audit know of."""

    def fault(self, what: str) -> None:
        """Enter a broken promise."""
        if len(self._faults) < FAULTS_MAX:
            self._faults.append(what)

    def audit(self, caller: str, journal: Path) -> None:
        """Ask every key of a journal again, in the name of its caller."""
        known = known_of(read(journal))
        for found in known.values():
            self.counts[found.entry.told] += 1
            if len(found.seals) > 1:
                self.fault(f"{caller}/{found.entry.key} was answered with {len(found.seals)} different answers")
        asked = iter(known.values())
        while batch := list(islice(asked, IN_FLIGHT * 16)):
            first = self._ask_all(caller, [one.entry for one in batch])
            # What was not known before must be known now, and stay.
            unsure = [one.entry for one in batch if one.entry.told in (Knowledge.UNKNOWN, Knowledge.REFUSED)]
            second = self._ask_all(caller, unsure)
            for one in batch:
                self._judge(caller, one.entry, first[one.entry.key], second.get(one.entry.key))

    def _judge(self, caller: str, entry: Entry, first: "Answered", second: "Answered | None") -> None:
        name = f"{caller}/{entry.key}"
        if entry.rpc in (Rpc.DECIDE, Rpc.ASSIGN) and first.status == "0":
            self.decided += 1
        if entry.told is Knowledge.ACKNOWLEDGED:
            if first.status != "0" or not first.is_replay:
                self.fault(f"{name} was acknowledged and is lost: asked again, {first}")
            elif first.seal != entry.seal:
                self.fault(f"{name} was acknowledged with another answer than the one that is recorded")
        elif entry.told is Knowledge.REFUSED and first.is_replay:
            self.fault(f"{name} was refused and is recorded")
        if second is None:
            return
        if (first.status, first.seal) != (second.status, second.seal):
            self.fault(f"{name} has no stable answer: {first}, then {second}")
        elif second.status == "0" and not second.is_replay:
            self.fault(f"{name} was recorded twice")

    def _ask_all(self, caller: str, entries: list[Entry]) -> "dict[str, Answered]":
        """Ask entries again, each until the server is not too busy to answer."""
        found: dict[str, Answered] = {}
        waiting = list(entries)
        for attempt in range(ATTEMPTS_MAX):
            if not waiting:
                return found
            time.sleep(PAUSE_SECONDS * min(attempt, 5))
            for entry, answered in _asked(self._listen, caller, waiting):
                self._asked += 1
                found[entry.key] = answered
            waiting = [one for one in waiting if found[one.key].status.partition(" ")[0] in ("8", "14", "4")]
        for entry in waiting:
            self.fault(f"{caller}/{entry.key}: no answer after the load, {found[entry.key].status}")
        return found

    def hold_store(self, server: OwnServer, expected: int | None) -> dict[str, Any]:
        """Hold a store against its own promises; `expected`: decisions that it must have, where that is known."""
        verified = server.run_cli("verify")
        replayed = server.run_cli("replay")
        for fault in (*verified["faults"], *replayed["differences"]):
            self.fault(f"store: {fault}")
        if expected is not None and verified["decisions"] != expected:
            self.fault(f"the store has {verified['decisions']} decisions, callers know of {expected}")
        return {"accounts": verified["accounts"], "decisions": verified["decisions"]}

    def hold_day(self, business_date: str) -> None:
        """Close a business day and hold its promises against its decisions."""
        with Client(self._listen, caller="load-audit", timeout_seconds=30.0) as client:
            last = list(client.watch_run(business_date))[-1]
            give_up_at = time.monotonic() + 600
            client.close_day(business_date)
            while not (closing := client.closing(business_date)).HasField("ended_at"):
                if time.monotonic() > give_up_at:
                    self.fault(f"{business_date}: the closing does not end")
                    return
                time.sleep(0.2)
            if closing.incident:
                found = list(islice(client.discrepancies(business_date), 3))
                told = "; ".join(f"{one.account_id}: {one.detail}" for one in found)
                self.fault(f"{business_date} does not add up, incident {closing.incident}: {told}")
            if last.granted + last.withheld == 0:
                self.fault(f"{business_date}: the run settled nothing")

    def verdict(self) -> Audit:
        """Give what was found."""
        counts = self.counts
        return Audit(
            counts[Knowledge.ACKNOWLEDGED],
            counts[Knowledge.DECLINED],
            counts[Knowledge.REFUSED],
            counts[Knowledge.UNKNOWN],
            self._asked,
            tuple(self._faults),
        )


class Answered(NamedTuple):
    """An answer to a key that was asked again."""

    status: str
    seal: bytes
    is_replay: bool

    def __str__(self) -> str:
        return f"status {self.status}{', from the record' if self.is_replay else ''}"


def known_of(entries: Iterable[Entry]) -> dict[str, Known]:
    """Give what a journal knows of each key: its strongest entry, and every acknowledged answer."""
    known: dict[str, Known] = {}
    for entry in entries:
        before = known.get(entry.key)
        seals = before.seals if before is not None else frozenset()
        if entry.told is Knowledge.ACKNOWLEDGED:
            seals |= {entry.seal}
        said = [entry] if before is None else [before.entry, entry]
        known[entry.key] = Known(max(said, key=lambda one: _RANK.index(one.told)), seals)
    return known


def _asked(listen: str, caller: str, entries: list[Entry]) -> Iterator[tuple[Entry, Answered]]:
    """Ask entries on one connection, a bounded number at a time."""
    connection = wire.Connection(listen, PATHS[Rpc.DECIDE], caller)
    connection.answers, connection.tells_reasons = {}, True
    connection.greet(1.0)
    headers = {rpc: wire.header_block(listen, path, caller, "10S") for rpc, path in PATHS.items()}
    waiting = iter(entries)
    in_flight: dict[int, Entry] = {}
    give_up_at = time.monotonic() + wire.ANSWER_SECONDS_MAX
    try:
        while True:
            room = min(IN_FLIGHT, connection.streams_max) - len(in_flight)
            batch = list(islice(waiting, room))
            if batch:
                streams = connection.send_calls([(headers[entry.rpc], entry.body) for entry in batch])
                in_flight |= dict(zip(streams, batch, strict=True))
            if not in_flight:
                return
            if time.monotonic() > give_up_at:
                raise ConnectionError("the server gives no answers")
            for stream, status in connection.receive(1.0):
                give_up_at = time.monotonic() + wire.ANSWER_SECONDS_MAX
                entry = in_flight.pop(stream, None)
                answer = bytes(connection.answers.pop(stream, b""))[5:]
                if entry is not None:
                    yield entry, Answered(status, *seal_of(entry.rpc, answer, status))
    finally:
        connection.close()
