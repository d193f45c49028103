"""The file channel: takes what banks put into their folders, puts instructions where file banks take them."""

import asyncio
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import IO, Any, TypeVar

from salur.common.errors import Conflict
from salur.common.events import PARTITIONS
from salur.common.logs import get_logger
from salur.common.service import Runtime, Worker
from salur.payments.banks import check_files
from salur.payments.banks.check_files import Aged, Found
from salur.payments.banks.folders import FILE_MAX_SIZE, BankFolder, Claimed, FileGone
from salur.payments.banks.iso20022 import (
    DocumentRefused,
    Initiation,
    Overview,
    Told,
    check_camt056,
    check_pain001,
    inspect,
    told,
    write_camt056,
    write_pain001,
)
from salur.payments.banks.iso20022.camt056 import KIND as CAMT056
from salur.payments.banks.iso20022.pain001 import KIND as PAIN001
from salur.payments.domain.reconcile import Line
from salur.payments.settings import PaymentsSettings
from salur.payments.usecases import bank_files, outgoing_files
from salur.payments.usecases.bank_files import FileId
from salur.payments.usecases.outgoing_files import Cut, Outgoing, Written, amounts_of

BATCH = 1_000
POLL_S = 1.0
REQUESTS = "requests"
REFUSED_BEFORE = "the same file was refused before"

T = TypeVar("T")

log = get_logger("payments.files")


def file_workers(runtime: Runtime) -> list[Worker]:
    """The workers of the file channel; none without a folder for it."""
    settings = runtime.settings
    assert isinstance(settings, PaymentsSettings)
    if settings.bank_files_dir is None:
        return []
    channel = FileChannel(runtime, settings)
    return [
        Worker("files-from-banks", channel.take_next, POLL_S),
        Worker("files-to-banks", channel.write_next, POLL_S),
    ]


