"""Registrars and payment operators at work: each sends a command until it is taken, whatever happens meanwhile."""

import threading
from collections import Counter
from itertools import count
from types import TracebackType
from typing import Any

import httpx

from salur.local.platform import Platform

PAUSE_S = 0.02
TIMEOUT_S = 20.0
TAKEN = frozenset({200, 201})
NUMBERS = count(1)
"""Never one twice, whoever calls: a household that is known already is no new one."""
DIED = 0
"""In place of a status: the service was gone before it answered."""


class Callers:
    """Threads that register households and open funds for the block; leaving it waits for their last answers.

    When the block fails they give up what is not taken yet.
    """

    def __init__(
        self, platform: Platform, *, kinds: tuple[str, ...] = ("households", "funds"), threads: int = 4
    ) -> None:
        self.taken: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self.problems: set[tuple[str, str]] = set()
        """Code and who must act of every answer that was no success."""
        self._platform = platform
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._given_up = False
        names = {"households": ("registry", "registrar"), "funds": ("payments", "payment-operator")}
        self._threads = [
            threading.Thread(target=self._work, args=(kind, *names[kind]), name=f"caller-{kind}", daemon=True)
            for kind in kinds
            for _ in range(threads)
        ]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._given_up = kind is not None
        self._over.set()
        self._platform.tend()
        while any(thread.is_alive() for thread in self._threads):
            self._platform.tend()
            for thread in self._threads:
                thread.join(PAUSE_S)

    def _work(self, kind: str, service: str, role: str) -> None:
        headers = {"authorization": f"Bearer {self._platform.token(f'person:{role}', role)}"}
        with httpx.Client(base_url=self._platform.url(service), headers=headers, timeout=TIMEOUT_S) as client:
            while not self._over.is_set():
                self._insist(client, kind, COMMANDS[kind](next(NUMBERS)))

    def _insist(self, client: httpx.Client, kind: str, body: dict[str, Any]) -> None:
        while not self._given_up:
            try:
                answer = client.post(f"/{kind}", json=body)
                status = answer.status_code
            except httpx.TransportError:
                status = DIED
            with self._lock:
                self.answers[status] += 1
                if status in TAKEN:
                    self.taken[kind] += 1
                    return
                if status:
                    said = answer.json()
                    self.problems.add((said["code"], said["who_must_act"]))
            self._over.wait(PAUSE_S)


def _household(number: int) -> dict[str, Any]:
    return {
        "identifiers": [{"scheme": "kk", "value": f"31710000{number:08d}"}], "region": "31.71",
        "attributes": {"poverty_index": 600.5}, "members": [{"attributes": {"age": 9}}],
        "payee": {"bank": "bank-a", "number": f"9{number:09d}", "holder": "Siti Example"},
    }  # fmt: skip


def _fund(number: int) -> dict[str, Any]:
    return {"fund_id": f"fund-{number}", "name": "Central", "currency": "IDR", "budget_minor": number}


COMMANDS = {"households": _household, "funds": _fund}
