"""The port that several gateways of one server share, held against every other server.

Linux lets all sockets of a user that ask for it share a port, so a second server would take half of the callers in
silence. Promises that one supervisor holds the port, from before its gateways listen until after its end, whether or
not one of them listens at the moment.
"""

import socket
from collections.abc import Sequence


class PortTaken(OSError):
    """Another process listens on the address, or holds it."""


def hold(host: str, port: int) -> Sequence[socket.socket]:
    """Bind an address, port 0 for a free one, without listening on it; raises PortTaken.

    The sockets are bound while they share with nobody, which fails wherever anybody is; then they let the gateways in.
    """
    held: list[socket.socket] = []
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        one = socket.socket(family, kind, protocol)
        held.append(one)
        try:
            # Connections of an earlier server that time out stand in nobody's way.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address[0], port, *address[2:]))
        except OSError as error:
            let_go(held)
            raise PortTaken(error.errno, error.strerror) from error
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Another supervisor that binds like this one is refused also while no gateway listens.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        port = one.getsockname()[1]
    return held


def let_go(held: Sequence[socket.socket]) -> None:
    """Close what was held."""
    for one in held:
        one.close()
