"""The composition root: settings in, wired processes out. Nothing else constructs.

`service.launch` runs what is wired here as processes.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

import structlog

from playbooks import registry
from service import build, telemetry
from service.domain.clock import Reading
from service.domain.errors import PlaybookNotFound
from service.domain.playbook import Playbook
from service.domain.policy import Policy
from service.domain.policy_life import PolicyState
from service.domain.watch import EngineSeen, MessageState
from service.engine.beside import Preparation
from service.engine.clock import ClockDesk, FollowedClock, StoreClock
from service.engine.control import Control
from service.engine.desks.feedback import FeedbackDesk
from service.engine.desks.limits import LimitDesk
from service.engine.desks.operations import OperationDesk
from service.engine.desks.outbox import OutboxDesk
from service.engine.desks.playbooks import PlaybookDesk
from service.engine.desks.policies import PolicyDesk, PolicyOrder
from service.engine.desks.reports import ReportDesk, Tally
from service.engine.desks.runs import RunDesk
from service.engine.ports.calendar import Calendar
from service.engine.ports.playbooks import Playbooks
from service.engine.ports.policies import PolicyReader
from service.engine.ports.store import Store
from service.engine.process import Engine
from service.engine.safety.brake import Brake, BrakeLimit
from service.engine.safety.dead_man import DeadMan
from service.settings import Settings

if TYPE_CHECKING:
    from service.engine.ports.codec import Asks
    from service.rpc.codec import ProtoCodec, ReadingCodec
    from service.runner.worker import LedgerStore, Worker
    from service.sentry.delivery import Deliverer
    from service.sentry.notices import NoticeStore
    from service.sentry.process import Sentry
    from service.sentry.sinks import Sink
    from service.storage.sqlite.store import SqliteStore

REFERENCE_POLICIES: Final = ("reference-2026-2", "instalment-2026-2")
CALLER: Final = "holdline"
ELAPSED_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Where there is no clock that counts sleep, time asleep passes for a step and waits for a person's word."""
READS_MAX: Final = 3
READ_US_MAX: Final = 10_000
"""Two clocks that were read within so long were read together."""
_EPOCH: Final = date(1970, 1, 1)

log = structlog.get_logger("holdline")


def now_us() -> int:
    """Give now by this machine's clock, in microseconds since the epoch UTC."""
    return time.time_ns() // 1_000


def read_clocks() -> Reading:
    """Read this machine's clocks; both at one moment, even where the process is stopped in between."""
    for _ in range(READS_MAX):
        before_us, wall_us, after_us = _elapsed_us(), now_us(), _elapsed_us()
        if after_us - before_us <= READ_US_MAX:
            break
    return Reading(wall_us, after_us, _boot())


def _elapsed_us() -> int:
    return time.clock_gettime_ns(ELAPSED_CLOCK) // 1_000


