"""A service process: settings, database, consumers, workers, relay and HTTP, started and stopped in order."""

import argparse
import asyncio
import contextlib
import gc
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import orjson
import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from faststream.kafka import KafkaBroker

from salur.common.asyncapi import service_document, text_of
from salur.common.auth import Verifier
from salur.common.busy import Busy
from salur.common.contracts.topics import topics_written_by
from salur.common.database import TRANSIENT, Connection, Database, migrate
from salur.common.errors import Unavailable
from salur.common.events import AnyDraft, EventStore
from salur.common.events.consumer import AnyConsumer, BatchProcessor, Consumer
from salur.common.events.kafka import KafkaProducer, read_stream, read_tails, subscribe
from salur.common.events.recover import recover
from salur.common.events.relay import Relay, Tail, fence_if_behind
from salur.common.events.seals import seal_streams
from salur.common.events.security import kafka_address
from salur.common.http import include, make_app, problem
from salur.common.logs import configure_logs, get_logger
from salur.common.memory import end_if_out_of_memory
from salur.common.reseal import Place, reseal
from salur.common.retention import Retention, end_due, tell_due
from salur.common.rights import Rights, principals_consumer
from salur.common.roles import Access, grant
from salur.common.routes import RegionOf, common_routes, document_routes, opening_routes
from salur.common.secrets import Secrets
from salur.common.settings import Settings
from salur.common.traces import describe

log = get_logger("service")

PARTS = ("http", "consumers", "workers", "relay")
HEALTH_PATHS = ("/live", "/ready")
START_RETRY_S = 0.5
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
GC_OBJECTS = 50_000
WATCH_INTERVAL_S = 1.0
WORKER_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass
class UnitOfWork:
    """One transaction and the events it will append as its last step."""

    conn: Connection
    drafts: list[AnyDraft] = field(default_factory=list)

    def emit(self, *drafts: AnyDraft) -> None:
        self.drafts.extend(drafts)


