"""Lists from outside: what they say of members is evidence, decided on by somebody else than who sent the list."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from salur.common.contracts.activity import PersonalRead
from salur.common.contracts.feeds import FeedMatchDecided, FeedMatchFound, PersonDeceased
from salur.common.database import Connection
from salur.common.errors import Conflict, Forbidden, NotFound
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.common.values import derived_id, in_scope
from salur.registry.domain.household import Member
from salur.registry.store import queries
from salur.registry.usecases.change import Change, change
from salur.registry.usecases.guardians import end_guardianships_of
from salur.registry.usecases.payees import account_status, set_standing
from salur.registry.usecases.states import By

ATTRIBUTES = {"exclusion": "on_exclusion_list", "wages": "formal_wage", "tax": "taxpayer"}
"""What a confirmed match makes true of the member, so that a programme's rules may read it."""


@dataclass(frozen=True, slots=True)
class Feed:
    """A list: what it is of, who made it, which edition, and the day it speaks of."""

    kind: str
    source: str
    name: str
    as_of: date


@dataclass(frozen=True, slots=True)
class Record:
    """One line: whom it speaks of, and what it says. Personal."""

    scheme: str
    value: str
    says: dict[str, str | int | None]


async def announce_feed(conn: Connection, feed: Feed, by: By) -> tuple[dict[str, Any], bool]:
    """Begin a list; the same edition of a source is the same list. Returns (answer, whether new)."""
    feed_id = derived_id("feed", feed.kind, feed.source, feed.name)
    new = await queries.insert_feed(
        conn, feed_id=feed_id, kind=feed.kind, name=feed.name, source=feed.source, as_of=feed.as_of, by=by.actor
    )
    row = await queries.lock_feed(conn, feed_id=feed_id)
    if (row["as_of"], row["sent_by"]) != (feed.as_of, by.actor):
        raise Conflict(
            "this list was begun by somebody else or for another day: give it a name of its own",
            code="feed-exists",
            who="caller",
        )
    return {"feed_id": feed_id, "records": row["records"], "matches": row["matches"]}, new is not None


async def take_records(
    conn: Connection, feed_id: str, records: Sequence[Record], by: By, secrets: Secrets
) -> tuple[dict[str, Any], list[Draft]]:
    """Compare a batch with who is registered. The same record again is the same match; the unknown are only counted."""
    feed = await queries.lock_feed(conn, feed_id=feed_id)
    if feed is None or feed["sent_by"] != by.actor:
        raise NotFound("no list of that id that you began: announce it first", code="feed-unknown", who="caller")
    tokens = [secrets.token(record.scheme, record.value) for record in records]
    known = await queries.known_members(conn, schemes=[record.scheme for record in records], tokens=tokens)
    rows: dict[str, tuple[str, str, str, str, bytes]] = {}
    for row in known:
        if not in_scope(row["region"], by.regions):
            continue
        match_id = derived_id("match", feed_id, row["member_id"])
        sealed = secrets.seal(orjson.dumps(records[row["place"] - 1].says), match_id.encode())
        rows.setdefault(match_id, (match_id, row["household_id"], row["member_id"], row["region"], sealed))
    found: list[Any] = []
    if rows:
        ids, households, members, regions, sealed_values = zip(*rows.values(), strict=True)
        found = await queries.insert_matches(
            conn, feed_id=feed_id, by=by.actor, ids=ids, households=households, members=members, regions=regions,
            sealed=sealed_values,
        )  # fmt: skip
    await queries.count_feed(conn, feed_id=feed_id, records=len(records), matches=len(found))
    drafts = [
        Draft(
            FeedMatchFound(match_id=m["match_id"], feed_id=feed_id, kind=feed["kind"], household_id=m["household_id"]),
            m["match_id"], by.actor, by.cause,
        )
        for m in found
    ]  # fmt: skip
    return {"records": len(records), "matches": len(rows), "new_matches": len(found)}, drafts


async def read_match(
    conn: Connection, match_id: str, reason: str, by: By, secrets: Secrets
) -> tuple[dict[str, Any], list[Draft]]:
    """What the list says, in clear; that it was read, by whom and why is an event."""
    row = await _match(conn, match_id, by)
    says = orjson.loads(secrets.open(row["sealed"], match_id.encode()))
    fact = PersonalRead(subject=match_id, kind="feed-match", reason=reason)
    return _view(row) | {"says": says}, [Draft(fact, match_id, by.actor, by.cause, topic="registry.activity")]


