"""One simulated run: an engine, its callers, and everything between them, all driven by one seed.

Promises the same run for the same seed, to the last byte (its digest says so), and a check of every promise at each
answer and after each crash; `Broken` tells which did not hold.
"""

import hashlib
import heapq
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

from google.rpc import status_pb2

from service import bootstrap, telemetry
from service.domain.clock import TOLERANCE_US, Reading
from service.domain.decision import Kind
from service.domain.errors import StoreUnavailable
from service.engine import frames
from service.engine.execute import execute
from service.engine.ports.codec import Answer, Call
from service.engine.process import Engine
from service.engine.replay import replay
from service.storage.sqlite.migrate import StoreRefused
from service.storage.verify import verify
from tests.builders import NOW_US, StillClock, command, read_policy, settings, sqlite
from tests.simulation.callers import ACCOUNTS, FAR_US, Books, Broken, Request
from tests.simulation.disk import VFS_NAME, Drive

REQUESTS: Final = 45
IN_FLIGHT: Final = 6
"""Requests under way at a time."""
TIMEOUT: Final = 60
"""Steps after which a caller asks again."""
LATENCY_MAX: Final = 25
STEPS_MAX: Final = 20_000
ATTEMPTS_MAX: Final = 60
RETENTION_US: Final = 72 * 3_600_000_000
OUTAGE_US_MAX: Final = 3_600_000_000
"""Longest time that a machine is without power: no playbook of a day lapses in a run."""
STEPS_US: Final = (20_000_000, 3_600_000_000, 400 * 3_600_000_000)
"""Steps of the machine's clock lie below one of these, in microseconds."""


class Outcome(NamedTuple):
    """What a run came to."""

    seed: int
    digest: str
    states: frozenset[bytes]
    faults: Counter[str]
    broken: str


class Frame(NamedTuple):
    """A frame under way: to the engine or back, for which request."""

    to_engine: bool
    request: Request
    content: bytes


