"""Calls that take one message and get none: they end by themselves, with a status, whichever they are."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2

from service.gateway.roles import Roles
from service.gateway.server import DETAILS_KEY, Gateway
from service.rpc.contract import SERVICE_NAMES
from service.rpc.methods import METHODS, Shape
from service.telemetry import gateway_meters
from tests.builders import settings

WAIT_MS = 300
HEALTH = ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch")
OF_ONE_MESSAGE = [
    *(method.path for method in METHODS if method.shape not in (Shape.STREAM, Shape.INTERNAL)),
    *HEALTH,
]


def _with_gateway(act: Callable[[grpc.aio.Channel], Awaitable[Any]]) -> Any:
    """Do something over a channel to a gateway that has no engine."""

    async def run() -> Any:
        gateway = Gateway(settings(deadline_ms_default=WAIT_MS), gateway_meters(None), None, Roles({}, frozenset()))
        server = gateway.server(SERVICE_NAMES)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        keeper = asyncio.ensure_future(gateway.messages.keep_looking())
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                return await act(channel)
        finally:
            keeper.cancel()
            await server.stop(None)

    return asyncio.run(run())


async def _nothing() -> AsyncIterator[bytes]:
    """Give no message, and end."""
    nothing: tuple[bytes, ...] = ()
    for message in nothing:
        yield message


async def _silence() -> AsyncIterator[bytes]:
    """Give no message, and don't end."""
    await asyncio.Event().wait()
    yield b""


async def _status(channel: grpc.aio.Channel, path: str, messages: AsyncIterator[bytes]) -> grpc.aio.AioRpcError:
    stream: Any = channel.stream_stream(path)
    call = stream(messages)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in call:
            pass
    return refused.value


def _reason(error: grpc.aio.AioRpcError) -> str:
    info = error_details_pb2.ErrorInfo()
    details: Any = dict(error.trailing_metadata() or ())[DETAILS_KEY]
    status_pb2.Status.FromString(details).details[0].Unpack(info)
    return str(info.reason)


def test_a_call_that_ends_without_a_message_is_refused_for_good() -> None:
    async def act(channel: grpc.aio.Channel) -> list[grpc.aio.AioRpcError]:
        return [await _status(channel, path, _nothing()) for path in OF_ONE_MESSAGE]

    for path, found in zip(OF_ONE_MESSAGE, _with_gateway(act), strict=True):
        assert (path, found.code(), _reason(found)) == (path, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


def test_a_call_whose_message_never_comes_ends_by_itself() -> None:
    async def act(channel: grpc.aio.Channel) -> list[grpc.aio.AioRpcError]:
        return await asyncio.gather(*(_status(channel, path, _silence()) for path in OF_ONE_MESSAGE))

    for path, found in zip(OF_ONE_MESSAGE, _with_gateway(act), strict=True):
        assert (path, found.code(), _reason(found)) == (path, grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXPIRED")


def test_health_is_told_as_the_library_tells_it() -> None:
    async def act(channel: grpc.aio.Channel) -> tuple[list[int], grpc.StatusCode, grpc.StatusCode]:
        check: Any = channel.unary_unary(HEALTH[0], response_deserializer=health_pb2.HealthCheckResponse.FromString)
        watch: Any = channel.unary_stream(HEALTH[1], response_deserializer=health_pb2.HealthCheckResponse.FromString)
        known = health_pb2.HealthCheckRequest(service=SERVICE_NAMES[0]).SerializeToString()
        told = [(await check(known)).status, (await watch(known).read()).status]
        codes = []
        for body in (health_pb2.HealthCheckRequest(service="nobody").SerializeToString(), b"\xff\xff"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await check(body)
            codes.append(refused.value.code())
        return told, codes[0], codes[1]

    told, unknown, unreadable = _with_gateway(act)

    assert told == [health_pb2.HealthCheckResponse.NOT_SERVING] * 2
    assert (unknown, unreadable) == (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
