"""A scenario: what is asked of a server, when, by how many, what goes wrong meanwhile, and what must hold.

Promises that a scenario which loads can be run: every name, unit and time in it was checked, and all at once.
Times are seconds from the start of the load, rates are calls a second.
"""

from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

CALLS_MAX: Final = 2_000_000
"""Most calls of one run: a run is bounded, whatever its scenario says."""
SECONDS_MAX: Final = 3_600.0


class Rpc(StrEnum):
    """What a call asks; each name is a key of a scenario's mix."""

    DECIDE = "decide"
    """`Decide`: a review or raise of a known account."""
    ASSIGN = "assign"
    """`Decide`: a first limit for somebody new."""
    AUTHORIZE = "authorize"
    """`AuthorizeDraw` on a known account."""
    CAPTURE = "capture"
    """`CaptureDraw` of a hold that this run was granted; an authorisation where there is none yet."""
    EVENTS = "events"
    """`RecordEvents` with ten events of one account."""
    BATCH = "batch"
    """`BatchDecide` of twenty decisions."""
    ACCOUNT = "account"
    """`GetAccount`."""


WRITES: Final = (Rpc.DECIDE, Rpc.ASSIGN, Rpc.AUTHORIZE, Rpc.CAPTURE)
"""What the journal keeps answer by answer."""
DRAWS: Final = (Rpc.AUTHORIZE, Rpc.CAPTURE)


class Arrivals(StrEnum):
    """How a phase's calls arrive."""

    CONSTANT = "constant"
    POISSON = "poisson"
    RAMP = "ramp"
    """From `from_per_second` to `per_second`, evenly."""
    SPIKE = "spike"
    """`per_second`, and `factor` times that in the middle third."""
    RUSH = "rush"
    """Everybody at once at midnight: `per_second` at first, halved every `halves_seconds`."""
    REPLAY = "replay"
    """A recorded day's counts, its time divided so that it fits the phase, its greatest rate `per_second`."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Phase(_Part):
    """A stretch of the load with one kind of arrivals.

    Stretches of one name, with others in between, are one phase in figures and objectives: a machine that changes its
    speed meanwhile changes it for all phases that take turns.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=32)
    seconds: float = Field(gt=0, le=SECONDS_MAX)
    arrivals: Arrivals = Arrivals.POISSON
    per_second: float = Field(0, ge=0, le=100_000)
    of_capacity: float = Field(0, ge=0, le=20, description="Instead of per_second: a multiple of the capacity.")
    from_per_second: float = Field(0, ge=0)
    factor: float = Field(10, gt=1, le=100)
    halves_seconds: float = Field(10, gt=0)
    day: str = Field("ordinary-day", description="With replay: a file of second and calls, or a shipped name.")

    @model_validator(mode="after")
    def _has_one_rate(self) -> "Phase":
        if bool(self.per_second) == bool(self.of_capacity):
            raise ValueError(f"phase {self.name}: say either per_second or of_capacity")
        return self

    @property
    def shape(self) -> dict[str, object]:
        """Everything but its length."""
        return self.model_dump(exclude={"seconds"})


class Population(_Part):
    """Whom the calls are about; they are taken over before the load begins."""

    accounts: int = Field(5_000, ge=1, le=1_000_000)
    zipf: float = Field(0, ge=0, le=3, description="Skew of who is asked about; 0 for all alike.")
    hot_share: float = Field(0, ge=0, lt=1, description="Share of the traffic that one account takes.")


class Retries(_Part):
    """What a caller does with an answer that says to try again."""

    attempts: int = Field(3, ge=1, le=10, description="Tries in all.")
    pause_ms: float = Field(50, ge=0, le=60_000, description="Before the first retry; doubled each time, with jitter.")
    budget: float = Field(0.1, ge=0, le=10, description="Retries for each first try, at most; well-mannered: 0.1.")


