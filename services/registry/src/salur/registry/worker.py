"""Work behind HTTP: imports and matching, one batch a step, one transaction a batch."""

import asyncio
from collections.abc import Awaitable, Callable

from salur.common.database import TRANSIENT
from salur.common.errors import Unavailable
from salur.common.logs import get_logger
from salur.common.memory import end_if_out_of_memory
from salur.common.service import Runtime
from salur.common.traces import describe
from salur.registry import spool
from salur.registry.store import IdentifierTaken, queries
from salur.registry.usecases.import_file import Importer
from salur.registry.usecases.matching import MatchingWork
from salur.registry.usecases.read_import import Item, Piece, Reading

log = get_logger("imports")

FAMILIES_PER_SLICE = 20
"""Read before others on the event loop get their turn: about two milliseconds."""


class ImportWorker:
    """Runs waiting imports, oldest first. A fault of ours fails the import it struck and never the ones behind it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        settings = runtime.settings
        self._reading = Reading(runtime.secrets, settings.banks, runtime.store.prepare)
        self._importer = Importer(settings.state_dir, runtime.secrets, settings.banks, self._reading, self._read)
        self._current: str | None = None
        self._swept = False

    async def step(self) -> bool:
        """Take one batch; True = there may be more."""
        if not self._swept:
            await self._sweep()
        try:
            async with self._runtime.unit_of_work() as unit:
                self._current, ended, drafts = await self._importer.take_batch(unit.conn)
                unit.emit(*drafts)
        except IdentifierTaken:
            return True
        except (*TRANSIENT, Unavailable):
            raise
        except Exception as error:
            end_if_out_of_memory(error)
            await self._fail(error)
            return True
        if self._current is None:
            return False
        if ended:
            await self._end(self._current)
        return True

    async def _read(self, piece: Piece) -> list[Item]:
        """In slices on the event loop, not in a thread: hashing gives up the interpreter lock at every call, and two
        threads that hash take seven times as long for it (measured)."""
        items: list[Item] = []
        for item in self._reading.batch(piece):
            items.append(item)
            if len(items) % FAMILIES_PER_SLICE == 0:
                await asyncio.sleep(0)
        return items

    async def _sweep(self) -> None:
        """Remove content an earlier process left behind after the end of its import."""
        state_dir = self._runtime.settings.state_dir
        ids = await asyncio.to_thread(spool.spooled_ids, state_dir)
        async with self._runtime.db.connection() as conn:
            ended = [row["import_id"] for row in await queries.ended_imports(conn, ids=ids)]
        await asyncio.to_thread(spool.remove, state_dir, ended)
        self._swept = True

    async def _end(self, import_id: str) -> None:
        async with self._runtime.db.connection() as conn:
            job = await queries.import_by_id(conn, import_id=import_id)
        if job["state"] == "done":
            await asyncio.to_thread(spool.remove, self._runtime.settings.state_dir, [import_id])
        log.info("import-ended", import_id=import_id, state=job["state"], households=job["households"],
                 refused_rows=job["refused_rows"], warnings=job["warnings"])  # fmt: skip

    async def _fail(self, error: Exception) -> None:
        async with self._runtime.db.transaction() as conn:
            job = await queries.next_import(conn)
            if job is None:
                return
            kind = type(error).__name__
            reason = (
                f"a fault on our side ({kind}) in the batch from row {job['next_row']}: operations must look at the "
                "log; rows before it are registered, send the file again to go on"
            )
            await asyncio.to_thread(spool.remove, self._runtime.settings.state_dir, [job["import_id"]])
            await queries.fail_import(conn, import_id=job["import_id"], reason=reason)
        log.error("import-fault", import_id=job["import_id"], error=describe(error), exc_info=error)


def matching_step(runtime: Runtime) -> Callable[[], Awaitable[bool]]:
    """Look for records of the same person, a batch at a time."""
    work = MatchingWork(runtime.secrets)

    async def step() -> bool:
        async with runtime.db.transaction() as conn:
            return await work.step(conn)

    return step
