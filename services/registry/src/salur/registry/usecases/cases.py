"""Open a complaint, give it an owner, resolve, close and reopen it; every move is an event without a text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from salur.common.contracts.activity import PersonalRead
from salur.common.contracts.cases import CaseChanged
from salur.common.database import Connection
from salur.common.errors import Conflict, Forbidden, NotFound
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.common.values import derived_id, in_scope, new_id
from salur.registry.domain.cases import MOVES, RAISED, REOPENED_WITHIN, due_at, is_sensitive, told_region
from salur.registry.store import queries

OVERDUE_BATCH = 500
Answer = tuple[dict[str, Any], list[Draft]]


@dataclass(frozen=True, slots=True)
class CaseWorker:
    """Who acts on cases, in which regions, and whether sensitive ones are theirs to see."""

    actor: str
    cause: str
    regions: tuple[str, ...] = ()
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Complaint:
    """What somebody complains about. `reference` is the sender's; texts are personal."""

    reference: str
    category: str
    priority: str
    sensitive: bool
    region: str
    channel: str
    text: str
    contact: str | None = None
    household_id: str | None = None
    about: str | None = None

    def canonical(self) -> str:
        """The whole complaint as text: equal content, equal text. It holds personal values: hash it with a key."""
        return orjson.dumps(
            [self.category, self.priority, self.sensitive, self.region, self.channel, self.text, self.contact,
             self.household_id, self.about]
        ).decode()  # fmt: skip


async def open_case(
    conn: Connection, complaint: Complaint, by: CaseWorker, secrets: Secrets
) -> tuple[dict[str, Any], bool, list[Draft]]:
    """Open a case. The same sender's same reference is the same case. Returns (answer, whether new, events)."""
    case_id = derived_id("case", by.actor, complaint.reference)
    token = secrets.token("complaint", complaint.canonical())
    row = await queries.insert_case(
        conn, id=case_id, category=complaint.category, priority=complaint.priority,
        sensitive=is_sensitive(complaint.category, complaint.sensitive), region=complaint.region,
        household_id=complaint.household_id, channel=complaint.channel, about=complaint.about,
        due_at=due_at(complaint.priority, datetime.now(UTC)), token=token, by=by.actor,
    )  # fmt: skip
    if row is None:
        known = await queries.case_by_id(conn, id=case_id)
        if known["content_token"] != token:
            raise Conflict(
                "this reference stands for another complaint of yours: choose a new one",
                code="reference-taken",
                who="caller",
            )
        return _view(known), False, []
    await _write(conn, case_id, "complaint", complaint.text, by, secrets)
    if complaint.contact is not None:
        await _write(conn, case_id, "contact", complaint.contact, by, secrets)
    return _view(row), True, [_told(row, "opened", by.actor, by.cause)]


async def assign(conn: Connection, case_id: str, owner: str, by: CaseWorker) -> Answer:
    """Give an open or running case an owner. The same owner again changes nothing."""
    row = await _locked(conn, case_id, by)
    if owner == row["about"]:
        raise Forbidden("the case is about them: give it to somebody else", code="owner-not-free", who="case officer")
    if row["state"] == "in-progress" and row["owner"] == owner:
        return _view(row), []
    if row["state"] != "in-progress":
        _check_move(row, "in-progress", "open")
    return await _moved(conn, row, by, "assigned", state="in-progress", owner=owner)


async def set_priority(conn: Connection, case_id: str, priority: str, by: CaseWorker) -> Answer:
    """Another priority: the deadline is counted from now."""
    row = await _locked(conn, case_id, by)
    _check_running(row)
    if row["priority"] == priority:
        return _view(row), []
    due = due_at(priority, datetime.now(UTC))
    return await _moved(conn, row, by, "priority-set", priority=priority, due_at=due, overdue=False)


async def note(conn: Connection, case_id: str, text: str, by: CaseWorker, secrets: Secrets) -> Answer:
    """Write down what was found or done."""
    row = await _locked(conn, case_id, by)
    if row["state"] == "closed":
        raise _wrong_state(row)
    await _write(conn, case_id, "note", text, by, secrets)
    return await _moved(conn, row, by, "noted")


async def resolve(conn: Connection, case_id: str, outcome: str, text: str, by: CaseWorker, secrets: Secrets) -> Answer:
    """The owner says what came of it."""
    row = await _locked(conn, case_id, by)
    if row["state"] == "resolved" and (row["outcome"], row["resolved_by"]) == (outcome, by.actor):
        return _view(row), []
    _check_move(row, "resolved")
    if row["owner"] != by.actor:
        raise Forbidden("only its owner resolves a case", code="not-owner", who="owner of the case")
    await _write(conn, case_id, "resolution", text, by, secrets)
    return await _moved(conn, row, by, "resolved", state="resolved", outcome=outcome, resolved_by=by.actor)