class Runtime:
    """What a service is built from."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.kafka = kafka_address(settings)
        self.secrets = Secrets.from_file(settings.master_key_file)
        self.db = Database(
            settings.database_url,
            pool_size=settings.database_pool_size,
            statement_timeout_s=settings.statement_timeout_s,
        )
        self.store = EventStore(name, self.secrets)

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[UnitOfWork]:
        """One transaction; what was emitted is appended last, then all is committed together."""
        async with self.db.transaction() as conn:
            unit = UnitOfWork(conn)
            yield unit
            await self.store.append(conn, unit.drafts)


@dataclass(frozen=True)
class Worker:
    """Work that no event or request starts. `step` does a bounded piece; True = there is more, run again at once.

    `can_wait`: while the machine is busy it rests several times as long as it worked.
    """

    name: str
    step: Callable[[], Awaitable[bool]]
    interval_s: float
    can_wait: bool = False


async def nowhere(_conn: Connection, /, *, key: str) -> None:  # noqa: ARG001 - the form of a query
    """The region of keys that stand for nothing in a region."""
    return


@dataclass(frozen=True)
class Service:
    """A service, declared. `region_of`: where what an event's key stands for is, for openings by region scope.

    `access`: which of its tables are append-only, and which auditors read. `retention`: how long it keeps what.
    `sealed`: where sealed values rest, so that the key can be rotated.
    """

    description: str
    migrations: Path
    region_of: RegionOf = nowhere
    access: Access = field(default_factory=Access)
    sealed: Sequence[Place] = ()
    retention: Retention | None = None
    consumers: Sequence[AnyConsumer] = ()
    workers: Sequence[Worker] = ()
    routers: Sequence[APIRouter] = ()


Build = Callable[[Runtime], Service]

_C = TypeVar("_C")
_R = TypeVar("_R")


class Coalescer(Generic[_C, _R]):
    """Gathers single commands for a few milliseconds into one transaction.

    The handler gets the connection and the commands; it returns one result (or exception) per command and the events
    to append. A command whose batch fails for another reason than its own gets that failure.
    """

    def __init__(
        self,
        runtime: Runtime,
        handler: Callable[[Connection, Sequence[_C]], Awaitable[tuple[Sequence[_R | Exception], Sequence[AnyDraft]]]],
        *,
        max_wait_s: float = 0.005,
        max_batch: int = 500,
        max_waiting: int = 5_000,
    ) -> None:
        self._runtime = runtime
        self._handler = handler
        self._max_wait_s = max_wait_s
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: list[tuple[_C, asyncio.Future[_R]]] = []
        self._task: asyncio.Task[None] | None = None

    async def submit(self, command: _C) -> _R:
        """Hand in a command and wait for its own result. Raises Unavailable when too many wait already."""
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable("too many requests wait: try again", code="overloaded", who="caller", retry_after_s=1)
        future: asyncio.Future[_R] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush())
        return await future

    async def _flush(self) -> None:
        await asyncio.sleep(self._max_wait_s)
        while self._waiting:
            batch, self._waiting = self._waiting[: self._max_batch], self._waiting[self._max_batch :]
            try:
                async with self._runtime.db.transaction() as conn:
                    results, drafts = await self._handler(conn, [command for command, _ in batch])
                    await self._runtime.store.append(conn, drafts)
            except Exception as error:
                results = [error] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)


class Process:
    """One running process of a service with some or all of its parts."""

    def __init__(self, runtime: Runtime, service: Service, parts: frozenset[str]) -> None:
        self.runtime = runtime
        self.service = service
        self.parts = parts
        self.ready = False
        self._starting = False
        self._stop = asyncio.Event()
        self._broker = KafkaBroker(
            runtime.kafka.bootstrap,
            security=runtime.kafka.security,
            client_id=f"salur-{runtime.name}",
            allow_auto_create_topics=False,
            logger=logging.getLogger("faststream"),
        )
        self.consumers = [*service.consumers, principals_consumer(runtime.name)]
        self._processors = [BatchProcessor(c, runtime.db, runtime.store, runtime.secrets) for c in self.consumers]
        self._watches = [
            subscribe(
                self._broker,
                processor,
                self._stop,
                session_timeout_ms=runtime.settings.consumer_session_timeout_ms,
                instance=runtime.settings.instance,
                bootstrap=runtime.kafka.bootstrap,
            )
            for processor in self._processors
        ]

    async def run(self) -> None:
        """Start, serve until SIGTERM or SIGINT, stop in order."""
        settings = self.runtime.settings
        tails = partial(read_tails, self.runtime.kafka)
        tasks: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._starting = True
        server = self._server() if "http" in self.parts else None
        if server is not None:
            tasks.append(asyncio.create_task(server.serve(), name="http"))
        try:
            await self._open(tails)
            self._starting = False
            if "relay" in self.parts:
                relay = Relay(
                    settings.database_url, self.runtime.secrets, partial(KafkaProducer.start, self.runtime.kafka),
                    tails, settings.relay_window,
                )  # fmt: skip
                tasks.append(asyncio.create_task(relay.run(self._stop), name="relay"))
            if "workers" in self.parts:
                seals = Worker("seals", self._seal, settings.seal_interval_s)
                tasks += [asyncio.create_task(self._work(w), name=w.name) for w in (*self.service.workers, seals)]
            if "consumers" in self.parts:
                await self._broker.start()
                watches = [Worker("watch", watch.tend, WATCH_INTERVAL_S) for watch in self._watches]
                tasks += [asyncio.create_task(self._work(w), name=w.name) for w in watches]
            _calm_garbage_collector()
            self.ready = True
            log.info("ready", parts=sorted(self.parts), port=settings.http_port)
            await self._until_stopped(tasks)
        finally:
            await self._close(tasks, server)

    async def _until_stopped(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        stopped = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopped}:
            if not self._stop.is_set():
                log.error("part-ended", task=task.get_name(), exc_info=task.exception())
        self._stop.set()

    async def _open(self, tails: Callable[[Sequence[tuple[str, int]]], Awaitable[dict[str, Tail]]]) -> None:
        """Open the database, declare streams and marks, and compare with what Kafka has seen before any write."""
        runtime = self.runtime
        deadline = asyncio.get_running_loop().time() + START_TIMEOUT_S
        while not self._stop.is_set():
            try:
                await runtime.db.open()
                async with runtime.db.transaction() as conn:
                    await runtime.store.declare(conn, topics_written_by(runtime.name, runtime.settings.banks))
                    await fence_if_behind(conn, tails)
                    # Last: until the partitions are known nothing can be appended.
                    await runtime.store.load_partitions(conn)
                for processor in self._processors:
                    await processor.declare()
                return
            except TRANSIENT as error:
                await runtime.db.close()
                log.warning("start-waits", error=describe(error))
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(START_RETRY_S)

    async def _close(self, tasks: Sequence[asyncio.Task[None]], server: uvicorn.Server | None) -> None:
        self.ready = False
        self._stop.set()
        if server is not None:
            server.should_exit = True
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._broker.stop(), STOP_TIMEOUT_S)
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=STOP_TIMEOUT_S)
            for task in pending:
                task.cancel()
        await asyncio.wait_for(self.runtime.db.close(), STOP_TIMEOUT_S)
        log.info("stopped")

    async def _work(self, worker: Worker) -> None:
        attempt = 0
        busy = Busy()
        while not self._stop.is_set():
            delay = worker.interval_s
            began = time.monotonic()
            try:
                if await worker.step():
                    delay = busy.rest_s(time.monotonic() - began) if worker.can_wait else 0.0
                attempt = 0
            except Exception as error:
                end_if_out_of_memory(error)
                delay = WORKER_RETRY_S[min(attempt, len(WORKER_RETRY_S) - 1)]
                attempt += 1
                transient = isinstance(error, TRANSIENT)
                log.warning("worker-retry", worker=worker.name, error=describe(error), attempt=attempt,
                            exc_info=None if transient else error)  # fmt: skip
            if delay:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), timeout=delay)
            else:
                await asyncio.sleep(0)

    async def _seal(self) -> bool:
        async with self.runtime.db.transaction() as conn:
            await seal_streams(conn, self.runtime.store)
        return False

    def _server(self) -> uvicorn.Server:
        settings = self.runtime.settings
        config = uvicorn.Config(
            self.app(), host=settings.http_host, port=settings.http_port, loop="none", http="httptools",
            access_log=False, log_config=None, lifespan="off", timeout_graceful_shutdown=5, backlog=512,
        )  # fmt: skip
        server = uvicorn.Server(config)
        # Signals are ours: HTTP stops together with the other parts.
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        return server

    async def _refuse_while_starting(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """No command before the database has been compared with Kafka: it may have lost what it published."""
        if self._starting and request.url.path not in HEALTH_PATHS:
            return problem(503, "starting: ask again", "not-ready", "caller", START_RETRY_S)
        return await call_next(request)

    def app(self) -> FastAPI:
        """The HTTP application: the service's routes and those every service has."""
        runtime = self.runtime
        rights = Rights(runtime.db, runtime.settings.unregistered_principals)
        app = make_app(f"Salur {runtime.name}", self.service.description, Verifier(runtime.settings.jwks_file), rights)
        handlers = {c.name: c.handler for c in self.consumers if isinstance(c, Consumer)}
        common = common_routes(runtime, handlers, lambda: self.ready and not self._stop.is_set())
        openings = opening_routes(runtime, self.service.region_of)
        include(app, common, openings, *self.service.routers, document_routes(app, self.asyncapi_text()))
        app.middleware("http")(self._refuse_while_starting)
        return app

    def asyncapi_text(self) -> str:
        """The AsyncAPI document of this service, as YAML."""
        consumed = {consumer.name: consumer.topics for consumer in self.consumers}
        return text_of(service_document(self.runtime.name, self.service.description, consumed))