class What(StrEnum):
    """What goes wrong, or is done, in the course of a run; the first seven only with --start-server."""

    KILL = "kill"
    """SIGKILL of a process: `role` engine, gateway, sentry, worker."""
    STOP = "stop"
    """SIGSTOP of a process for so long."""
    ROLLING_RESTART = "rolling_restart"
    """SIGTERM of every gateway in turn, each once the one before is back."""
    RESTART = "restart"
    """SIGTERM of the whole server, and a start on the same address and store."""
    SLOW_DISK = "slow_disk"
    """Every sync of the engine takes `milliseconds` longer."""
    FULL_DISK = "full_disk"
    """Every write of the engine says that there is no room."""
    CLOCK_STEP = "clock_step"
    """The machine's clock is `milliseconds` ahead (or behind), time passes as ever."""
    DAILY_RUN = "daily_run"
    """Yesterday's daily run starts; it is closed after the load, and must add up."""
    PLAYBOOK = "playbook"
    """A playbook is in force for so long: `playbook`."""
    PROMOTE = "promote"
    """A new version of the reference policy is published and promoted."""
    CHURN = "churn"
    """Connections are made and dropped, `per_second` of them."""
    SLOW_READER = "slow_reader"
    """Streams whose answers nobody reads."""
    LONG_STREAM = "long_stream"
    """Streams that stay open and decide once in a while; each answer must come."""
    RAPID_RESET = "rapid_reset"
    """Streams that are opened and reset at once, `per_second` of them (CVE-2023-44487)."""
    PING_FLOOD = "ping_flood"
    """HTTP/2 pings, `per_second` of them."""
    CONTINUATION_FLOOD = "continuation_flood"
    """Header blocks that never end (CVE-2024-27316 and others)."""


NEED_OWN_SERVER: Final = frozenset(
    (
        What.KILL, What.STOP, What.ROLLING_RESTART, What.RESTART, What.SLOW_DISK, What.FULL_DISK, What.CLOCK_STEP,
    )
)  # fmt: skip


class Disturbance(_Part):
    """Something that happens at a time of the run."""

    at: float = Field(ge=0)
    what: What
    seconds: float = Field(0, ge=0, le=SECONDS_MAX, description="How long it lasts, where it lasts.")
    role: Literal["engine", "gateway", "sentry", "worker"] = "engine"
    milliseconds: int = Field(0, ge=-1_440_000_000, le=1_440_000_000)
    playbook: str = ""
    per_second: float = Field(0, ge=0, le=20_000)
    count: int = Field(1, ge=1, le=1_000, description="So many connections or streams, or times a second apart.")


class Objective(_Part):
    """A figure that a phase (or the whole load) must keep."""

    phase: str = ""
    of: Rpc | None = Field(None, description="Of one RPC; of all where nothing is said.")
    percentile: float = Field(0, ge=0, lt=100)
    ms_max: float = Field(0, ge=0)
    ok_share_min: float = Field(0, ge=0, le=1, description="Share of calls that ended with OK, retries included.")
    goodput_of_best_min: float = Field(
        0,
        ge=0,
        le=1,
        description="OK answers a second, of the best phase's, or of what was offered if less.",
    )
    attempts_per_call_max: float = Field(0, ge=0)
    shed_draws_of_others_max: float = Field(0, ge=0, description="Draws' refused share over the others'.")
    memory_growth_mb_max: float = Field(0, ge=0, description="Server's memory at its greatest, over that at start.")
    descriptors_growth_max: int = Field(0, ge=0, description="Open descriptors at the end, over those at start.")
    log_mb_max: float = Field(0, ge=0, description="The store's write-ahead log at its longest, in MB.")
    drift_max: float = Field(0, ge=0, description="p99 of OK answers over the first phase's.")
    recovers_seconds_max: float = Field(0, ge=0, description="After the phase before: until p99 and refusals are back.")

    @model_validator(mode="after")
    def _says_something(self) -> "Objective":
        said = [name for name in type(self).model_fields if name.endswith(("_max", "_min")) and getattr(self, name)]
        if len(said) != 1:
            raise ValueError("an objective bounds exactly one figure")
        if ("ms_max" in said) != bool(self.percentile):
            raise ValueError("percentile and ms_max go together")
        return self


class OwnServer(_Part):
    """The server that --start-server starts."""

    gateways: int = Field(1, ge=1, le=16)
    workers: int = Field(0, ge=0, le=16)
    settings: dict[str, str] = Field(default_factory=dict, description="Settings, as `holdline serve --set`.")


