"""Guardianships of people who turned out to be others: they end under the old id and go on under the new, and back."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from salur.common.contracts.registry import GuardianChanged
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.common.values import new_id
from salur.registry.store import queries
from salur.registry.usecases.payees import lend_account, set_standing
from salur.registry.usecases.states import By


async def follow_merged(
    conn: Connection, same: Mapping[str, str], household_id: str, merge_id: str, by: By, secrets: Secrets
) -> list[Draft]:
    """`same`: people taken for others of this family. A ward or guardian among them is one as whom they are taken for.

    A guardianship ends where the ward has a guardian already or would be their own.
    """
    ended = await queries.end_merged_guardianships(conn, people=list(same), actor=by.actor, merge_id=merge_id)
    wards = {row["ward_id"]: same.get(row["ward_id"], row["ward_id"]) for row in ended}
    guarded = {row["ward_id"] for row in await queries.guarded(conn, wards=sorted(set(wards.values())))}
    drafts: list[Draft] = []
    for row in ended:
        ward_id, guardian_id = wards[row["ward_id"]], _now(row, same)
        drafts += await told_end(conn, [row], by, secrets)
        if ward_id in guarded or ward_id == guardian_id:
            continue
        guarded.add(ward_id)
        successor = dict(row) | {
            "ward_id": ward_id, "guardian_id": guardian_id,
            "household_id": household_id if ward_id != row["ward_id"] else row["household_id"],
            "payer_id": household_id if guardian_id != row["guardian_id"] else row["payer_id"],
        }  # fmt: skip
        drafts += await _begin(conn, successor, row["guardianship_id"], by, secrets)
    return drafts


async def give_back(
    conn: Connection, merge_id: str, back: Mapping[str, str], by: By, secrets: Secrets, away: Collection[str] = ()
) -> list[Draft]:
    """The merge is undone: what it ended begins anew under the old ids, unless its successor was ended since.

    `back`: who is back, and in which household; `away`: who is not, whose guardianships stay as they are now. What
    somebody else decided for the ward since stays.
    """
    rows = await queries.ended_in_merge(conn, merge_id=merge_id)
    rows = [row for row in rows if row["ward_id"] not in away and row["guardian_id"] not in away]
    live = [row["successor_ward"] for row in rows if row["live"] and row["successor"] is not None]
    ended = await queries.end_guardianships(conn, wards=live, actor=by.actor) if live else []
    drafts = await told_end(conn, ended, by, secrets)
    guarded = {row["ward_id"] for row in await queries.guarded(conn, wards=[row["ward_id"] for row in rows])}
    today = datetime.now(UTC).date()
    for row in rows:
        over = row["until"] is not None and row["until"] < today
        if over or row["ward_id"] in guarded or (row["successor"] is not None and not row["live"]):
            continue
        payer = back.get(row["guardian_id"]) or (row["successor_payer"] or row["payer_id"])
        home = back.get(row["ward_id"], row["household_id"])
        again = dict(row) | {"household_id": home, "payer_id": payer}
        drafts += await _begin(conn, again, row["guardianship_id"], by, secrets)
    return drafts


def _now(row: Mapping[str, Any], same: Mapping[str, str]) -> str:
    guardian_id: str = row["guardian_id"]
    return same.get(guardian_id, guardian_id) if row["guardian_kind"] == "person" else guardian_id


async def _begin(conn: Connection, row: Mapping[str, Any], follows: str, by: By, secrets: Secrets) -> list[Draft]:
    """A guardianship with the terms of the one it follows; what is received goes to the payer's account, if any."""
    guardianship_id, ward_id = new_id(), row["ward_id"]
    await queries.insert_guardianship(
        conn, guardianship_id=guardianship_id, ward_id=ward_id, household_id=row["household_id"],
        kind=row["guardian_kind"], guardian_id=row["guardian_id"], payer_id=row["payer_id"], receives=row["receives"],
        evidence=row["evidence"], since=row["since"], until=row["until"], actor=by.actor, follows=follows,
    )  # fmt: skip
    fact = GuardianChanged(
        household_id=row["household_id"], member_id=ward_id, guardianship_id=guardianship_id,
        guardian_kind=row["guardian_kind"], guardian_id=row["guardian_id"], receives=row["receives"],
        since=row["since"].isoformat(), until=row["until"] and row["until"].isoformat(),
    )  # fmt: skip
    drafts = [Draft(fact, row["household_id"], by.actor, by.cause)]
    if row["receives"]:
        drafts += await lend_account(conn, row["payer_id"], [ward_id], secrets, actor=by.actor, cause=by.cause)
    return drafts


async def told_end(conn: Connection, ended: list[Any], by: By, secrets: Secrets) -> list[Draft]:
    """These guardianships have ended: the events that say so. What a guardian received is theirs no more to receive."""
    drafts = [
        Draft(
            GuardianChanged(
                household_id=row["household_id"], member_id=row["ward_id"], guardianship_id=row["guardianship_id"],
                guardian_kind=None, guardian_id=None, receives=False, since=row["since"].isoformat(),
                until=datetime.now(UTC).date().isoformat(),
            ),
            row["household_id"], by.actor, by.cause,
        )
        for row in ended
    ]  # fmt: skip
    return drafts + await close_lent(conn, ended, by, secrets)


async def close_lent(conn: Connection, ended: list[Any], by: By, secrets: Secrets) -> list[Draft]:
    """The accounts through which these wards were paid."""
    drafts: list[Draft] = []
    for row in ended:
        if row["receives"]:
            drafts += await set_standing(conn, row["ward_id"], "closed", secrets, actor=by.actor, cause=by.cause)
    return drafts