def run(
    build: Build,
    *,
    name: str,
    settings_class: type[Settings] = Settings,
    commands: Mapping[str, Callable[[Runtime], Awaitable[None]]] | None = None,
) -> None:
    """The entry point of a service: `python -m salur.<name> [serve|migrate|recover|republish] [--parts …]`.

    `commands` are the service's own, run on an open database.
    """
    own = commands or {}
    parser = argparse.ArgumentParser(prog=f"python -m salur.{name}")
    parser.add_argument(
        "command",
        nargs="?",
        default="serve",
        choices=("serve", "migrate", "recover", "republish", "reseal", "retention", "retention-end", *own),
    )
    parser.add_argument("--parts", default=",".join(PARTS), help="comma list of " + ", ".join(PARTS))
    parser.add_argument("--stream", help="republish: the stream, for example registry.households/3")
    parser.add_argument("--from", dest="sequence", type=int, default=1, help="republish: from this sequence on")
    options = parser.parse_args()
    parts = frozenset(options.parts.split(","))
    if unknown := parts - set(PARTS):
        parser.error(f"unknown parts {sorted(unknown)}: choose from {', '.join(PARTS)}")
    settings = settings_class()
    configure_logs(name, settings.log_format, settings.log_level)
    runtime = Runtime(name, settings)
    service = build(runtime)
    match options.command:
        case "migrate":
            count = migrate(settings.database_url, [service.migrations])
            grant(settings.database_url, settings.runtime_role, settings.auditor_role, service.access)
            log.info("migrated", applied=count)
        case "recover":
            sys.exit(_run_loop(_recover(runtime)))
        case "republish":
            if not options.stream:
                parser.error("republish needs --stream")
            _run_loop(_republish(runtime, options.stream, options.sequence))
        case "reseal":
            _run_loop(_run_own(runtime, partial(_reseal, service.sealed)))
        case "retention" | "retention-end" if service.retention is not None:
            _run_loop(_run_own(runtime, partial(_retain, service.retention, options.command == "retention-end")))
        case "retention" | "retention-end":
            log.info("retention", classes=0)
        case command if command in own:
            _run_loop(_run_own(runtime, own[command]))
        case _:
            _run_loop(Process(runtime, service, parts).run())