async def close(conn: Connection, case_id: str, by: CaseWorker) -> Answer:
    """Nothing more is to be done. A sensitive case is closed by another person than who resolved it."""
    row = await _locked(conn, case_id, by)
    if row["state"] == "closed" and row["closed_by"] == by.actor:
        return _view(row), []
    _check_move(row, "closed")
    if row["sensitive"] and row["resolved_by"] == by.actor:
        raise Forbidden(
            "you resolved this sensitive case: another person must close it", code="same-person", who="case officer"
        )
    return await _moved(conn, row, by, "closed", state="closed", closed_by=by.actor)


async def reopen(conn: Connection, case_id: str, text: str, by: CaseWorker, secrets: Secrets) -> Answer:
    """The resolution was not enough: back to its owner, one priority higher, with a week."""
    row = await _locked(conn, case_id, by)
    _check_move(row, "in-progress", "resolved")
    await _write(conn, case_id, "reopening", text, by, secrets)
    return await _moved(
        conn, row, by, "reopened", state="in-progress", outcome=None, resolved_by=None,
        priority=RAISED[row["priority"]], due_at=datetime.now(UTC) + REOPENED_WITHIN, overdue=False,
    )  # fmt: skip


async def read_texts(conn: Connection, case_id: str, reason: str, by: CaseWorker, secrets: Secrets) -> Answer:
    """What was written, in clear; that it was read, by whom and why is an event."""
    row = _visible(await queries.case_by_id(conn, id=case_id), by)
    texts = [
        {
            "kind": item["kind"],
            "text": secrets.open(item["sealed"], item["text_id"].encode()).decode(),
            "written_by": item["written_by"],
            "written_at": item["written_at"],
        }
        for item in await queries.case_texts(conn, case_id=case_id)
    ]
    fact = PersonalRead(subject=case_id, kind="case-texts", reason=reason)
    return _view(row) | {"texts": texts}, [Draft(fact, case_id, by.actor, by.cause, topic="registry.activity")]


async def read_case(conn: Connection, case_id: str, by: CaseWorker) -> dict[str, Any]:
    """Where a case stands. Raises NotFound."""
    return _view(_visible(await queries.case_by_id(conn, id=case_id), by))


async def mark_overdue(conn: Connection) -> tuple[bool, list[Draft]]:
    """Say of every case past its deadline that it is. Returns (whether more may wait, events)."""
    rows = await queries.mark_overdue_cases(conn, most=OVERDUE_BATCH)
    drafts = [_told(row, "overdue", "service:registry", row["case_id"]) for row in rows]
    return len(rows) == OVERDUE_BATCH, drafts


def unknown_case() -> NotFound:
    """The same answer whether it does not exist, lies elsewhere, or is not for the caller's eyes."""
    return NotFound("no such case that you may see: check the id", code="case-unknown", who="case officer")


async def _locked(conn: Connection, case_id: str, by: CaseWorker) -> Any:
    return _visible(await queries.lock_case(conn, id=case_id), by)


def _visible(row: Any, by: CaseWorker) -> Any:
    if row is None or row["about"] == by.actor:
        raise unknown_case()
    if not in_scope(row["region"], by.regions):
        raise unknown_case()
    if row["sensitive"] and not by.sensitive and by.actor not in (row["owner"], row["opened_by"]):
        raise unknown_case()
    return row


def _check_move(row: Mapping[str, Any], state: str, before: str | None = None) -> None:
    if state not in MOVES[row["state"]] or (before is not None and row["state"] != before):
        raise _wrong_state(row)


def _check_running(row: Mapping[str, Any]) -> None:
    if row["state"] not in ("open", "in-progress"):
        raise _wrong_state(row)


def _wrong_state(row: Mapping[str, Any]) -> Conflict:
    return Conflict(f"the case is {row['state']}: this cannot be done now", code="case-state", who="case officer")


async def _moved(conn: Connection, row: Any, by: CaseWorker, change: str, **values: Any) -> Answer:
    names = ("state", "owner", "outcome", "resolved_by", "closed_by", "priority", "due_at", "overdue")
    after = await queries.move_case(conn, id=row["case_id"], **{name: row[name] for name in names} | values)
    return _view(after), [_told(after, change, by.actor, by.cause)]


async def _write(conn: Connection, case_id: str, kind: str, text: str, by: CaseWorker, secrets: Secrets) -> None:
    text_id = new_id()
    sealed = secrets.seal(text.encode(), text_id.encode())
    await queries.insert_case_text(conn, id=text_id, case_id=case_id, kind=kind, sealed=sealed, by=by.actor)


VIEW: Sequence[str] = (
    "case_id", "version", "category", "priority", "sensitive", "region", "household_id", "channel", "state", "owner",
    "outcome", "due_at", "overdue", "opened_at",
)  # fmt: skip


def _view(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in VIEW}


def _told(row: Mapping[str, Any], change: str, actor: str, cause: str) -> Draft:
    sensitive = row["sensitive"]
    names = (
        "case_id",
        "version",
        "category",
        "priority",
        "sensitive",
        "state",
        "owner",
        "outcome",
        "due_at",
        "overdue",
    )
    fact = CaseChanged(
        **{name: row[name] for name in names},
        change=change,
        region=told_region(row["region"], sensitive),
        household_id=None if sensitive else row["household_id"],
    )
    return Draft(fact, row["case_id"], actor, cause)
