"""The gRPC server: every method of the contract as bytes, health, reflection, drain.

Promises that a call is answered by its deadline's engine answer or a status with details, and that after SIGTERM
health says NOT_SERVING, new calls are refused with UNAVAILABLE, calls in flight end, and the server stops.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NoReturn, TypeAlias

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection
from opentelemetry import trace

from service.domain.errors import Draining, HoldlineError, InternalError, RequestTooLarge
from service.engine.ports.codec import Answer, Call
from service.gateway import run_watch
from service.gateway.first_message import FirstMessages
from service.gateway.identity import Identity, identify
from service.gateway.link import Link
from service.gateway.mode_watch import Look, ModeWatch
from service.gateway.places import Places
from service.gateway.roles import Roles
from service.rpc import status
from service.rpc.methods import METHODS, PUBLISH, Method, Shape
from service.settings import Settings
from service.telemetry import GatewayMeters

DETAILS_KEY: Final = "grpc-status-details-bin"
IDLE_POLL_SECONDS: Final = 0.01
_CHECKED: Final = Shape.CHECKED
_SENTRY: Final = Shape.SENTRY
_BESIDE: Final = frozenset((Shape.READ, Shape.POLL, Shape.CHECKED, Shape.SENTRY))
"""What other processes than the engine answer."""
DECIDING: Final = (Shape.DECISION, Shape.BATCH, Shape.STREAM)

log = structlog.get_logger("holdline.gateway")
Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = Callable[[AsyncIterator[bytes], Context], Awaitable[bytes]]


def options(settings: Settings) -> list[tuple[str, int]]:
    """Give every channel argument whose default matters; settings.py has the reasons."""
    return [
        ("grpc.max_concurrent_streams", settings.grpc_max_concurrent_streams),
        ("grpc.max_metadata_size", settings.grpc_max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", settings.grpc_absolute_max_metadata_bytes),
        ("grpc.max_receive_message_length", settings.grpc_max_receive_bytes),
        ("grpc.http2.max_ping_strikes", settings.grpc_max_ping_strikes),
        ("grpc.server_handshake_timeout_ms", settings.grpc_handshake_ms_max),
        ("grpc.max_connection_idle_ms", settings.grpc_idle_ms_max),
        ("grpc.max_connection_age_ms", settings.grpc_age_ms_max),
        ("grpc.max_connection_age_grace_ms", settings.grpc_age_grace_ms),
        ("grpc.server_max_unrequested_time_in_server", settings.grpc_unrequested_ms_max // 1_000),
        ("grpc.keepalive_time_ms", settings.grpc_keepalive_ms),
        ("grpc.keepalive_timeout_ms", settings.grpc_keepalive_timeout_ms),
        ("grpc.server.max_pending_requests", settings.grpc_pending_calls_max),
        ("grpc.server.max_pending_requests_hard_limit", 2 * settings.grpc_pending_calls_max),
        ("grpc.so_reuseport", 1 if settings.gateways > 1 else 0),
    ]


class Gateway:
    """Takes calls in, passes them on, and drains."""

    def __init__(self, settings: Settings, meters: GatewayMeters, tracer: trace.Tracer | None, roles: Roles) -> None:
        self._settings = settings
        self._roles = roles
        self._meters = meters
        self._tracer = tracer
        self._is_draining = False
        places = settings.watchers_max, settings.watches_a_caller_max, settings.watches_reserved
        self._mode_places, self._run_places = Places(*places), Places(*places)
        self.messages = FirstMessages(settings.deadline_ms_default)
        self._serving_names: tuple[str, ...] = ()
        self._health = health.aio.HealthServicer()
        self._health_tasks: set[asyncio.Task[None]] = set()
        self._default_us = settings.deadline_ms_default * 1_000
        self.link: Link | None = None
        self.reader_link: Link | None = None
        self.sentry_link: Link | None = None
        self.mode_watch: ModeWatch | None = None

    def server(self, service_names: tuple[str, ...]) -> grpc.aio.Server:
        """Make the gRPC server with every method of the contract."""
        server = grpc.aio.server(options=options(self._settings))
        self._serving_names = ("", *service_names)
        self.engine_changed(is_there=False)
        for service in service_names:
            handlers = {
                method.path.rpartition("/")[2]: self._handler(index, method)
                for index, method in enumerate(METHODS)
                if method.path.split("/")[1] == service
            }
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        server.add_generic_rpc_handlers((self._health_handlers(),))
        reflection.enable_server_reflection((*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        return server

    def engine_changed(self, *, is_there: bool) -> None:
        """Tell health callers whether calls can be answered."""
        state = health_pb2.HealthCheckResponse.SERVING if is_there else health_pb2.HealthCheckResponse.NOT_SERVING

        async def tell() -> None:
            for name in self._serving_names:
                await self._health.set(name, state)

        task = asyncio.get_running_loop().create_task(tell())
        self._health_tasks.add(task)
        task.add_done_callback(self._health_tasks.discard)

    async def drain(self, server: grpc.aio.Server) -> None:
        """Say NOT_SERVING, refuse new calls, let those in flight end, stop."""
        self._is_draining = True
        if self.mode_watch is not None:
            self.mode_watch.close()
        await self._health.enter_graceful_shutdown()
        log.info("draining")
        give_up_at = time.monotonic() + self._settings.drain_ms_max / 1_000
        await asyncio.sleep(self._settings.drain_notice_ms / 1_000)
        while self.link is not None and not self.link.is_idle and time.monotonic() < give_up_at:  # noqa: ASYNC110 - once a life
            await asyncio.sleep(IDLE_POLL_SECONDS)
        await server.stop(max(give_up_at - time.monotonic(), 0.1))
        log.info("drained")

    def _handler(self, index: int, method: Method) -> "grpc.RpcMethodHandler[Any, Any]":
        if method.shape is Shape.STREAM:
            return grpc.stream_stream_rpc_method_handler(self._stream(index, method))
        if method.shape is Shape.POLL:
            watch = self._watch(index, method, run_watch.answers_of(method.path), self._run_places)
            return grpc.stream_stream_rpc_method_handler(watch)
        if method.shape is Shape.WATCH:
            watch = self._watch(index, method, self._mode_answers, self._mode_places)
            return grpc.stream_stream_rpc_method_handler(watch)
        return grpc.stream_unary_rpc_method_handler(self._unary(index, method))

    def _health_handlers(self) -> grpc.GenericRpcHandler:
        """Serve grpc.health.v1 as the library does, but for the wait for a call's message."""

        async def request(context: Context) -> health_pb2.HealthCheckRequest:
            try:
                return health_pb2.HealthCheckRequest.FromString(await self.messages.read(context))
            except DecodeError:
                await _refuse(context, _answer_of(status.unreadable()))
            except HoldlineError as error:
                await _refuse(context, _answer_of(error))

        async def check(_: AsyncIterator[bytes], context: Context) -> health_pb2.HealthCheckResponse:
            return await self._health.Check(await request(context), context)

        async def watch(_: AsyncIterator[bytes], context: Context) -> None:
            await self._health.Watch(await request(context), context)

        write = health_pb2.HealthCheckResponse.SerializeToString
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Check": grpc.stream_unary_rpc_method_handler(check, response_serializer=write),
            "Watch": grpc.stream_stream_rpc_method_handler(watch, response_serializer=write),
        }
        return grpc.method_handlers_generic_handler(health.SERVICE_NAME, handlers)

    def _unary(self, index: int, method: Method) -> Handler:
        name = method.path[1:]

        async def call(_: AsyncIterator[bytes], context: Context) -> bytes:
            started_us = time.monotonic_ns() // 1_000
            identity: Identity | None = None
            try:
                body = await self.messages.read(context)
                identity = identify(context.invocation_metadata())
                answer = await self._ask(index, method, body, identity, self._deadline_us(context, started_us))
            except HoldlineError as error:
                answer = _answer_of(error)
            self._observe(name, answer.code, started_us)
            if self._tracer is not None and identity is not None and identity.is_sampled:
                self._trace(name, identity, answer.code, started_us)
            if answer.code:
                await _refuse(context, answer)
            return answer.body

        return call

    async def _ask(self, index: int, method: Method, body: bytes, identity: Identity, deadline_us: int) -> Answer:
        link = self._link_of(method.shape)
        self._roles.require(identity.caller, method)
        if len(body) > method.bytes_max:
            raise RequestTooLarge(bytes=str(len(body)), bytes_max=str(method.bytes_max))
        criticality = identity.criticality if method.criticality is None else method.criticality
        if method.shape in DECIDING and self.mode_watch is not None:
            self.mode_watch.admit(criticality)
        call = Call(index, identity.caller, deadline_us, identity.trace_id, body, criticality)
        answer = await link.submit(call, criticality)
        if method.shape is not _CHECKED or answer.code:
            return answer
        return await self._link_of(DECIDING[0]).submit(call._replace(method=PUBLISH, body=answer.body), criticality)

    def _link_of(self, shape: Shape) -> Link:
        """Give the link to the process that answers; raises Draining."""
        link = self.link
        if shape in _BESIDE:
            link = self.sentry_link if shape is _SENTRY else self.reader_link
        if self._is_draining or link is None:
            raise Draining
        return link

    def _watch(
        self, index: int, method: Method, answers: Callable[[bytes, Look], AsyncIterator[Answer]], places: Places
    ) -> Callable[[AsyncIterator[bytes], Context], Awaitable[None]]:
        """Make the handler of a stream of answers to one request; `answers` asks anew when it should."""

        async def call(_: AsyncIterator[bytes], context: Context) -> None:
            started_us = time.monotonic_ns() // 1_000
            answer = Answer(0, b"")
            try:
                body = await self.messages.read(context)
                identity = identify(context.invocation_metadata())

                async def look(body: bytes) -> Answer:
                    deadline_us = time.monotonic_ns() // 1_000 + self._default_us
                    return await self._ask(index, method, body, identity, deadline_us)

                with places.taken(identity.caller, is_on_call=self._roles.is_on_call(identity.caller)):
                    async for answer in answers(body, look):
                        if answer.code:
                            break
                        await context.write(answer.body)
            except HoldlineError as error:
                answer = _answer_of(error)
            self._observe(method.path[1:], answer.code, started_us)
            if answer.code:
                await _refuse(context, answer)

        return call

    def _mode_answers(self, body: bytes, look: Look) -> AsyncIterator[Answer]:
        if self.mode_watch is None:
            raise Draining
        return self.mode_watch.answers(body, look)

    def _deadline_us(self, context: Context, now_us: int) -> int:
        """Give a call's deadline in microseconds of the monotonic clock."""
        remaining = context.time_remaining()
        return now_us + (self._default_us if remaining is None else int(remaining * 1e6))

    def _stream(self, index: int, method: Method) -> Callable[[AsyncIterator[bytes], Context], Awaitable[None]]:
        async def call(requests: AsyncIterator[bytes], context: Context) -> None:
            identity = _identity_of(context)
            if isinstance(identity, Answer):
                await _refuse(context, identity)
            started_us = time.monotonic_ns() // 1_000
            # The slots bound the queue; what ends the reader, an error too, ends the stream.
            slots = asyncio.Semaphore(self._settings.stream_messages_in_flight)
            answers: asyncio.Queue[asyncio.Task[Answer] | None] = asyncio.Queue()

            async def read() -> None:
                async for body in requests:
                    await slots.acquire()
                    deadline_us = time.monotonic_ns() // 1_000 + self._default_us
                    asked = self._ask(index, method, body, identity, deadline_us)
                    answers.put_nowait(asyncio.ensure_future(asked))

            reader = asyncio.ensure_future(read())
            reader.add_done_callback(lambda _: answers.put_nowait(None))
            answer = Answer(0, b"")
            try:
                while (task := await answers.get()) is not None:
                    try:
                        answer = await task
                    except HoldlineError as error:
                        answer = _answer_of(error)
                    if answer.code:
                        break
                    await context.write(answer.body)
                    slots.release()
            finally:
                await _end(reader, answers)
            self._observe(method.path[1:], answer.code, started_us)
            if answer.code:
                await _refuse(context, answer)

        return call

    def _observe(self, name: str, code: int, started_us: int) -> None:
        if self._meters.rpc_seconds is not None:
            seconds = (time.monotonic_ns() // 1_000 - started_us) / 1e6
            self._meters.rpc_seconds.record(
                seconds, {"rpc.method": name, "rpc.grpc.status_code": status.CODE_BY_NUMBER[code].name}
            )
        if self._meters.shed is not None and code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]:
            self._meters.shed.add(1, {"rpc.method": name})

    def _trace(self, name: str, identity: Identity, code: int, started_us: int) -> None:
        """Record one sampled call as a span, after the fact."""
        assert self._tracer is not None
        parent = trace.set_span_in_context(
            trace.NonRecordingSpan(
                trace.SpanContext(
                    int(identity.trace_id, 16), int(identity.parent_id, 16), is_remote=True,
                    trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
                )
            )
        )  # fmt: skip
        ended_ns = time.time_ns()
        began_ns = ended_ns - (time.monotonic_ns() - started_us * 1_000)
        span = self._tracer.start_span(name, parent, kind=trace.SpanKind.SERVER, start_time=began_ns)
        span.set_attributes({"rpc.system": "grpc", "rpc.grpc.status_code": code})
        if code:
            span.set_status(trace.StatusCode.ERROR)
        span.end(ended_ns)


def _identity_of(context: Context) -> Identity | Answer:
    try:
        return identify(context.invocation_metadata())
    except HoldlineError as error:
        return _answer_of(error)


def _answer_of(error: HoldlineError) -> Answer:
    found = status.status_of(error)
    return Answer(found.code, found.SerializeToString())


async def _refuse(context: Context, answer: Answer) -> NoReturn:
    code, message = status.parse(answer.body)
    await context.abort(code, message[:1024], ((DETAILS_KEY, answer.body),))
    raise InternalError(trace_id="")


async def _end(reader: asyncio.Future[None], answers: asyncio.Queue[asyncio.Task[Answer] | None]) -> None:
    """Stop reading a stream and let go of what is still asked."""
    reader.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reader
    while not answers.empty():
        task = answers.get_nowait()
        if task is not None:
            task.cancel()
