"""Take events with a handler that runs out of memory: `python run_out_of_memory.py DATABASE_URL raw|wrapped`.

The address space of this process is limited for real; `wrapped` lets the database driver hide the failed allocation
behind an error of its own, as asyncpg does while it encodes a parameter.
"""

import asyncio
import resource
import sys
from collections.abc import Sequence

import asyncpg

from salur.common.contracts.topics import topics_written_by
from salur.common.database import Connection, Database
from salur.common.events import Consumer, Draft, EventStore, Received
from salur.common.events.consumer import BatchProcessor
from salur.common.secrets import Secrets
from support.facts import committed_records, household

CONSUMER = "test.memory"
LIMIT_SIZE = 1 << 30
EVENTS = 20


async def main(url: str, how: str) -> None:
    keys = Secrets(bytes(range(32)))
    db = Database(url, pool_size=2, statement_timeout_s=20)
    await db.open()
    store = EventStore("registry", keys)
    async with db.transaction() as conn:
        await store.declare(conn, topics_written_by("registry"))
        await store.load_partitions(conn)
        await store.append(conn, [household(f"h{number}") for number in range(EVENTS)])

    async def handler(_conn: Connection, _batch: Sequence[Received]) -> Sequence[Draft]:
        try:
            bytearray(2 * LIMIT_SIZE)
        except MemoryError as error:
            if how == "raw":
                raise
            raise asyncpg.DataError("invalid input for query argument") from error
        raise AssertionError("there was memory")

    processor = BatchProcessor(Consumer(CONSUMER, ["registry.households"], handler), db, store, keys)
    await processor.declare()
    records = await committed_records(db, keys)
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_SIZE, LIMIT_SIZE))
    await processor.process_until_done(records, asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