class Scenario(_Part):
    """A whole scenario."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=48)
    about: str
    seed: int = 1
    server: OwnServer = OwnServer()
    population: Population = Population()
    mix: dict[Rpc, Annotated[float, Field(gt=0)]] = Field(default_factory=lambda: {Rpc.DECIDE: 1.0})
    duplicates: float = Field(0.01, ge=0, le=1, description="Share of calls that are sent twice, with the same key.")
    retries: Retries = Retries()
    deadline_ms: int = Field(1_000, ge=1, le=60_000)
    room_ms: int = Field(
        60_000, ge=1, le=60_000, description="A caller's bulkhead: its longest wait for a free stream."
    )
    processes: int = Field(1, ge=1, le=16)
    connections: int = Field(8, ge=1, le=512, description="Of each process.")
    draw_connections: int = Field(0, ge=0, le=256, description="So many of them are for draws alone.")
    closed_loop: int = Field(0, ge=0, le=5_000, description="Calls in flight of a closed loop; 0 for the open loop.")
    phases: tuple[Phase, ...] = Field(min_length=1, max_length=50)
    disturbances: tuple[Disturbance, ...] = ()
    objectives: tuple[Objective, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> "Scenario":
        names = self.names
        unlike = {one.name for one in self.phases if one.shape != self.phases[self.first_of(one.name)].shape}
        if unlike:
            raise ValueError(f"phases of one name differ in length alone: {', '.join(sorted(unlike))}")
        if self.draw_connections >= self.connections:
            raise ValueError("draw_connections must leave connections to the others")
        for objective in self.objectives:
            if objective.phase and objective.phase not in names:
                raise ValueError(f"an objective names the phase {objective.phase}; there are {', '.join(names)}")
            if objective.recovers_seconds_max and [one.name for one in self.phases].count(objective.phase) != 1:
                raise ValueError("recovers_seconds_max needs a phase that comes once")
        for disturbance in self.disturbances:
            if disturbance.at > self.seconds:
                raise ValueError(f"{disturbance.what} at {disturbance.at} s comes after the end, {self.seconds} s")
        if sum(phase.seconds * phase.per_second for phase in self.phases) > CALLS_MAX:
            raise ValueError(f"more than {CALLS_MAX} calls")
        return self

    @property
    def seconds(self) -> float:
        """How long the load lasts."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def names(self) -> tuple[str, ...]:
        """The phases' names, each once, in the order of their first stretches; figures are kept by them."""
        return tuple(dict.fromkeys(phase.name for phase in self.phases))

    def first_of(self, name: str) -> int:
        """Give the place of a phase's first stretch."""
        return [phase.name for phase in self.phases].index(name)

    def seconds_of(self, name: str) -> float:
        """Give how long all stretches of a phase last together."""
        return sum(phase.seconds for phase in self.phases if phase.name == name)

    @property
    def needs_capacity(self) -> bool:
        """Whether rates are multiples of a capacity that has to be measured first."""
        return any(phase.of_capacity for phase in self.phases)

    @property
    def needs_own_server(self) -> bool:
        """Whether it does what only the owner of the processes can do."""
        return any(disturbance.what in NEED_OWN_SERVER for disturbance in self.disturbances)

    def at_capacity(self, per_second: float) -> "Scenario":
        """Give the scenario with its multiples of a capacity (calls a second) as rates."""
        phases = [
            phase.model_copy(update={"per_second": phase.of_capacity * per_second, "of_capacity": 0.0})
            if phase.of_capacity
            else phase
            for phase in self.phases
        ]
        return self.model_copy(update={"phases": tuple(phases)})

    def scaled(self, rate: float, duration: float) -> "Scenario":
        """Give the scenario with every rate and every time multiplied."""
        phases = [
            phase.model_copy(
                update={
                    "per_second": phase.per_second * rate,
                    "from_per_second": phase.from_per_second * rate,
                    "seconds": phase.seconds * duration,
                    "halves_seconds": phase.halves_seconds * duration,
                }
            )
            for phase in self.phases
        ]
        disturbances = [
            one.model_copy(update={"at": one.at * duration, "seconds": one.seconds * duration})
            for one in self.disturbances
        ]
        return self.model_copy(update={"phases": tuple(phases), "disturbances": tuple(disturbances)})


class BadScenario(Exception):
    """A scenario can't be run; the message says why, every reason on a line."""


def shipped() -> dict[str, str]:
    """Give the scenarios that come with Holdline: what each is about, by name."""
    found = {}
    for entry in sorted(resources.files("loadtests.scenarios").iterdir(), key=lambda one: one.name):
        if entry.name.endswith(".yaml"):
            found[entry.name.removesuffix(".yaml")] = str(yaml.safe_load(entry.read_text(encoding="utf-8"))["about"])
    return found


def load(name: str) -> Scenario:
    """Read a scenario: a shipped one by name, or a file; raises BadScenario."""
    try:
        if name.endswith((".yaml", ".yml")):
            text = Path(name).read_text(encoding="utf-8")
        else:
            text = resources.files("loadtests.scenarios").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    except OSError as error:
        raise BadScenario(f"no scenario {name}; shipped are {', '.join(shipped())}, or name a .yaml file") from error
    try:
        return Scenario.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        raise BadScenario(f"{name}: {error}") from error