async def _recover(runtime: Runtime) -> int:
    kafka = runtime.kafka
    await runtime.db.open()
    try:
        return await recover(runtime.db, runtime.store, partial(read_tails, kafka), partial(read_stream, kafka))
    finally:
        await runtime.db.close()


async def _run_own(runtime: Runtime, command: Callable[[Runtime], Awaitable[None]]) -> None:
    await runtime.db.open()
    try:
        await command(runtime)
    finally:
        await runtime.db.close()


async def _reseal(places: Sequence[Place], runtime: Runtime) -> None:
    """Every sealed value under the newest key of the key file."""
    log.info("resealed", **await reseal(runtime.db, runtime.secrets, places))


async def _retain(retention: Retention, end: bool, runtime: Runtime) -> None:
    """Tell what is due, or end it."""
    if end:
        log.info("retention-ended", **await end_due(runtime, retention))
        return
    async with runtime.db.connection() as conn:
        due = await tell_due(conn, retention)
    sys.stdout.write(orjson.dumps(due, option=orjson.OPT_INDENT_2).decode() + "\n")


async def _republish(runtime: Runtime, stream: str, sequence: int) -> None:
    from salur.common.events.stream import queries

    await runtime.db.open()
    async with runtime.db.transaction() as conn:
        await queries.republish_from(conn, stream=stream, sequence=sequence)
    await runtime.db.close()
    log.info("republish", stream=stream, sequence=sequence)


def _calm_garbage_collector() -> None:
    """Batches make many objects and few cycles: look for cycles rarely, and never again among what stays loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_OBJECTS, 20, 100)


def _run_loop(main: Awaitable[_R]) -> _R:
    import uvloop

    def on_lost_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        end_if_out_of_memory(context.get("exception"))
        loop.default_exception_handler(context)

    async def awaited() -> _R:
        # Errors no one waits for, as those of a client's background task, arrive here alone.
        asyncio.get_running_loop().set_exception_handler(on_lost_error)
        return await main

    return uvloop.run(awaited())
