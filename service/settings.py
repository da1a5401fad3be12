"""Every setting and limit of the server: type, unit, range, default and a sentence, together.

Promises that each has a flag of `holdline serve`, a `HOLDLINE_*` variable and a default that is safe on a laptop, and
that unknown settings fail. SETTINGS.md is generated from this file.
"""

import ipaddress
import re
from importlib.util import find_spec
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.domain.money import currency_fault, is_currency

PORT_MAX = 65_535
Milliseconds = Annotated[int, Field(ge=1, le=600_000)]


FORMS: Final = {
    "store": "sqlite:///PATH, for example sqlite:///holdline.db",
    "listen": "HOST:PORT, for example 127.0.0.1:50051 or [::1]:50051",
    "brake": "CURRENCY=A_MINUTE/AN_HOUR in minor units, for example CNY=100000000/2000000000; several with commas",
    "dead_man_playbook": "a playbook's name, for example freeze_raises",
    "guards_activate": "SIGNAL=PLAYBOOK, for example cut_rate=freeze_reductions; several with commas",
    "alert_webhook": "an address that starts with https:// or http://",
    "notice_to": "an address that starts with https:// or http://, file:PATH, or kafka://BROKERS/TOPIC",
    "appeal_alone": "CURRENCY=MINOR_UNITS, for example CNY=500000; several with commas",
    "log_level": "debug, info, warning or error",
}
"""How each setting with a pattern is written, for who wrote it otherwise."""