class FileChannel:
    """The folders of all banks. Parsing and disk work run in a thread; effects are transactions."""

    def __init__(self, runtime: Runtime, settings: PaymentsSettings) -> None:
        assert settings.bank_files_dir is not None
        self._runtime, self._settings = runtime, settings
        # One thread for all of it: a parser of libxml2 must stay in the thread it began in.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bank-files")
        self._folders = {bank: BankFolder(settings.bank_files_dir, bank) for bank in settings.banks}

    async def _in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    async def take_next(self) -> bool:
        """Take one waiting file. Returns whether there was one."""
        for bank, folder in self._folders.items():
            for path in folder.waiting(self._settings.file_quiet_s):
                try:
                    claimed = await self._in_thread(folder.claim, path)
                except (FileGone, PermissionError) as error:
                    log.warning("bank-file-unreadable", bank=bank, error=type(error).__name__)
                    continue
                await self._take(folder, FileId(bank, claimed.sha256), claimed)
                return True
        return False

    async def _take(self, folder: BankFolder, file: FileId, claimed: Claimed) -> None:
        overview = await self._in_thread(_look, claimed)
        async with self._runtime.unit_of_work() as unit:
            standing, drafts = await bank_files.receive_file(unit.conn, file, claimed.size, overview)
            unit.emit(*drafts)
        if standing.refusal is not None or isinstance(overview, DocumentRefused):
            code = standing.refusal or "refused"
            why = str(overview) if isinstance(overview, DocumentRefused) else standing.why
            await self._in_thread(folder.refuse, claimed, code, why or REFUSED_BEFORE)
            log.warning("bank-file-refused", bank=file.bank, sha256=file.sha256, code=code)
            return
        # A statement is read once for both ends; one that an earlier process has begun, from its start again.
        whole = standing.state == "checked" and standing.after == 0
        lines: list[Line] | None = [] if overview.kind == bank_files.STATEMENT and whole else None
        if standing.state == "checked" and not await self._take_all(file, claimed, overview, standing, lines):
            return
        if overview.kind == bank_files.STATEMENT:
            try:
                await self._reconcile(file, claimed, overview, lines)
            except Conflict as error:  # the bank told this statement otherwise, by another way: files behind it go on
                await self._in_thread(folder.refuse, claimed, error.code, str(error))
                log.error("bank-file-contradicts", bank=file.bank, sha256=file.sha256, code=error.code)
                return
        await self._in_thread(folder.keep, claimed)
        log.info("bank-file-taken", bank=file.bank, sha256=file.sha256, kind=overview.kind,
                 transactions=overview.transactions)  # fmt: skip

    async def _take_all(
        self,
        file: FileId,
        claimed: Claimed,
        overview: Overview,
        standing: bank_files.Standing,
        lines: list[Line] | None,
    ) -> bool:
        """Whether this process took the file to its end. `lines` takes what a statement says was booked."""
        with claimed.path.open("rb") as source:
            said = _said(source, overview, standing)
            try:
                return await self._take_from(file, said, standing.after, lines)
            finally:
                await self._in_thread(said.close)

    async def _take_from(
        self, file: FileId, said: Iterator[Told | Found | Aged], after: int, lines: list[Line] | None
    ) -> bool:
        items = islice(said, after, None)
        while batch := await self._in_thread(_next_batch, items):
            async with self._runtime.unit_of_work() as unit:
                drafts = await bank_files.take_file(unit.conn, file, batch, after, self._runtime.secrets, lines)
                if drafts is None:
                    return False
                unit.emit(*drafts)
            after += len(batch)
        return True

    async def _read_lines(self, file: FileId, claimed: Claimed) -> list[Line]:
        lines: list[Line] = []
        with claimed.path.open("rb") as source:
            said = told(source)
            try:
                while batch := await self._in_thread(_next_batch, said):
                    async with self._runtime.db.transaction() as conn:
                        lines += await bank_files.statement_lines(conn, file, batch, self._runtime.secrets)
            finally:
                await self._in_thread(said.close)
        return lines

    async def _reconcile(self, file: FileId, claimed: Claimed, overview: Overview, lines: list[Line] | None) -> None:
        if lines is None:
            lines = await self._read_lines(file, claimed)
        async with self._runtime.unit_of_work() as unit:
            unit.emit(*await bank_files.take_statement_file(unit.conn, file, overview, lines))

    async def write_next(self) -> bool:
        """Plan and write one file. Returns whether there was one."""
        settings = self._settings
        cut = Cut(settings.file_transactions, settings.file_wait_s)
        async with self._runtime.db.transaction() as conn:
            outgoing = await outgoing_files.planned_file(conn, self._runtime.secrets)
        if outgoing is None:
            for bank in settings.file_banks:
                async with self._runtime.db.transaction() as conn:
                    if await outgoing_files.plan_file(conn, bank, PARTITIONS, cut):
                        return True
            return False
        written = await self._in_thread(self._write, outgoing)
        async with self._runtime.unit_of_work() as unit:
            unit.emit(*await outgoing_files.finish_file(unit.conn, outgoing, written))
        log.info("bank-files-sent", bank=outgoing.bank, message_id=outgoing.message_id,
                 transactions=len(outgoing.transfers), recalls=len(outgoing.recalls),
                 requests=len(outgoing.requests))  # fmt: skip
        return True

    def _write(self, outgoing: Outgoing) -> list[Written]:
        folder, name = self._folders[outgoing.bank], outgoing.message_id
        head = Initiation(
            name, outgoing.bank, self._settings.file_debtor_name,
            self._settings.file_debtor_accounts[outgoing.bank], outgoing.created_at,
        )  # fmt: skip
        written: list[Written] = []

        def put(kind: str, file: str, said: Sequence[Any], write: Callable[[IO[bytes]], None]) -> None:
            if said:
                amounts = amounts_of(said) if kind in (PAIN001, CAMT056) else {}
                written.append(Written(kind, folder.put(file, write), len(said), amounts))

        # An inquiry asks about what was instructed before it: the other way round the bank would close ids unread.
        put(PAIN001, f"pain001-{name}.xml", outgoing.transfers, partial(_pain001, head, outgoing))
        put(CAMT056, f"camt056-{name}.xml", outgoing.recalls, partial(_camt056, head, outgoing))
        questions = partial(check_files.write_questions, questions=outgoing.questions)
        put(check_files.KIND, f"checks-{name}.csv", outgoing.questions, questions)
        put(REQUESTS, f"requests-{name}.jsonl", outgoing.requests, partial(_lines, outgoing.requests))
        return written


def _said(
    source: IO[bytes], overview: Overview, standing: bank_files.Standing
) -> Generator[Told | Found | Aged, None, None]:
    if overview.kind == check_files.KIND:
        yield from check_files.read_findings(source)
    elif overview.kind == check_files.UNCLAIMED_KIND:
        yield from check_files.read_unclaimed(source)
    elif standing.group:
        yield from bank_files.group_told(standing.group, overview.group_reason)
    else:
        yield from told(source)


def _next_batch(items: Iterator[T]) -> list[T]:
    return list(islice(items, BATCH))


def _look(claimed: Claimed) -> Overview | DocumentRefused:
    if claimed.size > FILE_MAX_SIZE:
        return DocumentRefused("too-big", f"at most {FILE_MAX_SIZE} bytes: send several documents")
    try:
        with claimed.path.open("rb") as file:
            if check_files.is_findings(file):
                return check_files.inspect_findings(file, claimed.sha256)
            if check_files.is_unclaimed(file):
                return check_files.inspect_unclaimed(file, claimed.sha256)
            return inspect(file)
    except DocumentRefused as refusal:
        return refusal


def _pain001(head: Initiation, outgoing: Outgoing, file: IO[bytes]) -> None:
    write_pain001(file, head, outgoing.transfers)
    check_pain001(file, len(outgoing.transfers), outgoing.amount_minor)


def _camt056(head: Initiation, outgoing: Outgoing, file: IO[bytes]) -> None:
    write_camt056(file, head, outgoing.recalls)
    check_camt056(file, len(outgoing.recalls), sum(recall.amount_minor for recall in outgoing.recalls))


def _lines(requests: list[bytes], file: IO[bytes]) -> None:
    file.writelines(request + b"\n" for request in requests)
