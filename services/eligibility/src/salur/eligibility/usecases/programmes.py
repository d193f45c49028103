"""Publish a programme; keep the compiled rules in force at hand."""

from dataclasses import dataclass

from salur.common.contracts.eligibility import ProgrammePublished
from salur.common.database import Connection
from salur.common.events import Draft
from salur.eligibility.domain.programme import Compiled, ProgrammeInvalid, compile_programme
from salur.eligibility.errors import programme_invalid
from salur.eligibility.store import queries


@dataclass(frozen=True, slots=True)
class Ruling:
    """A compiled version and the number its decisions stand under."""

    number: int
    compiled: Compiled


class Rules:
    """Compiled programmes by number: compiled once per process, however often they decide. Versions are few."""

    def __init__(self) -> None:
        self._known: dict[int, Ruling] = {}

    async def in_force(self, conn: Connection) -> list[Ruling]:
        """The programmes in force, read in this transaction."""
        numbers = [row["number"] for row in await queries.programmes_in_force(conn)]
        await self._load(conn, numbers)
        return [self._known[number] for number in numbers]

    async def numbered(self, conn: Connection, number: int) -> Ruling:
        """One version, in force or not."""
        await self._load(conn, [number])
        return self._known[number]

    async def _load(self, conn: Connection, numbers: list[int]) -> None:
        if missing := [number for number in numbers if number not in self._known]:
            for row in await queries.rules_of(conn, numbers=missing):
                self._known[row["number"]] = Ruling(row["number"], compile_programme(row["rules"]))


async def publish(conn: Connection, text: str, *, actor: str, cause: str) -> tuple[Compiled, bool, list[Draft]]:
    """Put a version in force: (compiled, whether anything changed, events). The same text again changes nothing.

    Raises Invalid for rules that do not check. Households known already are decided by the worker.
    """
    try:
        compiled = compile_programme(text)
    except ProgrammeInvalid as error:
        raise programme_invalid(str(error)) from None
    document = compiled.document
    await queries.lock_publishing(conn)
    known = await queries.programme_version(conn, programme_id=document.id, version=compiled.version)
    if known is not None and known["in_force"]:
        return compiled, False, []
    await queries.retire_programme(conn, programme_id=document.id)
    if known is not None:
        await queries.revive_programme(conn, number=known["number"], actor=actor, cause=cause)
    else:
        await queries.insert_programme(
            conn, programme_id=document.id, version=compiled.version, rules=text, name=document.name.model_dump(),
            currency=document.currency, actor=actor, cause=cause,
        )  # fmt: skip
    fact = ProgrammePublished(
        programme_id=document.id, version=compiled.version, name=document.name.model_dump(), kind=document.kind,
        function=document.function, rules=text,
    )  # fmt: skip
    return compiled, True, [Draft(fact, document.id, actor, cause)]
