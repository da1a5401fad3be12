"""Logs, traces and metrics: set up once a process; every name in one list.

Promises JSON logs off a terminal and readable ones on it, written by a thread of their own (logging inside gRPC's
call-backs can deadlock, grpc/grpc 43421), account ids only as hashes, and instruments that cost nothing where neither
Prometheus nor OTLP is configured.
"""

import logging
import logging.handlers
import queue
import sys
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import structlog
from opentelemetry import metrics, trace
from opentelemetry.metrics import Counter, Histogram
from opentelemetry.metrics import _Gauge as Gauge

from service import printable

LOG_RECORDS_WAITING_MAX: Final = 10_000

RPC_DURATION: Final = "holdline.rpc.duration"
QUEUE_WAIT: Final = "holdline.queue.wait"
CALLS_SHED: Final = "holdline.calls.shed"
BATCH_SIZE: Final = "holdline.batch.size"
COMMIT_DURATION: Final = "holdline.commit.duration"
DECISIONS: Final = "holdline.decisions"
KEYS_PURGED: Final = "holdline.keys.purged"
CLOCK_AHEAD: Final = "holdline.clock.ahead"
GUARD_LEVEL: Final = "holdline.guard.level"
ACTIVATIONS_IN_FORCE: Final = "holdline.activations.in_force"

_SECONDS_BOUNDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_SIZE_BOUNDS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000, 2_000)


class GatewayMeters(NamedTuple):
    """Rate, errors and duration per RPC; wait in the queue; calls shed. None where metrics are off."""

    rpc_seconds: Histogram | None
    wait_seconds: Histogram | None
    shed: Counter | None


class EngineMeters(NamedTuple):
    """Decisions a commit, commit time, decisions by outcome, keys purged, the clock. None where metrics are off."""

    batch_size: Histogram | None
    commit_seconds: Histogram | None
    decisions: Counter | None
    keys_purged: Counter | None
    clock_ahead: Gauge | None


class SentryMeters(NamedTuple):
    """How near each guard is to its alarm (1 and more alarms), activations in force. None where metrics are off."""

    guard_level: Gauge | None
    in_force: Gauge | None


def account_hash(account_id: str) -> str:
    """Give what stands for an account in logs, traces and metrics: 12 hexadecimal digits."""
    return blake2b(account_id.encode(), digest_size=6, person=b"holdline.account").hexdigest()


def start_logs(level: str) -> logging.handlers.QueueListener:
    """Send structlog's events through a bounded queue to standard error; stop the listener at the end."""
    records: queue.Queue[logging.LogRecord] = queue.Queue(LOG_RECORDS_WAITING_MAX)
    # JSON escapes what a terminal would obey.
    shown = (
        [_printable, structlog.dev.ConsoleRenderer()] if sys.stderr.isatty() else [structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    # grpc.aio logs a traceback when a caller has gone before its answer; that is no fault of ours.
    logging.getLogger("grpc._cython.cygrpc").addFilter(
        lambda record: not record.getMessage().startswith("ExecuteBatchError")
    )
    root = logging.getLogger()
    root.setLevel(level.upper())
    root.handlers = [_Dropping(records)]
    listener = logging.handlers.QueueListener(records, logging.StreamHandler(sys.stderr))
    listener.start()
    return listener


def _printable(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Make the texts of an event fit for a terminal; what libraries log takes the same way in `_Dropping`."""
    return {name: printable.lines(value) if isinstance(value, str) else value for name, value in event.items()}


class _Dropping(logging.handlers.QueueHandler):
    """A queue handler that drops records when the queue is full, rather than block a decision, and says so later."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        prepared: logging.LogRecord = super().prepare(record)
        if not record.name.startswith("holdline"):
            prepared.msg = prepared.message = printable.lines(prepared.getMessage())
        return prepared

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
            if self.dropped:
                lost, self.dropped = self.dropped, 0
                self.queue.put_nowait(
                    logging.makeLogRecord({"msg": f"{lost} log records dropped", "levelname": "WARNING"})
                )
        except queue.Full:
            self.dropped += 1


def start_metrics(role: str, port: int, otlp_endpoint: str) -> metrics.Meter | None:
    """Start the exporters that are configured; gives nothing where none is."""
    if not port and not otlp_endpoint:
        return None
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
    from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

    readers: list[MetricReader] = []
    if port:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader
        from prometheus_client import start_http_server

        readers.append(PrometheusMetricReader())
        start_http_server(port, addr="127.0.0.1")
    if otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{otlp_endpoint}/v1/metrics")))
    views = [
        View(instrument_name=name, aggregation=ExplicitBucketHistogramAggregation(_SECONDS_BOUNDS))
        for name in (RPC_DURATION, QUEUE_WAIT, COMMIT_DURATION)
    ]
    views.append(View(instrument_name=BATCH_SIZE, aggregation=ExplicitBucketHistogramAggregation(_SIZE_BOUNDS)))
    return MeterProvider(metric_readers=readers, views=views, resource=_resource(role)).get_meter("holdline")


def _resource(role: str) -> Any:
    from opentelemetry.sdk.resources import Resource

    return Resource.create({"service.name": f"holdline-{role}"})


def gateway_meters(meter: metrics.Meter | None) -> GatewayMeters:
    """Make a gateway's instruments."""
    if meter is None:
        return GatewayMeters(None, None, None)
    return GatewayMeters(
        meter.create_histogram(RPC_DURATION, unit="s", description="Time from call to answer, by method and code."),
        meter.create_histogram(QUEUE_WAIT, unit="s", description="Time that a call waited before it was sent on."),
        meter.create_counter(CALLS_SHED, description="Calls refused under overload, by criticality."),
    )


def engine_meters(meter: metrics.Meter | None) -> EngineMeters:
    """Make the engine's instruments."""
    if meter is None:
        return EngineMeters(None, None, None, None, None)
    return EngineMeters(
        meter.create_histogram(BATCH_SIZE, description="Commands executed in one transaction."),
        meter.create_histogram(COMMIT_DURATION, unit="s", description="Time of one transaction, commit included."),
        meter.create_counter(DECISIONS, description="Answers given, by outcome or error reason."),
        meter.create_counter(KEYS_PURGED, description="Idempotency keys purged after their retention."),
        meter.create_gauge(
            CLOCK_AHEAD, unit="s", description="How far an unconfirmed step put the machine's clock ahead; 0: none."
        ),
    )


def sentry_meters(meter: metrics.Meter | None) -> SentryMeters:
    """Make the sentry's instruments."""
    if meter is None:
        return SentryMeters(None, None)
    return SentryMeters(
        meter.create_gauge(GUARD_LEVEL, description="Level of a guard as a share of its alarm, by signal and product."),
        meter.create_gauge(ACTIVATIONS_IN_FORCE, description="Playbook activations in force, by playbook."),
    )


def start_traces(role: str, otlp_endpoint: str) -> trace.Tracer | None:
    """Start the trace exporter where OTLP is configured."""
    if not otlp_endpoint:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=_resource(role))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{otlp_endpoint}/v1/traces")))
    return provider.get_tracer("holdline")
