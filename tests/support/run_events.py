"""A relay or a member of a consumer as a process of its own: `python run_events.py '{"role": …}'` (see stage.py).

Prints `running`, works until SIGTERM. `die` = `before-save`: the relay kills itself (SIGKILL) when Kafka has
acknowledged the first window and before that is recorded.
"""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from typing import Any

from faststream.kafka import KafkaBroker

from salur.common.database import Database
from salur.common.events import EventStore
from salur.common.events.consumer import BatchProcessor
from salur.common.events.kafka import KafkaProducer, read_tails, subscribe
from salur.common.events.relay import Relay
from salur.common.events.security import KafkaAddress
from salur.common.events.stream import queries
from salur.common.logs import configure_logs
from salur.common.secrets import Secrets
from support.mechanism import Handler
from support.stage import KEY_SIZE, SESSION_TIMEOUT_MS, consumer_named


async def relay(told: dict[str, str], keys: Secrets, stop: asyncio.Event) -> None:
    if told["die"] == "before-save":

        async def die(*_: Any, **__: Any) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(queries, "save_published", die)  # noqa: B010 - a query is no attribute a type checker knows
    kafka = told["kafka"]
    await Relay(
        told["url"],
        keys,
        partial(KafkaProducer.start, KafkaAddress(kafka)),
        partial(read_tails, KafkaAddress(kafka)),
        2_000,
    ).run(stop)


async def member(told: dict[str, str], keys: Secrets, stop: asyncio.Event) -> None:
    db = Database(told["url"], pool_size=4, statement_timeout_s=20)
    await db.open()
    store = EventStore("eligibility", keys)
    async with db.transaction() as conn:
        await store.load_partitions(conn)
    processor = BatchProcessor(consumer_named(told["name"], Handler()), db, store, keys)
    broker = KafkaBroker(told["kafka"], allow_auto_create_topics=False)
    watch = subscribe(
        broker, processor, stop, session_timeout_ms=SESSION_TIMEOUT_MS, instance=told["instance"],
        bootstrap=told["kafka"],
    )  # fmt: skip
    await broker.start()
    while not stop.is_set():
        await watch.tend()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.1)
    await broker.stop()
    await db.close()


async def main() -> None:
    told = json.loads(sys.argv[1])
    configure_logs(told["role"])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("running", flush=True)
    await {"relay": relay, "member": member}[told["role"]](told, Secrets(bytes(range(KEY_SIZE))), stop)


if __name__ == "__main__":
    asyncio.run(main())
