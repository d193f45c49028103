"""Free TCP ports on the loopback interface, outside the range the kernel gives to outgoing connections.

A server that is away for a while would lose a port of that range: a client's own connection may take it, or a client
that keeps asking for the absent server may even connect to itself.
"""

import random
import socket
from contextlib import ExitStack
from pathlib import Path

LOWEST = 15_000
ATTEMPTS = 2_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def _highest() -> int:
    try:
        return int(_EPHEMERAL.read_text(encoding="ascii").split()[0]) - 1
    except (OSError, ValueError):
        return 32_767


def is_free(port: int) -> bool:
    """Whether a server can listen on `port` of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """`count` different ports that were free a moment ago (127.0.0.1). Raises RuntimeError when there are none."""
    highest = _highest()
    lowest = LOWEST if highest - LOWEST > 1_000 else 1_024
    chosen: list[int] = []
    with ExitStack() as held:
        for _ in range(ATTEMPTS):
            if len(chosen) == count:
                return chosen
            port = random.randint(lowest, highest)  # noqa: S311 - a port, not a secret
            sock = held.enter_context(socket.socket())
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen.append(port)
    raise RuntimeError(f"no {count} free ports between {lowest} and {highest}: close some servers on this machine")
