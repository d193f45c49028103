"""Commits of a group's offsets. They serve lag only, so none may hold a consumer up, whatever its client does.

aiokafka's coordinator can wait for itself for ever after a broker was away: every commit then hangs, and no heartbeat
is sent. Such a process ends; its supervisor starts a clean one, which goes on from its marks.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from salur.common.logs import get_logger

log = get_logger("kafka")

COMMIT_TIMEOUT_S = 5.0
STUCK_S = 30.0
"""So long commits hang while the broker can be reached, before the process ends."""
EXIT_CODE = 72


class Commits(Protocol):
    """What is asked to commit: a consumer."""

    async def commit(self) -> None: ...


def end_process() -> None:
    """End at once: what is committed in the database is safe, the rest is taken again."""
    os._exit(EXIT_CODE)


class Acks:
    """Commits after each batch within a bound, and sees when the client has stopped working."""

    def __init__(
        self,
        name: str,
        reachable: Callable[[], Awaitable[bool]],
        *,
        end: Callable[[], None] = end_process,
        timeout_s: float = COMMIT_TIMEOUT_S,
        stuck_s: float = STUCK_S,
    ) -> None:
        self._name = name
        self._reachable = reachable
        self._end = end
        self._timeout_s = timeout_s
        self._stuck_s = stuck_s
        self._waiting: Commits | None = None
        self._since = 0.0

    async def commit(self, consumer: Commits) -> None:
        """Commit what was consumed, or leave it to `tend`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await consumer.commit()
        except TimeoutError:
            if self._waiting is None:
                self._since = time.monotonic()
                log.warning("commit-waits", consumer=self._name, timeout_s=self._timeout_s)
            self._waiting = consumer
        else:
            self._waiting = None

    async def tend(self) -> None:
        """Try again what hangs. Ends the process when it hangs on although the broker can be reached."""
        if self._waiting is None:
            return
        if not await self._reachable():
            self._since = time.monotonic()
            return
        await self.commit(self._waiting)
        if self._waiting is not None and time.monotonic() - self._since > self._stuck_s:
            log.error("consumer-stuck", consumer=self._name, remedy="the process ends and must be started again")
            self._end()


async def answers(bootstrap: str, timeout_s: float = 2.0) -> bool:
    """Whether anybody listens at one of these addresses (host:port, separated by commas)."""
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            async with asyncio.timeout(timeout_s):
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except (OSError, TimeoutError, ValueError):
            continue
        writer.close()
        return True
    return False
