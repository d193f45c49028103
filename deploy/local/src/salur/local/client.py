"""A small HTTP client of the services: tokens of the local issuer, errors a person understands."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson

from salur.common.auth import mint

TIMEOUT_S = 30.0
POLL_S = 0.1


class CallFailed(RuntimeError):
    """A service refused; the message says what and who must act."""

    def __init__(self, message: str, code: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Client:
    """Calls the services of a running platform as one principal."""

    def __init__(self, state_dir: Path, sub: str, roles: list[str], *, timeout_s: float = TIMEOUT_S) -> None:
        path = state_dir / "endpoints.json"
        if not path.exists():
            raise CallFailed(f"no running platform in {state_dir}: start one with `salur up`", "not-running", 0)
        self._urls: dict[str, str] = orjson.loads(path.read_bytes())["urls"]
        headers = {"authorization": f"Bearer {mint(state_dir / 'issuer', sub, roles)}"}
        self._http = httpx.Client(timeout=timeout_s, headers=headers)

    @property
    def services(self) -> tuple[str, ...]:
        """The services of the platform."""
        return tuple(self._urls)

    def close(self) -> None:
        """Give its connections back."""
        self._http.close()

    def call(self, service: str, method: str, path: str, **request: Any) -> Any:
        """The answer's JSON, text, or bytes of a file. Raises CallFailed."""
        try:
            answer = self._http.request(method, self._urls[service] + path, **request)
        except httpx.TransportError as error:
            message = f"{service} does not answer ({type(error).__name__}): is the platform still running?"
            raise CallFailed(message, "unreachable", 0) from None
        kind = answer.headers.get("content-type", "")
        is_json = kind.startswith(("application/json", "application/problem+json"))
        if answer.is_success and not is_json:
            return answer.text if kind.startswith("text/") else answer.content
        if answer.is_success:
            return answer.json()
        problem = (
            answer.json() if is_json else {"detail": answer.text[:300], "code": "unknown", "who_must_act": "operations"}
        )
        text = f"{service}: {problem['detail']} (who must act: {problem['who_must_act']})"
        raise CallFailed(text, problem["code"], answer.status_code)

    def wait(self, ask: Callable[[], Any], until: Callable[[Any], bool], timeout_s: float, what: str) -> Any:
        """Ask until the answer satisfies. Raises CallFailed when it never does."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = ask()
            if until(answer):
                return answer
            if time.monotonic() > deadline:
                raise CallFailed(f"{what} did not come within {timeout_s:.0f} s", "timeout", 0)
            time.sleep(POLL_S)