class Settings(BaseSettings):
    """What `holdline serve` can be told."""

    model_config = SettingsConfigDict(env_prefix="HOLDLINE_", extra="forbid", frozen=True)

    store: str = Field(
        "sqlite:///holdline.db", pattern=r"^sqlite:///.+", description="Where decisions are kept: sqlite:///PATH."
    )
    listen: str = Field(
        "127.0.0.1:50051",
        pattern=r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):\d{1,5}$",
        description="Address (IPv6 in brackets, no zone) and port for callers; port 0 picks a free one.",
    )
    insecure_remote: bool = Field(
        False, description="Listen beyond loopback without TLS; refused otherwise, for callers could claim any name."
    )
    gateways: int = Field(1, ge=1, le=64, description="Gateway processes; more than one share the port.")
    fork: bool = Field(
        True, description="Fork the processes from one that has loaded their code; false: each starts from nothing."
    )
    business_time_zone: str = Field(
        "Asia/Shanghai", description="IANA time zone whose calendar days are business days."
    )
    key_retention_hours: int = Field(
        72, ge=24, le=8_760, description="How long an idempotency key is kept, in hours; the decision outlives it."
    )
    purge_keys_max: int = Field(1_000, ge=1, le=10_000, description="Most keys purged in one transaction.")
    run_workers: int = Field(
        2, ge=0, le=64, description="Processes that work on daily runs and closings; 0: none on this machine."
    )
    run_shard_accounts: int = Field(
        8_000, ge=1, le=100_000, description="Accounts that a worker of the daily run leases at a time."
    )
    run_lease_ms: Milliseconds = Field(
        15_000, description="A worker that is silent for so long, in milliseconds, has lost its task to another."
    )
    queue_calls_max: int = Field(2_048, ge=1, le=100_000, description="Most calls that wait in one gateway.")
    queue_bytes_max: int = Field(
        67_108_864, ge=2_097_152, le=4_294_967_296, description="Most bytes of requests that wait in one gateway."
    )
    queue_wait_ms_max: Milliseconds = Field(
        200, description="When the oldest call has waited so long, in milliseconds, new ones are shed, draws too."
    )
    queue_wait_ms_target: Milliseconds = Field(
        20, description="When calls keep waiting for longer, in milliseconds, no more are let in than are answered."
    )
    batch_calls_max: int = Field(256, ge=1, le=4_096, description="Most calls in one frame to the engine.")
    frames_in_flight: int = Field(
        1, ge=1, le=8, description="Frames that a gateway sends ahead; 1 makes the largest batches (measured: ADR 4)."
    )
    commands_per_commit_max: int = Field(
        2_000, ge=1, le=10_000, description="Most decisions in one transaction; a batch of 1,000 stays whole."
    )
    deadline_ms_default: Milliseconds = Field(
        10_000,
        description="Deadline (ms) of a call without one and of a stream's message; longest wait for a message.",
    )
    drain_ms_max: Milliseconds = Field(
        10_000, description="Longest wait for calls in flight after SIGTERM, in milliseconds."
    )
    drain_notice_ms: int = Field(
        500, ge=0, le=60_000, description="Between NOT_SERVING and the end of listening, in milliseconds."
    )
    stream_messages_in_flight: int = Field(16, ge=1, le=256, description="Messages of one stream decided at once.")
    roles_file: str = Field("", description="YAML: roles by caller; empty: every caller has every role, for a laptop.")
    brake: str = Field(
        "",
        pattern=r"^([A-Z]{3}=\d{1,18}/\d{1,18}(,[A-Z]{3}=\d{1,18}/\d{1,18})*)?$",
        description="Most that limits may grow, CURRENCY=a minute/an hour in minor units; 0: unbounded; empty: off.",
    )
    brake_ttl_seconds: int = Field(
        3_600, ge=60, le=86_400, description="How long raises stay frozen after the brake has tripped, in seconds."
    )
    dead_man_seconds: int = Field(
        60, ge=0, le=86_400, description="Silence of the guards that alerts, in seconds; 0: off."
    )
    dead_man_playbook: str = Field(
        "",
        pattern=r"^([a-z][a-z0-9_]*)?$",
        description="Playbook (no parameters) put in force once the guards are silent twice as long; empty: none.",
    )
    guards_activate: str = Field(
        "",
        pattern=r"^([a-z_]+=[a-z0-9_]+(,[a-z_]+=[a-z0-9_]+)*)?$",
        description="Signals whose guard acts by itself, SIGNAL=PLAYBOOK,…; empty: they only recommend.",
    )
    guard_ttl_seconds: int = Field(
        900, ge=60, le=86_400, description="How long what a guard has put in force lasts, in seconds."
    )
    guard_decisions: int = Field(
        20_000, ge=1_000, le=1_000_000, description="Decisions that a product's first baseline is learned from."
    )
    alert_webhook: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="Where alerts are posted, signed; empty: to the log only."
    )
    alert_secret: str = Field("", description="Key of the alerts' signature (HMAC-SHA256); give it as a variable.")
    alert_attempts_max: int = Field(
        12, ge=1, le=100, description="Attempts to deliver an alert or notice, with growing pauses, before it is dead."
    )
    notice_to: str = Field(
        "",
        pattern=r"^(https?://\S+|file:\S+|kafka://[^/\s]+/[A-Za-z0-9._-]+)?$",
        description="Where customers' notices go: a webhook, file:PATH, kafka://BROKERS/TOPIC; empty: nowhere.",
    )
    notice_secret: str = Field("", description="Key of the notices' signature on a webhook; give it as a variable.")
    appeal_hours: int = Field(
        120, ge=1, le=8_784, description="Service level of appeals: hours until they are overdue."
    )
    appeal_alone: str = Field(
        "",
        pattern=r"^([A-Z]{3}=\d{1,15}(,[A-Z]{3}=\d{1,15})*)?$",
        description="By how much one reviewer alone may raise a limit, CUR=MINOR,…; other currencies need two people.",
    )
    outbox_retention_hours: int = Field(
        168, ge=24, le=8_784, description="How long told and dead messages are kept; untold notices where none go out."
    )
    mode_poll_ms: Milliseconds = Field(
        200, description="How often a gateway looks for a new mode, for watchers and admission, in milliseconds."
    )
    watchers_max: int = Field(
        256, ge=1, le=10_000, description="Most watches of the mode, and as many of runs, in one gateway."
    )
    watches_a_caller_max: int = Field(32, ge=1, le=10_000, description="Of these, most that one caller has.")
    watches_reserved: int = Field(
        16, ge=0, le=1_000, description="Of these, how many are for on-call, approvers and admins alone."
    )
    metrics_port: int = Field(
        0,
        ge=0,
        le=65_000,
        description="Prometheus on loopback: this port for the engine, then gateways, then the sentry; 0: off.",
    )
    otlp_endpoint: str = Field("", description="Base URL of an OTLP/HTTP collector for traces and metrics; empty: off.")
    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="Least severe level that is logged."
    )

    grpc_max_concurrent_streams: int = Field(
        100, ge=1, le=10_000, description="Calls in flight a connection; what is beyond waits at the caller (ADR 18)."
    )
    grpc_max_metadata_bytes: int = Field(
        8_192, ge=1_024, le=65_536, description="Metadata above may be refused, in bytes; against header floods."
    )
    grpc_absolute_max_metadata_bytes: int = Field(
        16_384, ge=1_024, le=65_536, description="Metadata above is refused, in bytes."
    )
    grpc_max_receive_bytes: int = Field(
        8_388_608,
        ge=2_097_152,
        le=67_108_864,
        description="Largest message read, in bytes; above what an RPC takes it is refused as REQUEST_TOO_LARGE.",
    )
    grpc_max_ping_strikes: int = Field(2, ge=1, le=10, description="Bad pings before a connection is closed; never 0.")
    grpc_handshake_ms_max: Milliseconds = Field(10_000, description="Longest handshake; half-open ones end then.")
    grpc_idle_ms_max: Milliseconds = Field(300_000, description="An idle connection is closed after so long.")
    grpc_age_ms_max: Milliseconds = Field(
        300_000, description="A connection is renewed after so long (gRPC adds 10 % jitter), so load spreads again."
    )
    grpc_age_grace_ms: Milliseconds = Field(60_000, description="Time for calls in flight on a connection that ages.")
    grpc_pending_calls_max: int = Field(
        10_000,
        ge=1_000,
        le=1_000_000,
        description="Calls that gRPC holds for a gateway; beyond (its own default: 1,000) it cancels at random.",
    )
    grpc_unrequested_ms_max: Milliseconds = Field(
        30_000, description="Longest that an accepted call waits for the server to take it up."
    )
    grpc_keepalive_ms: Milliseconds = Field(
        120_000, description="Ping to a silent caller, so that broken connections are found."
    )
    grpc_keepalive_timeout_ms: Milliseconds = Field(20_000, description="Wait for the answer to that ping.")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if not is_host(self.host) or self.port > PORT_MAX:
            raise ValueError(f"listen: {self.listen} is no address and port; write 127.0.0.1:50051 or [::1]:50051")
        if not self.insecure_remote and not is_loopback(self.host):
            raise ValueError(
                f"listen: {self.host} is beyond loopback and there is no TLS; add insecure_remote to accept that"
            )
        if self.watches_reserved >= self.watchers_max:
            raise ValueError("watches_reserved: leave others a place among watchers_max")
        if self.alert_webhook and not self.alert_secret:
            raise ValueError("alert_webhook: alerts are signed, so set alert_secret too")
        if self.notice_to.startswith("http") and not self.notice_secret:
            raise ValueError("notice_to: notices are signed, so set notice_secret too")
        if self.notice_to.startswith("kafka:") and find_spec("confluent_kafka") is None:
            raise ValueError("notice_to: confluent_kafka is missing: install holdline[server,kafka]")
        for name, currencies in (("brake", self.brake_limits), ("appeal_alone", self.appeal_rooms)):
            for code in currencies:
                if not is_currency(code):
                    raise ValueError(f"{name}: {currency_fault(code)}")
        try:
            ZoneInfo(self.business_time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"business_time_zone: no time zone is called {self.business_time_zone}") from error
        return self

    @property
    def brake_limits(self) -> dict[str, tuple[int, int]]:
        """Most growth a minute and an hour, in minor units, by currency."""
        pairs = (part.split("=") for part in self.brake.split(",") if part)
        return {currency: (int(bounds.split("/")[0]), int(bounds.split("/")[1])) for currency, bounds in pairs}

    @property
    def appeal_rooms(self) -> dict[str, int]:
        """By how much one reviewer alone may raise a limit, in minor units, by currency."""
        pairs = (part.split("=") for part in self.appeal_alone.split(",") if part)
        return {currency: int(minor) for currency, minor in pairs}

    @property
    def guard_playbooks(self) -> dict[str, str]:
        """The playbook that each acting guard puts in force, by signal."""
        return dict(part.split("=") for part in self.guards_activate.split(",") if part)

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self.listen.rpartition(":")[0]

    @property
    def port(self) -> int:
        """The port to listen on, 0 for a free one."""
        return int(self.listen.rpartition(":")[2])


