"""Propose and approve a programme, two different people; keep the compiled rules in force at hand."""

from dataclasses import dataclass

from salur.common.contracts.eligibility import ProgrammeProposed, ProgrammePublished
from salur.common.database import Connection
from salur.common.events import Draft
from salur.eligibility import errors
from salur.eligibility.domain.compiling import Compiled, ProgrammeInvalid, compile_programme, model_named
from salur.eligibility.domain.scoring import CompiledModel, compile_model
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
                compiled = compile_programme(row["rules"], await model_of(conn, row["rules"]))
                self._known[row["number"]] = Ruling(row["number"], compiled)


async def model_text(conn: Connection, text: str) -> str | None:
    """The published scoring model a programme's text names; None when it names none or nobody published it.

    Raises ProgrammeInvalid.
    """
    named = model_named(text)
    if named is None:
        return None
    rules: str | None = await queries.published_model(conn, model_id=named.id, version=named.version)
    return rules


async def model_of(conn: Connection, text: str) -> CompiledModel | None:
    """The same, compiled."""
    rules = await model_text(conn, text)
    return None if rules is None else compile_model(rules)


async def compiled_or_refused(conn: Connection, text: str) -> Compiled:
    """The programme ready to decide. Raises Invalid for rules that do not check."""
    try:
        return compile_programme(text, await model_of(conn, text))
    except ProgrammeInvalid as error:
        raise errors.programme_invalid(str(error)) from None


async def propose(conn: Connection, text: str, *, actor: str, cause: str) -> tuple[Compiled, str, list[Draft]]:
    """Check a version and keep it until another person approves: (compiled, `proposed` or `in-force`, events).

    The same text again changes nothing. Raises Invalid for rules that do not check.
    """
    compiled = await compiled_or_refused(conn, text)
    document = compiled.document
    known = await queries.programme_version(conn, programme_id=document.id, version=compiled.version)
    if known is not None and known["in_force"]:
        return compiled, "in-force", []
    inserted = await queries.insert_proposal(
        conn, programme_id=document.id, version=compiled.version, rules=text, name=document.name.model_dump(),
        actor=actor,
    )  # fmt: skip
    if inserted is None:
        return compiled, "proposed", []
    fact = ProgrammeProposed(programme_id=document.id, version=compiled.version, name=document.name.model_dump())
    return compiled, "proposed", [Draft(fact, document.id, actor, cause)]


async def approve(
    conn: Connection, programme_id: str, version: str, *, people: frozenset[str], actor: str, cause: str
) -> list[Draft]:
    """Put a proposed version in force. Raises NotFound; Forbidden to who proposed it.

    `people`: the actor and those whose right they use.

    Households known already are decided by the worker.
    """
    await queries.lock_publishing(conn)
    known = await queries.programme_version(conn, programme_id=programme_id, version=version)
    if known is not None and known["in_force"]:
        return []
    proposal = await queries.take_proposal(conn, programme_id=programme_id, version=version)
    if proposal is None:
        raise errors.proposal_unknown()
    if proposal["proposed_by"] in people:
        raise errors.same_person("proposed this programme")
    document = (await compiled_or_refused(conn, proposal["rules"])).document
    await queries.retire_programme(conn, programme_id=programme_id)
    signed = {"proposed_by": proposal["proposed_by"], "actor": actor, "cause": cause}
    if known is not None:
        await queries.revive_programme(conn, number=known["number"], **signed)
    else:
        await queries.insert_programme(
            conn, programme_id=programme_id, version=version, rules=proposal["rules"],
            name=document.name.model_dump(), currency=document.currency, subject=document.subject,
            on_call=document.approach == "emergency",
            **signed,
        )  # fmt: skip
    fact = ProgrammePublished(
        programme_id=programme_id, version=version, name=document.name.model_dump(), kind=document.kind,
        function=document.function, rules=proposal["rules"], approach=document.approach,
        proposed_by=proposal["proposed_by"],
    )  # fmt: skip
    return [Draft(fact, programme_id, actor, cause)]
