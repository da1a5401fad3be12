"""A bare grpc.aio server on uvloop: answers every Decide with the same bytes, and does nothing else.

Promises the least that any Python gRPC service costs here; message sizes are those of the service it stands beside.
`python -m loadtests.peers.echo ANSWER_BYTES` prints its port and serves until its standard input ends.
"""

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio
import uvloop

METHOD = "/holdline.v1.LimitService/Decide"


async def serve(answer_bytes: int) -> None:
    """Serve until standard input ends."""
    answer = b"\0" * answer_bytes

    async def call(_: bytes, __: object) -> bytes:
        return answer

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.max_concurrent_streams", 256)])
    handlers: dict[str, Any] = {"Decide": grpc.unary_unary_rpc_method_handler(call)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("holdline.v1.LimitService", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), over.set)
    await over.wait()
    await server.stop(0)


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
