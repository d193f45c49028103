"""Calls that outlive a restart: commands here are idempotent, so a lost answer is asked for again."""

import time
from collections.abc import Callable, Collection
from typing import Any

from salur.local.client import CallFailed, Client

POLL_S = 0.1
AWAY_STATUS = frozenset({0, 502, 503, 504})


class TimedOut(RuntimeError):
    """A condition did not come in time; the message says which and what was last seen."""


class Patient:
    """Repeats calls until they succeed. `tend` runs at every turn: it restarts what died."""

    def __init__(self, tend: Callable[[], object], timeout_s: float) -> None:
        self._tend = tend
        self._timeout_s = timeout_s

    def until(self, what: str, ask: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
        """Poll `ask` until `holds`. Raises TimedOut; a CallFailed that is no outage passes through."""
        deadline = time.monotonic() + self._timeout_s
        seen: object = "no answer"
        while True:
            self._tend()
            try:
                seen = ask()
                if holds(seen):
                    return seen
            except CallFailed as error:
                if error.status not in AWAY_STATUS:
                    raise
                seen = error
            if time.monotonic() > deadline:
                raise TimedOut(f"{what} did not come within {self._timeout_s:.0f} s; last: {str(seen)[:400]}")
            time.sleep(POLL_S)

    def command(
        self, client: Client, service: str, path: str, *, wait_codes: Collection[str] = (), **request: Any
    ) -> Any:
        """POST until accepted; 409 with one of `wait_codes` means not yet. Raises CallFailed, TimedOut."""

        def attempt() -> tuple[bool, Any]:
            try:
                return True, client.call(service, "POST", path, **request)
            except CallFailed as error:
                if error.code in wait_codes:
                    return False, error
                raise

        return self.until(f"an answer to POST {path}", attempt, lambda answer: bool(answer[0]))[1]
