"""Bulk import: a spooled CSV becomes households batch by batch, resumable at the row, nothing lost.

Progress, households and their events are one transaction: after a kill the import goes on at exactly that row.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salur.common.database import Connection
from salur.common.events import AnyDraft
from salur.common.secrets import Secrets
from salur.registry.domain.mapping import parse_mapping
from salur.registry.domain.rows import Family, Issue
from salur.registry.spool import remove, spool_path
from salur.registry.store import Key, identifier_owners, known_households, queries
from salur.registry.usecases.prepare import Prepared
from salur.registry.usecases.read_import import ImportBroken, Item, Piece, Reading, member_column, refuse
from salur.registry.usecases.register import claim, insert_new
from salur.registry.usecases.torn import Torn, put_together
from salur.registry.usecases.update import Updates, update_known

Read = Callable[[Piece], Coroutine[Any, Any, list[Item]]]
"""Reads a piece. Raises ImportBroken."""


@dataclass(slots=True)
class _Outcome:
    """What a batch comes to."""

    new: list[tuple[Item, Prepared]]
    known: list[tuple[Family, Prepared]]
    torn: list[Torn]
    refused: list[Issue]
    warnings: list[Issue]


class Importer:
    """Takes the oldest unfinished import batch by batch; the next one is read while the database works."""

    def __init__(self, state_dir: Path, secrets: Secrets, banks: Collection[str], reading: Reading, read: Read) -> None:
        self._state_dir = state_dir
        self._secrets = secrets
        self._banks = banks
        self._reading = reading
        self._read_piece = read
        self._ahead: tuple[Piece, asyncio.Task[list[Item]]] | None = None

    async def take_batch(self, conn: Connection) -> tuple[str | None, bool, list[AnyDraft]]:
        """Take one batch within the transaction of `conn`. Returns (import id or None, whether it ended, events).

        Raises IdentifierTaken: another transaction was first, roll back and run again.
        """
        job = await queries.next_import(conn)
        if job is None:
            return None, False, []
        import_id: str = job["import_id"]
        try:
            items = await self._read(job)
        except ImportBroken as error:
            # Before the state is committed: once it is, the file may be sent again and must not be removed.
            await asyncio.to_thread(remove, self._state_dir, [import_id])
            await queries.fail_import(conn, import_id=import_id, reason=str(error)[:500])
            return import_id, True, []
        if not items:
            await _finish(conn, job)
            return import_id, True, []
        self._read_ahead(job, items[-1].family)
        return import_id, False, await self._take(conn, job, items)

    async def _read(self, job: Any) -> list[Item]:
        piece = self._piece(job, job["next_row"], job["next_offset"])
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            expected, task = ahead
            if expected == piece:
                return await task
            await asyncio.wait([task])
            task.exception()  # what a batch read for nothing failed at does not matter
        return await self._read_piece(piece)

    def _read_ahead(self, job: Any, last: Family) -> None:
        piece = self._piece(job, last.last_row + 1, last.end_offset)
        self._ahead = piece, asyncio.create_task(self._read_piece(piece))

    def _piece(self, job: Any, row: int, offset: int) -> Piece:
        import_id = job["import_id"]
        path = spool_path(self._state_dir, import_id)
        return Piece(path, import_id, job["mapping"], job["regions"], job["actor"], row, offset)

    async def _take(self, conn: Connection, job: Any, items: Sequence[Item]) -> list[AnyDraft]:
        outcome = await self._sort(conn, job, items)
        created = await insert_new(conn, [prepared for _, prepared in outcome.new])
        drafts: list[AnyDraft] = []
        for item, prepared in outcome.new:
            if prepared.household_id in created:
                drafts += prepared.drafts
            else:
                refuse(item.family, job["mapping"]["household"]["column"], "was registered by others at this moment")
        lost = {prepared.household_id for _, prepared in outcome.new} - created
        for torn in (torn for torn in outcome.torn if torn.prepared.household_id in lost):
            refuse(torn.family, job["mapping"]["household"]["column"], "was registered by others at this moment")
        updates = await update_known(
            conn, outcome.known, self._secrets, actor=job["actor"], import_id=job["import_id"], regions=job["regions"],
            banks=self._banks,
        )  # fmt: skip
        lost |= updates.refused
        drafts += updates.drafts
        whole = [torn for torn in outcome.torn if torn.prepared.household_id not in lost]
        drafts += await put_together(conn, whole, self._secrets, actor=job["actor"], import_id=job["import_id"])
        refused = outcome.refused + [issue for item in items for issue in item.family.refused]
        warnings = outcome.warnings + [issue for item in items for issue in item.family.warnings]
        await _record(conn, job["import_id"], items[-1].family, len(created), updates, refused, warnings)
        return drafts

    async def _sort(self, conn: Connection, job: Any, items: Sequence[Item]) -> _Outcome:
        """Tell new families from known ones, and take from new ones the members that belong to others."""
        prepared = [item.prepared for item in items if item.prepared]
        known = await known_households(conn, sorted({p.household_id for p in prepared}))
        keys = {key for p in prepared if p.household_id not in known for key in p.places()}
        owners = await identifier_owners(conn, sorted(keys))
        outcome = _Outcome([], [], [], [], [])
        seen: set[str] = set()
        column = job["mapping"]["household"]["column"]
        for item in items:
            if item.prepared is None:
                continue
            row = known.get(item.prepared.household_id)
            if item.prepared.household_id in seen or (row is not None and row["import_id"] == job["import_id"]):
                outcome.torn.append(Torn(item.family, item.prepared))
            elif row is not None and job["mapping"].get("known") == "update":
                seen.add(item.prepared.household_id)
                outcome.known.append((item.family, item.prepared))
            elif row is not None and row["content_token"] == item.prepared.content_token:
                reason = "registered already with the same content: nothing changed"
                outcome.warnings.append(Issue(item.family.rows[0], column, "warning", reason))
            elif row is not None:
                refuse(item.family, column, "registered already with other content: change that household instead")
            elif new := self._without_others(item, job, owners):
                seen.add(new.household_id)
                outcome.new.append((item, new))
        return outcome

    def _without_others(self, item: Item, job: Any, owners: dict[Key, str]) -> Prepared | None:
        """The family without members who belong to other households already; their rows are refused."""
        prepared, family = item.prepared, item.family
        assert prepared is not None and family.household is not None
        if claim(prepared.places(), prepared, owners):
            return prepared
        column = job["mapping"]["household"]["column"]
        if not claim([(row.scheme, row.token) for row in prepared.identifiers if row.member_id is None], prepared,
                     owners):  # fmt: skip
            refuse(family, column, "identifies another household or person already")
            return None
        keep = [claim(keys, prepared, owners) for keys in prepared.member_keys]
        members = tuple(m for m, kept in zip(family.household.members, keep, strict=True) if kept)
        column = member_column(parse_mapping(job["mapping"], self._banks))
        family.refused += [
            Issue(row, column, "error", "belongs to another household already: check the identifier")
            for row, kept in zip(family.rows, keep, strict=True)
            if not kept
        ]
        family.rows = [row for row, kept in zip(family.rows, keep, strict=True) if kept]
        if not members:
            return None
        family.household = family.household._replace(members=members)
        return self._reading.registration(family, family.household, job["actor"], job["import_id"])


async def _finish(conn: Connection, job: Any) -> None:
    """The end of the file. An update also tells which households of its numbering the file no longer names."""
    if job["mapping"].get("known") == "update":
        await queries.record_absent(
            conn, import_id=job["import_id"], scheme=job["mapping"]["household"]["scheme"], regions=job["regions"]
        )
    await queries.finish_import(conn, import_id=job["import_id"])


async def _record(
    conn: Connection,
    import_id: str,
    last: Family,
    households: int,
    updates: Updates,
    refused: Sequence[Issue],
    warnings: Sequence[Issue],
) -> None:
    issues = [*refused, *warnings]
    if issues:
        await queries.insert_issues(
            conn,
            import_id=import_id,
            rows=[issue.row for issue in issues],
            columns=[issue.column for issue in issues],
            severities=[issue.severity for issue in issues],
            reasons=[issue.reason for issue in issues],
        )
    await queries.progress_import(
        conn,
        import_id=import_id,
        next_row=last.last_row + 1,
        next_offset=last.end_offset,
        households=households,
        changed=updates.changed,
        unchanged=updates.unchanged,
        refused=len(refused),
        warnings=len(warnings),
    )
