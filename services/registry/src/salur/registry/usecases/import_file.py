"""Bulk import: a spooled CSV becomes households batch by batch, resumable at the row, nothing lost."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.registry.domain.mapping import parse_mapping
from salur.registry.domain.rows import Family, HeaderInvalid, Issue, read_families, read_header
from salur.registry.store import queries
from salur.registry.usecases.register import Registered, Registration, register

FAMILIES_PER_BATCH = 1_000


def spool_path(state_dir: Path, import_id: str) -> Path:
    """Where the content of an import waits until it is done."""
    return state_dir / "spool" / f"{import_id}.csv"


async def import_batch(conn: Any, state_dir: Path, secrets: Secrets) -> tuple[bool, list[Draft]]:
    """Take the next batch of the oldest unfinished import. Returns (whether there was one, events).

    Progress, households and their events are one transaction: after a kill the import goes on at exactly that row.
    """
    job = await queries.next_import(conn)
    if job is None:
        return False, []
    path = spool_path(state_dir, job["import_id"])
    try:
        families = _read(path, job)
    except (HeaderInvalid, OSError) as error:
        reason = str(error) if isinstance(error, HeaderInvalid) else "the spooled content is gone: send the file again"
        await queries.set_import_state(conn, import_id=job["import_id"], state="failed", reason=reason[:500])
        return True, []
    if not families:
        await queries.set_import_state(conn, import_id=job["import_id"], state="done", reason=None)
        return True, []
    return True, await _take(conn, job, families, secrets)


def _read(path: Path, job: Any) -> list[Family]:
    mapping = parse_mapping(job["mapping"])
    with path.open("rb") as file:
        first = file.readline()
        header = read_header(first, mapping)
        offset = job["next_offset"] or len(first)
        file.seek(offset)
        families = read_families(file, header, mapping, job["next_row"], offset)
        return list(itertools.islice(families, FAMILIES_PER_BATCH))


async def _take(conn: Any, job: Any, families: Sequence[Family], secrets: Secrets) -> list[Draft]:
    cause = f"import:{job['import_id']}"
    good = [family for family in families if family.household is not None]
    commands = [Registration(family.household, job["actor"], cause) for family in good if family.household]
    results, drafts = await register(conn, commands, secrets)
    issues = [issue for family in families for issue in family.issues]
    refused = sum(family.refused_rows for family in families)
    registered = 0
    for family, result in zip(good, results, strict=True):
        if isinstance(result, Registered):
            registered += result.created
        else:
            issues.append(Issue(family.last_row, job["mapping"]["household"]["column"], "error", str(result)))
            refused += 1
    await queries.insert_issues(
        conn,
        import_id=job["import_id"],
        rows=[issue.row for issue in issues],
        columns=[issue.column for issue in issues],
        severities=[issue.severity for issue in issues],
        reasons=[issue.reason for issue in issues],
    )
    await queries.progress_import(
        conn,
        import_id=job["import_id"],
        state="running",
        next_row=families[-1].last_row + 1,
        next_offset=families[-1].end_offset,
        households=registered,
        refused=refused,
        warnings=sum(issue.severity == "warning" for issue in issues),
    )
    return drafts
