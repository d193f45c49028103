"""Proposals of families (usul), what the community's meeting says (musyawarah), and what the office decides."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from salur.common.contracts.activity import PersonalRead
from salur.common.contracts.nominations import MeetingRecorded, NominationChanged
from salur.common.database import Connection
from salur.common.errors import Conflict, Forbidden, NotFound
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.common.values import derived_id, in_scope, region_within
from salur.registry.store import queries
from salur.registry.usecases.states import By, unknown_household

Answer = tuple[dict[str, Any], list[Draft]]


@dataclass(frozen=True, slots=True)
class Nomination:
    """Who is proposed and why. `reference` is the sender's own; text and contact are personal."""

    reference: str
    nominated_by: str
    region: str
    text: str
    contact: str | None


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting as recorded: who took part (role, name), and (nomination, outcome, reason) for each they looked at."""

    reference: str
    region: str
    held_on: date
    participants: tuple[tuple[str, str], ...]
    verdicts: tuple[tuple[str, str, str], ...]


async def nominate(
    conn: Connection, nomination: Nomination, by: By, secrets: Secrets
) -> tuple[dict[str, Any], bool, list[Draft]]:
    """Propose a family. The same sender's same reference is the same. Returns (answer, whether new, events)."""
    nomination_id = derived_id("nomination", by.actor, nomination.reference)
    content = orjson.dumps([nomination.text, nomination.contact])
    whole = [nomination.nominated_by, nomination.region, nomination.text, nomination.contact]
    token = secrets.token("nomination", orjson.dumps(whole).decode())
    row = await queries.insert_nomination(
        conn, id=nomination_id, nominated_by=nomination.nominated_by, region=nomination.region,
        sealed=secrets.seal(content, nomination_id.encode()), token=token, by=by.actor,
    )  # fmt: skip
    if row is not None:
        return _view(row), True, [_told(row, by)]
    known = await queries.nomination_by_id(conn, id=nomination_id)
    if known["content_token"] != token:
        raise _reference_taken()
    return _view(known), False, []


async def record_meeting(
    conn: Connection, meeting: Meeting, by: By, secrets: Secrets
) -> tuple[dict[str, Any], bool, list[Draft]]:
    """Record what a meeting said of proposals of its region. All of them, or nothing. Raises Conflict, NotFound."""
    meeting_id = derived_id("meeting", by.actor, meeting.reference)
    names = orjson.dumps(meeting.participants)
    whole = [meeting.region, meeting.held_on, meeting.participants, meeting.verdicts]
    token = secrets.token("meeting", orjson.dumps(whole).decode())
    roles = dict(sorted(Counter(role for role, _ in meeting.participants).items()))
    new = await queries.insert_meeting(
        conn, id=meeting_id, region=meeting.region, held_on=meeting.held_on, participants=orjson.dumps(roles).decode(),
        sealed=secrets.seal(names, meeting_id.encode()), token=token, by=by.actor,
    )  # fmt: skip
    verdicts = {nomination_id: (outcome, reason) for nomination_id, outcome, reason in meeting.verdicts}
    supported = sum(outcome == "supported" for outcome, _ in verdicts.values())
    answer = {"meeting_id": meeting_id, "participants": roles, "supported": supported,
              "not_supported": len(verdicts) - supported}  # fmt: skip
    if new is None:
        if (await queries.meeting_by_id(conn, id=meeting_id))["content_token"] != token:
            raise _reference_taken()
        return answer, False, []
    rows = await queries.lock_nominations(conn, ids=sorted(verdicts))
    if len(rows) < len(verdicts) or not all(region_within(row["region"], meeting.region) for row in rows):
        raise NotFound(
            "a proposal is unknown or of another place than the meeting: check the ids", code="nomination-unknown",
            who="registrar",
        )  # fmt: skip
    if any(row["state"] != "proposed" for row in rows):
        raise _wrong_state("a proposal was looked at already")
    after = await queries.verify_nominations(
        conn, meeting_id=meeting_id, ids=list(verdicts), states=[outcome for outcome, _ in verdicts.values()],
        reasons=[reason for _, reason in verdicts.values()],
    )  # fmt: skip
    fact = MeetingRecorded(
        meeting_id=meeting_id, region=meeting.region, held_on=meeting.held_on, participants=roles, supported=supported,
        not_supported=len(verdicts) - supported,
    )  # fmt: skip
    return answer, True, [Draft(fact, meeting_id, by.actor, by.cause), *(_told(row, by) for row in after)]


async def decide_nomination(
    conn: Connection, nomination_id: str, household_id: str | None, reason: str, by: By
) -> Answer:
    """The office says what came of it: the family it registered (only with the community's support), or refused."""
    row = _in_scope(next(iter(await queries.lock_nominations(conn, ids=[nomination_id])), None), by)
    state = "refused" if household_id is None else "registered"
    if (row["state"], row["household_id"], row["decided_by"]) == (state, household_id, by.actor):
        return _view(row), []
    if row["state"] in ("registered", "refused"):
        raise _wrong_state(f"it was {row['state']} already")
    if row["proposed_by"] in by.people:
        raise Forbidden("you proposed this family: another person must decide", code="same-person", who="registrar")
    if household_id is not None:
        if row["state"] != "supported":
            raise _wrong_state("no meeting has supported it: record one first")
        household = await queries.household(conn, id=household_id)
        if household is None or not in_scope(household["region"], by.regions):
            raise unknown_household()
    after = await queries.decide_nomination(
        conn, id=nomination_id, state=state, reason=reason, household_id=household_id, by=by.actor
    )
    return _view(after), [_told(after, by)]


async def read_nomination(conn: Connection, nomination_id: str, reason: str, by: By, secrets: Secrets) -> Answer:
    """What was written, in clear; that it was read, by whom and why is an event."""
    row = _in_scope(await queries.nomination_by_id(conn, id=nomination_id), by)
    text, contact = orjson.loads(secrets.open(row["sealed"], nomination_id.encode()))
    fact = PersonalRead(subject=nomination_id, kind="nomination", reason=reason)
    draft = Draft(fact, nomination_id, by.actor, by.cause, topic="registry.activity")
    return _view(row) | {"text": text, "contact": contact}, [draft]


def _in_scope(row: Any, by: By) -> Any:
    if row is None or not in_scope(row["region"], by.regions):
        raise NotFound("no such proposal in your regions: check the id", code="nomination-unknown", who="registrar")
    return row


def _wrong_state(why: str) -> Conflict:
    return Conflict(f"this cannot be done now: {why}", code="nomination-state", who="registrar")


def _reference_taken() -> Conflict:
    return Conflict(
        "this reference stands for something else you have sent: choose a new one", code="reference-taken", who="caller"
    )


VIEW = ("nomination_id", "version", "nominated_by", "region", "state", "meeting_id", "household_id", "reason")


def _view(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in VIEW}


def _told(row: Mapping[str, Any], by: By) -> Draft:
    return Draft(NominationChanged(**_view(row)), row["nomination_id"], by.actor, by.cause)
