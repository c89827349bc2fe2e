"""The listening socket, and the number of files that connections may use."""

import resource
import socket

from hudhud.core.errors import StartRefused
from hudhud.web.server.connections import MOST_CONNECTIONS

BACKLOG = 2048
ANY_IPV6 = "::"
# Files that are no connections: the database, logs, pipes to senders, outgoing webhooks.
OTHER_FILES = 256


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; on `::` it takes IPv4 connections too.

    Raises StartRefused if the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server(
            (host, port), family=family, backlog=BACKLOG, dualstack_ipv6=host == ANY_IPV6
        )
    except OSError as error:
        raise StartRefused(
            f"Cannot listen on {host} port {port}: {error.strerror}. "
            "Stop the other program on this port, or set PORT or HOST."
        ) from None


def most_connections() -> int:
    """Raise the limit of open files to the hard limit, and return the connections it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(hard - OTHER_FILES, hard // 2))
