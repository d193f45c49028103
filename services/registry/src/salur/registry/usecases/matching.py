"""Find records of the same person behind the registry's own events: index everybody who is new, then compare.

Keys are keyed hashes; names and numbers are in clear in memory only, while two records are compared. An import is not
slowed: matching waits until none runs. Everybody is indexed before anybody is compared, so that a name's rarity and a
block's size are those of the whole register.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from salur.common.database import Connection
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.registry.domain.matching import DEFAULT_MAX_BLOCK, Match, Matcher, Record, blocking_keys
from salur.registry.store import queries
from salur.registry.usecases.identities import Identities

EVENTS_PER_STREAM = 60
PEOPLE_PER_BATCH = 1_000
NO_NAME = 0


@dataclass(frozen=True, slots=True)
class _Indexed:
    """A record with its keyed hashes."""

    record: Record
    keys: list[int]
    name: int


class MatchingWork:
    """One bounded piece of matching per call."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._declared = False

    async def step(self, conn: Connection) -> bool:
        """Index or compare one batch in the transaction of `conn`; True = there is more."""
        if not self._declared:
            await queries.declare_match_marks(conn)
            self._declared = True
        marks = await queries.lock_match_marks(conn)
        if not marks or await queries.waiting_imports(conn):
            return False  # another process matches, or an import has the floor
        if await self._index(conn, marks):
            return True
        return await self._compare(conn)

    async def _index(self, conn: Connection, marks: Sequence[Any]) -> bool:
        events = await queries.events_to_match(
            conn, streams=[mark["stream"] for mark in marks], sequences=[mark["sequence"] for mark in marks],
            most=EVENTS_PER_STREAM,
        )  # fmt: skip
        if not events:
            return False
        heads = {event["stream"]: event["sequence"] for event in events}
        households = sorted({event["key"] for event in events if event["ours"]})
        await self._replace(conn, households, await self._records(conn, households))
        await queries.advance_match_marks(conn, streams=list(heads), sequences=list(heads.values()))
        return True

    async def _records(self, conn: Connection, household_ids: Sequence[str]) -> list[Record]:
        """The people of households who have a name, opened."""
        rows = [row for row in await queries.households_to_match(conn, ids=household_ids) if row["identity"]]
        if not rows:
            return []
        ids = [row["household_id"] for row in rows]
        niks = {
            row["member_id"]: self._secrets.open(row["sealed"], row["token"].encode()).decode()
            for row in await queries.niks_to_match(conn, ids=ids)
        }
        return [record for row in rows for record in self._people(row, niks)]

    def _people(self, row: Any, niks: dict[str, str]) -> Iterable[Record]:
        identities = Identities.open(row["identity"], row["household_id"], self._secrets)
        phone = identities.contact.phone if identities.contact else ""
        phone_token = self._secrets.token("phone", phone) if phone else None
        for member in row["members"]:
            member_id = member["member_id"]
            person = identities.people.get(member_id)
            if person is None:
                continue
            born = date.fromisoformat(person.birth_date) if person.birth_date else None
            yield Record(
                member_id, row["household_id"], person.name, born, person.sex, row["region"], niks.get(member_id),
                phone_token, row["account_token"],
            )  # fmt: skip

    def _hashed(self, record: Record) -> _Indexed:
        keys = sorted({self._hash(key) for key in blocking_keys(record)})
        return _Indexed(record, keys, self._hash(f"name:{record.name_key}") if record.words else NO_NAME)

    def _hash(self, key: str) -> int:
        return int.from_bytes(bytes.fromhex(self._secrets.token("match", key)[:16]), signed=True)

    async def _replace(self, conn: Connection, households: Sequence[str], records: Sequence[Record]) -> None:
        indexed = [self._hashed(record) for record in records]
        people = [item.record.person_id for item in indexed]
        gone = await queries.forget_match_people(conn, households=households, people=people)
        if gone:
            await queries.forget_match_keys(
                conn, tokens=[key for row in gone for key in row["keys"]],
                people=[row["person_id"] for row in gone for _ in row["keys"]],
            )  # fmt: skip
        await conn.copy_records_to_table(
            "match_person", columns=("person_id", "household_id", "keys", "name_token"),
            records=[(i.record.person_id, i.record.household_id, i.keys, i.name) for i in indexed],
        )  # fmt: skip
        await conn.copy_records_to_table(
            "match_key", columns=("token", "person_id"),
            records=sorted((key, item.record.person_id) for item in indexed for key in item.keys),
        )  # fmt: skip
        counts = Counter(item.name for item in indexed)
        counts.subtract(Counter(row["name_token"] for row in gone))
        if counts:
            await queries.count_match_names(conn, tokens=list(counts), differences=list(counts.values()))

    async def _compare(self, conn: Connection) -> bool:
        people = [row["person_id"] for row in await queries.people_to_compare(conn, most=PEOPLE_PER_BATCH)]
        if not people:
            return False
        pairs = await queries.match_candidates(conn, ids=people, most=DEFAULT_MAX_BLOCK)
        if pairs:
            homes = sorted({home for pair in pairs for home in (pair["one_home"], pair["other_home"])})
            records = {record.person_id: record for record in await self._records(conn, homes)}
            matcher = await self._matcher(conn, records.values())
            found = [
                matcher.compare(*sorted((records[pair["one"]], records[pair["other"]]), key=lambda r: r.person_id))
                for pair in pairs
                if pair["one"] in records and pair["other"] in records
            ]
            await _keep(conn, [match for match in found if match.verdict != "different"])
        await queries.people_compared(conn, ids=people)
        return True

    async def _matcher(self, conn: Connection, records: Iterable[Record]) -> Matcher:
        tokens = {record.name_key: self._hash(f"name:{record.name_key}") for record in records}
        rows = await queries.match_names(conn, tokens=list(set(tokens.values())))
        people = {row["token"]: row["people"] for row in rows}
        total = max(await queries.count_match_people(conn), 1)

        def share(name_key: str) -> float | None:
            count = people.get(tokens.get(name_key, NO_NAME), 0)
            return count / total if count > 0 else None

        return Matcher(total, share=share)


async def _keep(conn: Connection, matches: Sequence[Match]) -> None:
    if not matches:
        return
    await queries.insert_pairs(
        conn,
        pair_ids=[derived_id("pair", match.first_id, match.second_id) for match in matches],
        firsts=[match.first_id for match in matches],
        seconds=[match.second_id for match in matches],
        scores=[match.score for match in matches],
        verdicts=[match.verdict for match in matches],
        evidence=[orjson.dumps([[e.field, e.finding, e.bits] for e in match.evidence]).decode() for match in matches],
    )