def is_host(host: str) -> bool:
    """Claim that a text is a name, an IPv4 address in full, or an IPv6 address in brackets and without a zone.

    What else an address may look like ("127.1", "::1", "[::1%lo]") is read in different ways by whoever checks it and
    by whoever listens on it.
    """
    if host.startswith("["):
        return _is_address(host[1:-1]) and ":" in host and "%" not in host
    if ":" in host:
        return False
    return _is_address(host) or bool(re.fullmatch(r"([A-Za-z0-9-]+\.)*[A-Za-z][A-Za-z0-9-]*", host))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Claim that an address is reached from this machine only."""
    if host == "localhost":
        return True
    bare = host.strip("[]")
    return is_host(host) and _is_address(bare) and ipaddress.ip_address(bare).is_loopback


def reference() -> str:
    """Write the reference page."""
    lines = [
        "# Settings",
        "",
        "Generated from settings.py by `make schema`. Each is a flag of `holdline serve` or a variable `HOLDLINE_…`.",
        "",
        "| flag | variable | default | range | what it does |",
        "| --- | --- | --- | --- | --- |",
    ]
    schema = Settings.model_json_schema()["properties"]
    for name, field in Settings.model_fields.items():
        about = schema[name]
        bounds = [str(about[key]) for key in ("minimum", "maximum") if key in about]
        flag = "--" + name.replace("_", "-")
        span = " to ".join(bounds) or about.get("pattern", about["type"]).replace("|", "\\|")
        default = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        shown = f"`{default}`" if default else "empty"
        lines.append(f"| `{flag}` | `HOLDLINE_{name.upper()}` | {shown} | `{span}` | {field.description} |")
    return "\n".join(lines) + "\n"
