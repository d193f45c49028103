"""Publish a programme; keep the compiled rules in force at hand."""

from typing import Any

from salur.common.contracts.eligibility import ProgrammePublished
from salur.common.errors import Invalid
from salur.common.events import Draft
from salur.eligibility.domain.programme import Compiled, ProgrammeInvalid, compile_programme
from salur.eligibility.store import queries


class Rules:
    """Compiled programmes by version: compiled once, however often they decide."""

    def __init__(self) -> None:
        self._known: dict[str, Compiled] = {}

    async def in_force(self, conn: Any) -> list[Compiled]:
        """The programmes in force, read in this transaction."""
        rows = await queries.programmes(conn)
        for row in rows:
            if row["version"] not in self._known:
                self._known[row["version"]] = compile_programme(row["rules"])
        return [self._known[row["version"]] for row in rows]


async def publish(conn: Any, text: str, *, actor: str, cause: str) -> tuple[Compiled, list[Draft]]:
    """Put a version in force. The same text again changes nothing. Raises Invalid for rules that do not check."""
    try:
        compiled = compile_programme(text)
    except ProgrammeInvalid as error:
        raise Invalid(str(error), code="programme-invalid", who="author of the programme") from None
    document = compiled.document
    row = await queries.programme(conn, programme_id=document.id)
    if row is not None and row["version"] == compiled.version:
        return compiled, []
    place = {"programme_id": document.id, "version": compiled.version, "rules": text, "actor": actor}
    await queries.save_programme(conn, **place, name=document.name)
    await queries.keep_version(conn, **place)
    fact = ProgrammePublished(
        programme_id=document.id, version=compiled.version, name=document.name, kind=document.kind,
        function=document.function, rules=text,
    )  # fmt: skip
    return compiled, [Draft(fact, document.id, actor, cause)]
