"""Free TCP ports on the loopback interface."""

import socket


def free_ports(count: int) -> list[int]:
    """`count` different ports that were free a moment ago (127.0.0.1)."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()