async def decide_match(
    conn: Connection, match_id: str, outcome: str, reason: str, by: By, secrets: Secrets
) -> tuple[dict[str, Any], list[Draft]]:
    """Confirm or dismiss evidence. A confirmed death takes the member out of the family; a confirmed entry of an
    exclusion, wage or tax list becomes an attribute; what the civil registry says otherwise is for a change request.
    """
    if await queries.lock_match(conn, match_id=match_id) is None:
        raise unknown_match()
    row = await _match(conn, match_id, by)
    if (row["state"], row["decided_by"], row["reason"]) == (outcome, by.actor, reason):
        return _view(row), []
    if row["state"] != "open":
        raise Conflict(f"this evidence was {row['state']} already", code="match-decided", who="registrar")
    if row["sent_by"] in by.people:
        raise Forbidden("you sent this list: another person must decide on it", code="same-person", who="registrar")
    drafts: list[Draft] = []
    if outcome == "confirmed":
        drafts = await _act_on(conn, row, by, secrets)
    await queries.decide_match(conn, match_id=match_id, state=outcome, reason=reason, by=by.actor)
    fact = FeedMatchDecided(
        match_id=match_id, feed_id=row["feed_id"], kind=row["kind"], household_id=row["household_id"],
        outcome=outcome, reason=reason,
    )  # fmt: skip
    return _view(await _match(conn, match_id, by)), [Draft(fact, match_id, by.actor, by.cause), *drafts]


async def _act_on(conn: Connection, row: Any, by: By, secrets: Secrets) -> list[Draft]:
    household = (await queries.lock_households(conn, ids=[row["household_id"]]))[0]
    members = {member["member_id"]: member["attributes"] for member in household["members"]}
    member_id = row["member_id"]
    if member_id not in members:
        raise Conflict(
            "they are no member of this family any more: dismiss this evidence", code="member-gone", who="registrar"
        )
    if row["kind"] == "deaths":
        return await _bury(conn, row, household["version"], members, by, secrets)
    attribute = ATTRIBUTES.get(row["kind"])
    if attribute is None:
        return []
    members[member_id] = {**members[member_id], attribute: True}
    return await _changed(conn, row["household_id"], members, by, secrets)


async def _bury(
    conn: Connection, row: Any, version: int, members: dict[str, dict[str, Any]], by: By, secrets: Secrets
) -> list[Draft]:
    household_id, member_id, match_id = row["household_id"], row["member_id"], row["match_id"]
    says = orjson.loads(secrets.open(row["sealed"], match_id.encode()))
    await queries.keep_deceased_identifiers(conn, match_id=match_id, household_id=household_id, member_id=member_id)
    was_head = members.pop(member_id).get("relation") == "head"
    fact = PersonDeceased(
        household_id=household_id, member_id=member_id, match_id=match_id, died_on=str(says.get("on_date") or "")
    )
    drafts = [Draft(fact, household_id, by.actor, by.cause)]
    drafts += await _changed(conn, household_id, members, by, secrets)
    status = await account_status(conn, household_id)
    stops = status == "active" and (was_head or not members)
    if status is not None and (stops or not members):
        # The account may be that of who has died: nothing is paid into it before somebody has looked.
        drafts += await set_standing(
            conn, household_id, "suspended" if stops else status, secrets, actor=by.actor, cause=by.cause,
            living="alive" if members else "deceased", again=True,
        )  # fmt: skip
    await queries.insert_death(
        conn, match_id=match_id, household_id=household_id, member_id=member_id, version=version, suspended=stops
    )
    return drafts + await end_guardianships_of(conn, member_id, by, secrets)


async def _changed(
    conn: Connection, household_id: str, members: dict[str, dict[str, Any]], by: By, secrets: Secrets
) -> list[Draft]:
    staying = tuple(Member(attributes, member_id=member_id) for member_id, attributes in members.items())
    results, drafts = await change(
        conn, [Change(household_id, by.actor, by.cause, members=staying, regions=by.regions)], secrets
    )
    if isinstance(results[0], Exception):
        raise results[0]
    return drafts


async def _match(conn: Connection, match_id: str, by: By) -> Any:
    row = await queries.match_by_id(conn, match_id=match_id)
    if row is None or not in_scope(row["region"], by.regions):
        raise unknown_match()
    return row


def unknown_match() -> NotFound:
    """The same answer whether it does not exist or lies elsewhere."""
    return NotFound("no such evidence in your regions: check the id", code="match-unknown", who="registrar")


def _view(row: Any) -> dict[str, Any]:
    names = ("match_id", "feed_id", "kind", "source", "as_of", "household_id", "member_id", "state", "reason")
    return {name: row[name] for name in names}
