"""A process that fails in every way it can while it holds a personal value: `python -m support.leaky FORMAT SECRET`.

What it writes is what a service's log would hold.
"""

import asyncio
import logging
import sys
import threading
import warnings
from typing import Any

import asyncpg
import httpx
import psycopg
from fastapi import FastAPI
from faststream.kafka import KafkaBroker, TestKafkaBroker
from pydantic import BaseModel

from salur.common.http import make_app
from salur.common.logs import configure_logs, get_logger
from salur.common.service import Process, Worker


class Person(BaseModel):
    """Refuses a text that is no number, and repeats it in its error."""

    nik: int


def refused_row(secret: str) -> asyncpg.PostgresError:
    """What asyncpg raises for a row that meets a unique constraint."""
    error = asyncpg.PostgresError.new(
        {
            "S": "ERROR", "C": "23505", "M": f'duplicate key "{secret}" violates constraint "payee_number"',
            "D": f"Key (number)=({secret}) already exists.", "n": "payee_number", "t": "payee",
        }
    )  # fmt: skip
    assert secret in str(error)
    return error


def broken_input(secret: str) -> Exception:
    try:
        Person.model_validate({"nik": f"x{secret}"})
    except ValueError as error:
        assert secret in str(error)
        return error
    raise AssertionError("it was valid")


def chained(secret: str) -> Exception:
    """An error from an error in the middle of another one, and a group of errors."""
    try:
        try:
            raise KeyError(secret)
        except KeyError as first:
            raise ValueError(f"no account {secret}") from first
    except ValueError:
        try:
            raise ExceptionGroup(f"two for {secret}", [refused_row(secret), broken_input(secret)])
        except ExceptionGroup as group:
            return group


def our_lines(secret: str) -> None:
    log = get_logger("payments")
    for number, error in enumerate((refused_row(secret), broken_input(secret), chained(secret))):
        log.error("fault", case=number, error=error, exc_info=error)
        try:
            raise error
        except Exception:
            log.exception("again")
            log.error("tuple", exc_info=sys.exc_info(), stack_info=True)
    data = {"holder": secret, "rows": [{"number": secret}]}
    person = Person.model_construct(**{"nik": secret})  # type: ignore[arg-type]
    log.warning("fields", nik=secret, data=data, person=person, exception=f"Traceback: {secret}")


def lines_of_libraries(secret: str) -> None:
    row = refused_row(secret)
    for _ in range(100):
        logging.getLogger("aiokafka").error("Unable connect to node with id %s", 1)
    for name in (
        "aiokafka",
        "faststream",
        "faststream.access.kafka",
        "uvicorn.error",
        "asyncio",
        "yoyo",
        "new.library",
    ):
        library = logging.getLogger(name)
        library.error("sending failed: %s", row)
        library.error("sending %r failed with %d records", {"number": secret}, 3)
        library.error(f"{type(row).__name__}: {row}", exc_info=row)
        library.critical(repr(row), exc_info=row)
        library.error("Exception in ASGI application\n", exc_info=chained(secret))
        library.error(row)
        library.error("bad template %d", secret)
    warnings.warn(f"serialised an unexpected value {secret}", UserWarning, stacklevel=1)


async def unretrieved(secret: str) -> None:
    """A task nobody waits for: asyncio tells its error, with its text, when the task is gone."""

    async def failing() -> None:
        raise refused_row(secret)

    task = asyncio.create_task(failing())
    await asyncio.wait([task])
    del task
    asyncio.get_running_loop().call_exception_handler(
        {"message": f"callback failed for {secret}", "exception": ValueError(secret)}
    )


async def worker(secret: str) -> None:
    """The loop of a service's worker, as a service runs it."""

    async def step() -> bool:
        process._stop.set()
        raise refused_row(secret)

    process = Process.__new__(Process)
    process._stop = asyncio.Event()
    await process._work(Worker("imports", step, 0.01))


async def request(secret: str) -> None:
    """A route that fails, as an application of ours answers it."""
    app: FastAPI = make_app("test", "test", verifier=None)  # type: ignore[arg-type]

    @app.get("/people/{nik}")
    async def people(nik: str) -> None:
        raise chained(nik)

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get(f"/people/{secret}")
    assert (answer.status_code, secret in answer.text) == (500, False)


async def subscriber(secret: str) -> None:
    """A FastStream subscriber that fails, with the broker's own logging."""
    broker = KafkaBroker(logger=logging.getLogger("faststream"))

    @broker.subscriber("topic")
    async def take(_message: Any) -> None:
        raise refused_row(secret)

    async with TestKafkaBroker(broker) as running:
        try:
            await running.publish("x", "topic")
        except asyncpg.PostgresError:
            get_logger("faststream-test").info("raised")


async def run(secret: str) -> None:
    await unretrieved(secret)
    await worker(secret)
    await request(secret)
    await subscriber(secret)


class Dying:
    """Fails when it is collected, where nobody can catch it."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __del__(self) -> None:
        raise ValueError(self.secret)


def main() -> None:
    log_format, secret = sys.argv[1:]
    configure_logs("test", log_format)
    our_lines(secret)
    lines_of_libraries(secret)
    asyncio.run(run(secret))
    thread = threading.Thread(target=lambda: (_ for _ in ()).throw(ValueError(secret)))
    thread.start()
    thread.join()
    Dying(secret)
    error = psycopg.errors.UniqueViolation(f"DETAIL: Key (number)=({secret}) already exists.")
    raise error from chained(secret)


if __name__ == "__main__":
    main()
