"""Find records of the same person behind the registry's own events: index everybody who is new, then compare.

Keys are keyed hashes; names and numbers are in clear in memory only, while two records are compared. An import is not
slowed: matching waits until none runs. Everybody is indexed before anybody is compared, so that a name's rarity and a
block's size are those of the whole register.

People stand in a line and are compared in its order, each with those before them only: so every two meet once, whoever
of both came later.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from salur.common.database import Connection
from salur.common.secrets import Secrets
from salur.common.values import derived_id
from salur.registry.domain.matching import MAX_BLOCK, Match, Matcher, Record, blocking_keys, pairs
from salur.registry.store import queries
from salur.registry.usecases.identities import Identities

EVENTS_PER_STREAM = 100
PEOPLE_PER_BATCH = 2_000
RECORDS_PER_SLICE = 100
"""Done before others on the event loop get their turn: a few milliseconds."""
NO_NAME = 0


@dataclass(slots=True)
class _Line:
    """How many places are given out, up to which of them everybody is compared, and how many people stand in it."""

    indexed: int
    compared: int
    people: int


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
        self._hash = secrets.hasher("match")
        self._declared = False

    async def step(self, conn: Connection) -> bool:
        """Index or compare one batch in the transaction of `conn`; True = there is more."""
        if not self._declared:
            await queries.declare_match_marks(conn)
            self._declared = True
        marks = await queries.lock_match_marks(conn)
        if not marks or await queries.waiting_imports(conn):
            return False  # another process matches, or an import has the floor
        line = _Line(**await queries.match_line(conn))
        more = await self._index(conn, marks, line) or await self._compare(conn, line)
        if more:
            await queries.move_match_line(conn, indexed=line.indexed, compared=line.compared, people=line.people)
        return more

    async def _index(self, conn: Connection, marks: Sequence[Any], line: _Line) -> bool:
        events = await queries.events_to_match(
            conn, streams=[mark["stream"] for mark in marks], sequences=[mark["sequence"] for mark in marks],
            most=EVENTS_PER_STREAM,
        )  # fmt: skip
        if not events:
            return False
        heads = {event["stream"]: event["sequence"] for event in events}
        households = sorted({event["key"] for event in events if event["ours"]})
        indexed: list[_Indexed] = []
        for record in await self._records(conn, households):
            indexed.append(self._hashed(record))
            if len(indexed) % RECORDS_PER_SLICE == 0:
                await asyncio.sleep(0)
        await self._replace(conn, households, indexed, line)
        await queries.advance_match_marks(conn, streams=list(heads), sequences=list(heads.values()))
        return True

    async def _records(
        self, conn: Connection, household_ids: Sequence[str], wanted: Mapping[str, Any] | None = None
    ) -> list[Record]:
        """The people of households who have a name, opened; `wanted`: only these."""
        rows = await queries.households_to_match(conn, ids=household_ids)
        sealed = {row["member_id"]: row for row in await queries.niks_to_match(conn, ids=household_ids)}
        records: list[Record] = []
        for place, row in enumerate(rows):
            records += self._people(row, sealed, wanted)
            if place % RECORDS_PER_SLICE == 0:
                await asyncio.sleep(0)
        return records

    def _people(self, row: Any, sealed: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> Iterable[Record]:
        identities = Identities.open(row["identity"], row["household_id"], self._secrets)
        phone = identities.contact.phone if identities.contact else ""
        phone_token = self._secrets.token("phone", phone) if phone else None
        for member_id in row["member_ids"]:
            person = identities.people.get(member_id)
            if person is None or (wanted is not None and member_id not in wanted):
                continue
            born = date.fromisoformat(person.birth_date) if person.birth_date else None
            number = sealed.get(member_id)
            nik = self._secrets.open(number["sealed"], number["token"].encode()).decode() if number else None
            yield Record(
                member_id, row["household_id"], person.name, born, person.sex, row["region"], nik, phone_token,
                row["account_token"],
            )  # fmt: skip

    def _hashed(self, record: Record) -> _Indexed:
        keys = list({self._hash(key) for key in blocking_keys(record)})
        return _Indexed(record, keys, self._hash(f"name:{record.name_key}") if record.words else NO_NAME)

    async def _replace(
        self, conn: Connection, households: Sequence[str], indexed: Sequence[_Indexed], line: _Line
    ) -> None:
        people = [item.record.person_id for item in indexed]
        gone = await queries.forget_match_people(conn, households=households, people=people)
        if gone:
            await queries.forget_match_keys(
                conn, tokens=[key for row in gone for key in row["keys"]],
                numbers=[row["number"] for row in gone for _ in row["keys"]],
            )  # fmt: skip
        placed = list(enumerate(indexed, line.indexed + 1))
        await conn.copy_records_to_table(
            "match_person", columns=("number", "person_id", "household_id", "keys", "name_token"),
            records=[(n, i.record.person_id, i.record.household_id, i.keys, i.name) for n, i in placed],
        )  # fmt: skip
        await conn.copy_records_to_table(
            "match_key", columns=("token", "number"), records=sorted((key, n) for n, i in placed for key in i.keys)
        )
        line.indexed += len(indexed)
        line.people += len(indexed) - len(gone)
        counts = Counter(item.name for item in indexed)
        counts.subtract(Counter(row["name_token"] for row in gone))
        counts = Counter({token: difference for token, difference in counts.items() if difference})
        if counts:
            await queries.count_match_names(conn, tokens=list(counts), differences=list(counts.values()))

    async def _compare(self, conn: Connection, line: _Line) -> bool:
        if line.compared == line.indexed:
            return False
        after, line.compared = line.compared, min(line.compared + PEOPLE_PER_BATCH, line.indexed)
        blocks = await queries.match_blocks(conn, after=after, upto=line.compared, most=MAX_BLOCK + 1)
        meeting = pairs((block["turn"], block["first"]) for block in blocks)
        if meeting:
            await _keep(conn, [match async for match in self._matches(conn, meeting, line)])
        return True

    async def _matches(self, conn: Connection, meeting: Iterable[tuple[int, int]], line: _Line) -> AsyncIterator[Match]:
        """Within one household nobody is compared: twins would be duplicates."""
        numbers = list({number for two in meeting for number in two})
        people = {row["number"]: row for row in await queries.match_people_numbered(conn, numbers=numbers)}
        wanted = {row["person_id"]: row["number"] for row in people.values()}
        homes = list({row["household_id"] for row in people.values()})
        records = {wanted[record.person_id]: record for record in await self._records(conn, homes, wanted)}
        matcher = await self._matcher(conn, records.values(), line.people)
        for place, (one, other) in enumerate(meeting):
            if place % RECORDS_PER_SLICE == 0:
                await asyncio.sleep(0)
            first, second = records.get(one), records.get(other)
            if first is None or second is None or first.household_id == second.household_id:
                continue
            if first.person_id > second.person_id:
                first, second = second, first
            match = matcher.match(first, second)
            if match is not None:
                yield match

    async def _matcher(self, conn: Connection, records: Iterable[Record], people: int) -> Matcher:
        tokens = {record.name_key: self._hash(f"name:{record.name_key}") for record in records}
        rows = await queries.match_names(conn, tokens=list(set(tokens.values())))
        namesakes = {row["token"]: row["people"] for row in rows}
        total = max(people, 1)

        def share(name_key: str) -> float | None:
            count = namesakes.get(tokens.get(name_key, NO_NAME), 0)
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
