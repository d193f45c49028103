"""Register households: set-based, idempotent by identifier and content."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from salur.common.database import Connection
from salur.common.errors import Conflict, Invalid, Unavailable
from salur.common.events import AnyDraft
from salur.common.secrets import Secrets
from salur.registry.domain.household import Household, HouseholdInvalid
from salur.registry.store import (
    IdentifierTaken,
    Key,
    identifier_owners,
    insert_households,
    insert_identifiers,
    known_households,
    save_payees,
)
from salur.registry.usecases.prepare import Prepared, prepare

LOOKS = 3
"""How often a batch looks again after another transaction was first with an identifier."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A command: who states it, because of what."""

    household: Household
    actor: str
    cause: str


@dataclass(frozen=True, slots=True)
class Registered:
    """The answer: `created` False when the same statement was known already."""

    household_id: str
    version: int
    created: bool


Result = Registered | Exception


async def register(
    conn: Connection, commands: Sequence[Registration], secrets: Secrets, banks: Collection[str] = ()
) -> tuple[list[Result], list[AnyDraft]]:
    """Register a batch. One result per command: Registered, Invalid or Conflict; a refusal stops no other command."""
    prepared = [_prepare(command, secrets, banks) for command in commands]
    sound = [item for item in prepared if isinstance(item, Prepared)]
    for _ in range(LOOKS):
        try:
            async with conn.transaction():
                outcome, drafts = await _register(conn, sound)
                break
        except IdentifierTaken:
            continue
    else:
        raise Unavailable("others register the same identifiers now: try again", code="busy", who="caller")
    answers = iter(outcome)
    return [next(answers) if isinstance(item, Prepared) else item for item in prepared], drafts


def _prepare(command: Registration, secrets: Secrets, banks: Collection[str]) -> Prepared | Invalid:
    try:
        return prepare(command.household, secrets, actor=command.actor, cause=command.cause, banks=banks)
    except HouseholdInvalid as error:
        return Invalid(
            f"the household cannot be registered: {error}", code="household-invalid", who="registrar"
        )  # fmt: skip


async def _register(conn: Connection, items: Sequence[Prepared]) -> tuple[list[Result], list[AnyDraft]]:
    first: dict[str, Prepared] = {}
    for item in items:
        first.setdefault(item.household_id, item)
    known = await known_households(conn, list(first))
    owners = await identifier_owners(
        conn, [key for item in first.values() if item.household_id not in known for key in item.places()]
    )
    candidates = [
        item for item in first.values() if item.household_id not in known and claim(item.places(), item, owners)
    ]
    created = await insert_new(conn, candidates)
    # What another transaction registered between our look and our insert.
    late = [item.household_id for item in candidates if item.household_id not in created]
    known |= await known_households(conn, late) if late else {}
    tokens = {household_id: row["content_token"] for household_id, row in known.items()}
    tokens |= {item.household_id: item.content_token for item in candidates if item.household_id in created}
    results = [_result(item, first[item.household_id] is item, created, tokens) for item in items]
    return results, [draft for item in candidates if item.household_id in created for draft in item.drafts]


def claim(keys: Collection[Key], item: Prepared, owners: dict[Key, str]) -> bool:
    """Whether these identifiers belong to nobody else; if so they are this household's from now on in `owners`."""
    if any(owners.get(key, item.household_id) != item.household_id for key in keys):
        return False
    owners.update(dict.fromkeys(keys, item.household_id))
    return True


async def insert_new(conn: Connection, items: Sequence[Prepared]) -> set[str]:
    """Write registrations; returns the ids written. Raises IdentifierTaken."""
    created = await insert_households(conn, [item.household for item in items])
    new = [item for item in items if item.household_id in created]
    await insert_identifiers(conn, [row for item in new for row in item.identifiers])
    await save_payees(conn, [item.payee for item in new if item.payee is not None])
    return created


def _result(item: Prepared, is_first: bool, created: set[str], tokens: dict[str, str]) -> Result:
    token = tokens.get(item.household_id)
    if token == item.content_token:
        return Registered(item.household_id, 1, is_first and item.household_id in created)
    if token is None:
        return Conflict(
            "an identifier of this household or its members belongs to another household: check the identifiers",
            code="identifier-taken",
            who="registrar",
        )
    if token == "":
        return Conflict(
            "the family of this card was erased: register it under another card or number",
            code="household-erased",
            who="registrar",
        )
    return Conflict(
        "this household is registered already with other content: change that household instead",
        code="household-exists",
        who="registrar",
    )