class World:
    """A run in the making."""

    def __init__(self, seed: int, drive: Drive, folder: Path, template: Path) -> None:
        self.rng = random.Random(seed)
        self._drive = drive
        self._folder = folder
        self._clock = StillClock()
        """The time that truly passes."""
        self._off_us = 0
        """How far the machine's clock is ahead of it."""
        self._boots = 1
        self.step = 0
        self.faults: Counter[str] = Counter()
        self._life = 0
        self._engine: Engine | None = None
        self._back_at = 0
        self._queue: list[tuple[int, int, Frame]] = []
        self._order = 0
        self._digest = hashlib.blake2b(digest_size=8)
        self._states: set[bytes] = set()
        self.books = Books(self.rng)
        self._waiting: dict[str, tuple[Request, int, int]] = {}
        """Requests under way: when to ask again, and how often it was."""
        self._made = 0
        self._path = folder / "life-0" / "holdline.db"
        self._path.parent.mkdir()
        shutil.copy(template, self._path)
        self._start()

    def _start(self) -> None:
        self._drive.replace()
        try:
            self.store = sqlite(self._path, vfs=VFS_NAME)
        except (StoreUnavailable, StoreRefused) as error:
            raise Broken(f"the store does not open after a crash: {error}") from error
        parts = bootstrap.make_parts(self.store, settings(), read_policy, self._read_clocks)
        self._engine = Engine(
            self.store, parts.control, self._clock, parts.codec, telemetry.engine_meters(None), 2_000,
            parts.brake, parts.tally, parts.dead_man, parts.clock,
        )  # fmt: skip
        self._engine.mind_clock()

    def _read_clocks(self) -> Reading:
        return Reading(self._clock.time_us + self._off_us, self._clock.time_us, f"boot-{self._boots}")

    def run(self) -> None:
        """Run until every request is answered for good; raises Broken."""
        while self._made < REQUESTS or self._waiting:
            self.step += 1
            if self.step > STEPS_MAX:
                raise Broken(f"{len(self._waiting)} requests are never answered")
            self._clock.time_us += self.rng.randrange(1_000)
            self._misbehave()
            self._ask()
            self._deliver()
            self._do_chores()
            self._check_time()
            self._note_state()
        if self._engine is None:
            self._start()
        self._check_store()

    def _misbehave(self) -> None:
        """Let something go wrong, once in a while; towards the end less, so that a run ends."""
        rng = self.rng
        chance = rng.random()
        if self._engine is None:
            if self.step >= self._back_at:
                self._start()
                self._check_store()
        elif chance < 0.006:
            self._crash(has_power=True)
        elif chance < 0.012:
            self._crash(has_power=False)
        elif chance < 0.022:
            self._count("write or sync fails")
            self._drive.disk.error_in = rng.randrange(1, 12)
        elif chance < 0.032:
            self._count("dies in the middle of a commit")
            self._drive.disk.dies_in = rng.randrange(1, 12)
        elif chance < 0.036:
            self._count("clock set back")
            self._off_us -= rng.randrange(rng.choice(STEPS_US))
        elif chance < 0.040:
            self._count("clock set ahead")
            self._off_us += rng.randrange(rng.choice(STEPS_US))
        elif chance < 0.044:
            self._count("clock set right")
            self._off_us = 0

    def _count(self, fault: str) -> None:
        self.faults[fault] += 1
        self._say(f"{self.step} {fault}")

    def _say(self, what: str) -> None:
        self._digest.update(what.encode())

    def _crash(self, *, has_power: bool) -> None:
        """The engine is gone, with what it had in hand; its files are as a kill or a power cut leaves them."""
        self._count("killed" if has_power else "power cut")
        self._life += 1
        target = self._folder / f"life-{self._life}"
        target.mkdir()
        disk = self._drive.disk
        for name in (self._path.name, f"{self._path.name}-wal"):
            left = disk.left(name, self._path.parent / name, self.rng, has_power=has_power)
            (target / name).write_bytes(left)
        # Whatever the old connection still does, it does to files that nobody reads again.
        disk.heal()
        self.store.close()
        shutil.rmtree(self._path.parent)
        self._path = target / self._path.name
        self._engine = None
        self._back_at = self.step + self.rng.randrange(1, 40)
        if not has_power:
            # The machine starts anew, and the network tells it the time. With a clock that was known to be wrong, an
            # outage would wait for a person.
            if not self.faults.keys() & {"clock set ahead", "clock set back"}:
                self._clock.time_us += self.rng.randrange(OUTAGE_US_MAX)
            self._boots, self._off_us = self._boots + 1, 0

    def _do_chores(self) -> None:
        """Let the engine mind its clock and forget what is old enough, once in a while."""
        if self._engine is None or self.rng.random() > 0.05:
            return
        self._engine.mind_clock()
        self._engine.purge(RETENTION_US, 1_000)
        if self._drive.disk.is_dead:
            self._crash(has_power=self.rng.random() < 0.5)

    def _check_time(self) -> None:
        """The store's time is the true one, whatever the machine's clock is set to; raises Broken."""
        if self._engine is not None:
            off_us = self.store.now_us() - self._clock.time_us
            if abs(off_us) > TOLERANCE_US:
                raise Broken(f"the store's time is off by {off_us} us where the machine's clock is by {self._off_us}")

    def _ask(self) -> None:
        """Send new requests, and those again whose answers do not come."""
        for key, (request, again_at, attempts) in list(self._waiting.items()):
            if self.step >= again_at:
                if attempts > ATTEMPTS_MAX:
                    raise Broken(f"{key} was asked {attempts} times and never answered")
                self._send(request, attempts + 1)
        if self._made < REQUESTS and len(self._waiting) < IN_FLIGHT and self.rng.random() < 0.3:
            is_switch = self.rng.random() < 0.06 and not any(key.startswith("s-") for key in self._waiting)
            request = self.books.switch(self.step) if is_switch else self.books.request(self.step)
            if request.key not in self._waiting:
                self._made += 1
                self._send(request, 1)

    def _send(self, request: Request, attempts: int) -> None:
        self._waiting[request.key] = request, self.step + TIMEOUT + self.rng.randrange(TIMEOUT), attempts
        self._transmit(Frame(True, request, frames.frame([request.call])))
        if self.rng.random() < 0.05:
            # A caller that loses patience sends the same again at once.
            self._count("sent twice")
            self._transmit(Frame(True, request, frames.frame([request.call])))

    def _transmit(self, frame: Frame) -> None:
        """Put a frame on the network, which delays, and at times loses or doubles it."""
        chance = self.rng.random()
        if chance < 0.04:
            self._count("frame lost")
            return
        copies = 1
        if chance < 0.07:
            self._count("frame doubled")
            copies = 2
        for _ in range(copies):
            self._order += 1
            at = self.step + self.rng.randrange(1, LATENCY_MAX)
            heapq.heappush(self._queue, (at, self._order, frame))

    def _deliver(self) -> None:
        """Let frames arrive; those for the engine that arrive together are one batch, in an order of their own."""
        arrived: list[Frame] = []
        while self._queue and self._queue[0][0] <= self.step:
            frame = heapq.heappop(self._queue)[2]
            if frame.to_engine:
                arrived.append(frame)
            else:
                self._hear(frame)
        if arrived and self._engine is not None:
            self.rng.shuffle(arrived)
            self._execute(arrived)

    def _execute(self, arrived: list[Frame]) -> None:
        engine = self._engine
        assert engine is not None
        calls: list[Call] = []
        for frame in arrived:
            calls += frames.calls(frames.split(bytearray(frame.content))[0])
        answers = list(engine.answers(calls, 0))
        if self._drive.disk.is_dead:
            # It died in the middle, so nobody heard an answer.
            self._crash(has_power=self.rng.random() < 0.5)
            return
        for position, answer in answers:
            frame = arrived[position]
            # A refusal's details hold a map, and protobuf writes those in another order in each process.
            told = status_pb2.Status.FromString(answer.body).message if answer.code else answer.body.hex()
            self._say(f"{self.step} {frame.request.key} {answer.code} {told}")
            self._transmit(Frame(False, frame.request, frames.frame([answer])))

    def _hear(self, frame: Frame) -> None:
        answer: Answer = frames.answers(frames.split(bytearray(frame.content))[0])[0]
        waiting = self._waiting.get(frame.request.key)
        is_final = self.books.hear(frame.request, answer, self.step)
        if is_final and waiting is not None and waiting[0] is frame.request:
            del self._waiting[frame.request.key]

    def _note_state(self) -> None:
        """Remember what the world looks like: accounts as callers know them, what is under way, what is wrong."""
        disk = self._drive.disk
        seen = (
            self._engine is None, disk.error_in > 0, disk.dies_in > 0, len(disk.unsynced), len(self._queue),
            len(self._waiting), len(self.books.told), len(self.books.holds), self.books.modes[-1][1],
            tuple(self.books.outstanding.values()),
        )  # fmt: skip
        self._states.add(hashlib.blake2b(repr(seen).encode(), digest_size=8).digest())

    def _check_store(self) -> None:
        """Hold the store against its promises and against everything that callers were told; raises Broken."""
        # A check reads; faults planned for writes wait.
        disk = self._drive.disk
        planned, disk.error_in, disk.dies_in = (disk.error_in, disk.dies_in), 0, 0
        # A store that could not be opened anew after a failed write is opened by the next transaction.
        self.store.begin()
        self.store.rollback()
        faults = verify(self.store).faults
        if faults:
            raise Broken(f"the store: {faults[0]}")
        differences = replay(self.store, bootstrap.make_control()).differences
        if differences:
            raise Broken(f"replay: {differences[0]}")
        if self._engine is not None:
            for key, told in list(self.books.told.items()):
                again = Request(key, Call(told.method, "sim", FAR_US, "", told.body), self.step)
                answer = dict(self._engine.answers([again.call], 0))[0]
                if answer.code or not answer.body.endswith(b"\x01"):
                    raise Broken(f"{key} was acknowledged and is lost")
                self.books.hear(again, answer, 0)
        if not self._waiting and not self._queue:
            self._check_money()
        disk.error_in, disk.dies_in = planned

    def _check_money(self) -> None:
        for account_id, outstanding in self.books.outstanding.items():
            account = self.store.account(account_id)
            if account is None or account.outstanding_minor - outstanding not in self.books.late[account_id]:
                found = account.outstanding_minor if account else None
                raise Broken(f"{account_id} owes {found}, by what was acknowledged {outstanding}")

    def outcome(self, seed: int, broken: str) -> Outcome:
        """Give what the run came to."""
        return Outcome(seed, self._digest.hexdigest(), frozenset(self._states), self.faults, broken)

    def close(self) -> None:
        """Let go of the store."""
        self._drive.disk.heal()
        self.store.close()


def template_store(folder: Path) -> Path:
    """Make the store that every run begins with: the reference policies, and accounts with limits."""
    path = folder / "template.db"
    store = sqlite(path)
    clock = StillClock(NOW_US - 1_000_000)
    store.now_us = clock.now_us
    parts = bootstrap.make_parts(store, settings(), read_policy)
    opened = [
        command(Kind.ASSIGN, caller="opens", request_id=account_id, account_id=account_id) for account_id in ACCOUNTS
    ]
    execute(opened, store, parts.control, clock, parts.brake)
    store.close()
    return path


def simulate(seed: int, drive: Drive, template: Path) -> Outcome:
    """Run one seed."""
    with tempfile.TemporaryDirectory(prefix="holdline-sim-") as name:
        world = World(seed, drive, Path(name), template)
        broken = ""
        try:
            world.run()
        except Broken as error:
            broken = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a run meets is a finding, with its seed.
            broken = f"{type(error).__name__}: {error}"
        world.close()
        return world.outcome(seed, broken)