@lru_cache(maxsize=1)
def _boot() -> str:
    """Give which start of which machine this is, and how its containers count; another one each time where unknown."""
    parts = []
    for path in (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/timens_offsets")):
        with contextlib.suppress(OSError):
            parts.append("".join(path.read_text(encoding="ascii").split()))
    return "/".join(parts) or uuid.uuid4().hex


def follow_clock(store: SqliteStore) -> FollowedClock:
    """Let a store that is only read show the time of the engine that writes it, on this machine."""
    clock = FollowedClock(store.clock, read_clocks)
    store.now_us = clock.now_us
    return clock


class ZoneCalendar:
    """Business days of one time zone."""

    def __init__(self, time_zone: str) -> None:
        self._zone = ZoneInfo(time_zone)

    def business_day(self, now_us: int) -> int:
        """Give the calendar day of a time in the business time zone, as days since 1970-01-01."""
        return (datetime.fromtimestamp(now_us // 1_000_000, UTC).astimezone(self._zone).date() - _EPOCH).days

    def starts_us(self, business_day: int) -> int:
        """Give when a business day begins; where a shift of the clock skips midnight, the first moment after it."""
        midnight = datetime.combine(_EPOCH + timedelta(days=business_day), time_of_day.min, self._zone)
        return int(midnight.timestamp()) * 1_000_000


def read_policy(document: str, *, is_new: bool = False) -> tuple[Policy, str]:
    """Compile a policy document, a new one held against every check; raises InvalidRequest with every violation.

    The texts of playbooks' reasons join the policy's own, so that every outcome in every mode has its texts.
    """
    from service.policies import compiler

    compiled = (compiler.compile_text if is_new else compiler.compile_stored)(document)
    policy = compiled.policy
    return replace(policy, texts={**registry.load().texts(), **policy.texts}), compiled.content_hash


def seed_policies(policies: PolicyDesk) -> None:
    """Publish and promote the reference policies in a store that has no policy yet."""
    if policies.records(""):
        return
    for version in REFERENCE_POLICIES:
        document = resources.files("service.policies").joinpath(f"{version}.yaml").read_text(encoding="utf-8")
        for action in ("publish", "promote"):
            key = f"{CALLER}/{action}-{version}"
            changed = policies.change(
                PolicyOrder(
                    action, key, version.encode(), CALLER, version=version, document=document,
                    reason="a new store starts with the reference policies",
                )
            )  # fmt: skip
        assert changed.record.state is PolicyState.ACTIVE


class Parts(NamedTuple):
    """What decides over one store, wired."""

    control: Control
    calendar: Calendar
    desk: LimitDesk
    policies: PolicyDesk
    playbooks: PlaybookDesk
    runs: RunDesk
    codec: ProtoCodec
    brake: Brake
    tally: Tally
    dead_man: DeadMan
    clock: ClockDesk


def make_parts(
    store: Store, settings: Settings, reader: PolicyReader, read: Callable[[], Reading] | None = None
) -> Parts:
    """Wire what decides over a store, with the reference policies where the store is new.

    `read` reads the machine's clocks; without it the store's own clock, as in tests, is one that nobody sets.
    """
    from service.rpc.codec import ProtoCodec

    playbooks = registry.load()
    control = Control(reader, playbooks)
    store_clock = StoreClock(store, read or own_clock(store))
    store.now_us = store_clock.now_us
    clock = ClockDesk(store, control, store_clock)
    calendar = ZoneCalendar(settings.business_time_zone)
    desk, policies = LimitDesk(store, control, calendar), PolicyDesk(store, control, reader)
    seed_policies(policies)
    playbook_desk = PlaybookDesk(store, control)
    tally = Tally()
    dead_man = make_dead_man(settings, playbooks)
    brake = make_brake(settings, playbooks)
    lease_us = settings.run_lease_ms * 1_000
    runs = RunDesk(store, control, calendar, brake, tally, settings.run_shard_accounts, lease_us)
    reports = ReportDesk(store, control, playbook_desk, tally, dead_man)
    appeal_us = settings.appeal_hours * 3_600_000_000
    feedback = FeedbackDesk(store, control, calendar, brake, appeal_us, settings.appeal_rooms)
    outbox, operations = OutboxDesk(store, control), OperationDesk(store, runs)
    codec = ProtoCodec(desk, policies, playbook_desk, reports, runs, outbox, feedback, calendar, clock, operations)
    return Parts(control, calendar, desk, policies, playbook_desk, runs, codec, brake, tally, dead_man, clock)


def own_clock(store: Store) -> Callable[[], Reading]:
    """Give how a store's own clock is read where it is not the machine's: all that it shows has passed."""
    now = store.now_us

    def read() -> Reading:
        now_us = now()
        return Reading(now_us, now_us, "")

    return read


def handed_over(folder: Path, *, gives: bool) -> PolicyReader:
    """Give what reads policies as they were compiled in another process of this server; `gives`: this is that one."""
    from service.policies.handover import HandedOver, Handover

    made_of = build.this(registry.load().content_hash)
    return HandedOver(read_policy, Handover(folder, "/".join(made_of)), gives=gives)


def make_engine(
    store: Store,
    settings: Settings,
    meters: telemetry.EngineMeters,
    read: Callable[[], Reading] | None = None,
    reader: PolicyReader = read_policy,
) -> Engine:
    """Wire an engine over a store; `read` reads the machine's clocks, `reader` policies."""
    parts = make_parts(store, settings, reader, read)
    return Engine(
        store, parts.control, parts.calendar, parts.codec, meters, settings.commands_per_commit_max, parts.brake,
        parts.tally, parts.dead_man, parts.clock,
    )  # fmt: skip


def make_reader(
    store: Store, settings: Settings, reader: PolicyReader = read_policy
) -> tuple[ReadingCodec, Preparation]:
    """Wire what answers reads over a store that is only read, and what compiles policies beforehand."""
    from service.rpc.codec import ReadingCodec

    parts = make_parts(store, settings, reader)
    return ReadingCodec(parts.codec, store), Preparation(parts.policies.unprepared)


ALERTS_IN_HAND_MAX: Final = 64
NOTICES_IN_HAND_MAX: Final = 1_000


def make_sentry(
    store: NoticeStore, line: Asks, settings: Settings, clock: Callable[[], int], meters: telemetry.SentryMeters
) -> tuple[Sentry, list[Deliverer]]:
    """Wire a sentry over a store, and the deliverers of alerts and notices, which are not started."""
    from service.rpc.sentry import EngineCalls
    from service.sentry.delivery import Deliverer
    from service.sentry.guards import Guards
    from service.sentry.notices import Notices
    from service.sentry.process import Sentry
    from service.sentry.sinks import Webhook

    attempts = settings.alert_attempts_max
    # Receivers hold a signature's time against their own clocks, so it is the machine's and not the store's.
    webhook = Webhook(settings.alert_webhook, settings.alert_secret, now_us) if settings.alert_webhook else None
    alerts_out = Deliverer(webhook, attempts, ALERTS_IN_HAND_MAX, clock, is_logged=True)
    sink = notice_sink(settings)
    notices_out = Deliverer(sink, attempts, NOTICES_IN_HAND_MAX, clock, is_logged=False) if sink is not None else None
    calls = EngineCalls(line, settings.guard_ttl_seconds)
    guards, notices = Guards(settings.guard_playbooks), Notices(store, make_control())
    sentry = Sentry(store, calls, guards, alerts_out, notices_out, notices, settings.guard_decisions, meters)
    return sentry, [alerts_out, *([notices_out] if notices_out is not None else [])]


def notice_sink(settings: Settings) -> Sink | None:
    """Make what takes the customers' notices; None where nothing does."""
    from service.sentry.sinks import Kafka, LinesFile, Webhook

    scheme, _, rest = settings.notice_to.partition(":")
    if not scheme:
        return None
    if scheme == "file":
        return LinesFile(Path(rest))
    if scheme == "kafka":
        brokers, _, topic = rest.removeprefix("//").partition("/")
        return Kafka({"bootstrap.servers": brokers}, topic)
    return Webhook(settings.notice_to, settings.notice_secret, now_us)


def outbox_forgets(settings: Settings) -> tuple[tuple[MessageState, ...], int]:
    """Give which messages the outbox forgets, and after how long (microseconds): with no receiver, untold ones too."""
    states: tuple[MessageState, ...] = (MessageState.DELIVERED, MessageState.DEAD)
    if not settings.notice_to:
        states = (*states, MessageState.WAITING)
    return states, settings.outbox_retention_hours * 3_600_000_000


def make_worker(store: LedgerStore, line: Asks, settings: Settings, holder: str) -> Worker:
    """Wire a worker of the daily run over a store that it only reads."""
    from service.rpc.methods import WORK
    from service.runner.worker import Worker

    return Worker(store, line, WORK, make_control(), ZoneCalendar(settings.business_time_zone), holder)


def make_control() -> Control:
    """Make what gives policies and modes, live or recorded."""
    return Control(read_policy, registry.load())


def make_brake(settings: Settings, playbooks: Playbooks) -> Brake:
    """Make the brake on exposure growth; without limits it lets everything pass."""
    limits = {currency: BrakeLimit(*bounds) for currency, bounds in settings.brake_limits.items()}
    return Brake(limits, playbooks.find("freeze_raises"), settings.brake_ttl_seconds)


def make_dead_man(settings: Settings, playbooks: Playbooks) -> DeadMan:
    """Make the switch that acts when the guards fall silent."""
    safe_mode: Playbook | None = playbooks.find(settings.dead_man_playbook) if settings.dead_man_playbook else None
    now_us = time.monotonic_ns() // 1_000
    return DeadMan(settings.dead_man_seconds * 1_000_000, safe_mode, settings.guard_ttl_seconds, now_us)


def refuse_settings(settings: Settings) -> None:
    """Refuse settings that name what is not there; raises ValueError with the setting's name.

    Else a guard that is to act would find out at the moment when it has to.
    """
    from service.gateway import roles
    from service.sentry.guards import RECOMMENDS

    try:
        roles.read(settings.roles_file)
    except (OSError, ValueError) as error:
        raise ValueError(f"roles_file: {error}") from error
    for signal in settings.guard_playbooks:
        if signal not in RECOMMENDS:
            raise ValueError(f"guards_activate: no signal is called {signal}; choose from {', '.join(RECOMMENDS)}")
    named = {"dead_man_playbook": [settings.dead_man_playbook], "guards_activate": settings.guard_playbooks.values()}
    for setting, names in named.items():
        for name in filter(None, names):
            _refuse_automatic(setting, name)


def _refuse_automatic(setting: str, name: str) -> None:
    try:
        playbook = registry.load().find(name)
    except PlaybookNotFound as error:
        raise ValueError(f"{setting}: no playbook is called {name}; {error.metadata['known']} are") from error
    needed = [one.name for one in playbook.parameters if one.default is None]
    if needed:
        raise ValueError(f"{setting}: {name} needs {', '.join(needed)}, which only a person can choose")


def engine_seen(engine_id: str) -> EngineSeen:
    """Give what this engine is made of."""
    return EngineSeen(engine_id, *build.this(registry.load().content_hash), 0)


def assert_fast_protobuf() -> None:
    """Refuse the pure-Python protobuf, which is twenty times slower."""
    from google.protobuf.internal import api_implementation

    kind = api_implementation.Type()
    if kind != "upb":
        raise SystemExit(f"protobuf runs as {kind}; install the wheel with upb")
