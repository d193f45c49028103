"""Change requests: one person proposes, another decides; what is accepted is made in the same transaction."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from salur.common.contracts.registry import ChangeDecided, ChangeProposed
from salur.common.database import Connection
from salur.common.errors import Conflict, Forbidden, NotFound
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.common.values import in_scope, new_id
from salur.registry.store import queries
from salur.registry.usecases.change import Change, Changed, Result, change
from salur.registry.usecases.deaths import UndoDeath, undo_death
from salur.registry.usecases.families import Merge, Move, Split, merge, move, split, undo_merge
from salur.registry.usecases.guardians import SetGuardian, set_guardian
from salur.registry.usecases.payees import NewPayee, change_payees
from salur.registry.usecases.states import By, lock_states, standing, unknown_household

Outcome = Literal["accepted", "refused", "withdrawn"]


@dataclass(frozen=True, slots=True)
class UndoMerge:
    """A command: a merge that absorbed this household was wrong."""

    household_id: str
    merge_id: str
    reason: str


Command = Change | NewPayee | Move | Split | Merge | UndoMerge | SetGuardian | UndoDeath


async def propose(
    conn: Connection, kind: str, household_id: str, reason: str, content: bytes, by: By, secrets: Secrets
) -> tuple[str, list[Draft]]:
    """Keep a proposal, its content sealed; returns its id. Raises NotFound, Conflict."""
    state = (await lock_states(conn, [household_id])).get(household_id)
    if kind != "undo-merge":
        standing(state, by.regions)
    elif state is None or not in_scope(state.region, by.regions):
        raise unknown_household()
    change_id = new_id()
    await queries.insert_change(
        conn, change_id=change_id, kind=kind, household_id=household_id, reason=reason,
        sealed=secrets.seal(content, change_id.encode()), proposed_by=by.actor,
    )  # fmt: skip
    fact = ChangeProposed(change_id=change_id, household_id=household_id, kind=kind)
    return change_id, [Draft(fact, change_id, by.actor, by.cause)]


async def decide(
    conn: Connection, change_id: str, outcome: Outcome, note: str | None, by: By
) -> tuple[Any, list[Draft]]:
    """Lock an open proposal and write the decision; returns its row. Raises Conflict, Forbidden."""
    row = await queries.lock_change(conn, change_id=change_id)
    if row["state"] != "open":
        raise Conflict(f"the change was {row['state']} already", code="change-decided", who="registrar")
    if outcome == "withdrawn" and row["proposed_by"] != by.actor:
        raise Forbidden("only who proposed a change may withdraw it", code="not-yours", who="proposer")
    if outcome != "withdrawn" and row["proposed_by"] in by.people:
        raise Forbidden("who proposed a change may not decide it: another person must", code="same-person",
                        who="another registrar")  # fmt: skip
    await queries.decide_change(conn, change_id=change_id, state=outcome, actor=by.actor, decision=note)
    fact = ChangeDecided(
        change_id=change_id, household_id=row["household_id"], kind=row["kind"], outcome=outcome,
        proposed_by=row["proposed_by"],
    )  # fmt: skip
    return row, [Draft(fact, change_id, by.actor, by.cause)]


def unknown_change() -> NotFound:
    """The same answer whether it does not exist or lies outside the caller's regions."""
    return NotFound("no such change in your regions: check the id", code="change-unknown", who="registrar")


async def make(
    conn: Connection, command: Command, by: By, secrets: Secrets, banks: Collection[str]
) -> tuple[dict[str, Any], list[Draft]]:
    """Make what was accepted; returns what became of it. Raises SalurError: then nothing is decided either."""
    answer: dict[str, Any]
    match command:
        case Change():
            results, drafts = await change(conn, [command], secrets)
            answer = _answer(results[0])
        case NewPayee():
            results, drafts = await change_payees(conn, [command], secrets, banks)
            answer = _answer(results[0])
        case Move():
            changed, drafts = await move(conn, command, by, secrets)
            answer = {"households": [_answer(item) for item in changed]}
        case Split():
            household_id, drafts = await split(conn, command, by, secrets)
            answer = {"household_id": household_id}
        case Merge():
            merge_id, drafts = await merge(conn, command, by, secrets)
            answer = {"merge_id": merge_id, "household_id": command.survivor_id}
        case UndoMerge():
            absorbed, merge_id = command.household_id, command.merge_id
            household_id, drafts = await undo_merge(conn, absorbed, merge_id, command.reason, by, secrets)
            answer = {"household_id": household_id}
        case SetGuardian():
            guardianship_id, drafts = await set_guardian(conn, command, by, secrets)
            answer = {"household_id": command.household_id, "guardianship_id": guardianship_id}
        case UndoDeath():
            member_id, drafts = await undo_death(conn, command, by, secrets)
            answer = {"household_id": command.household_id, "member_id": member_id}
    return answer, drafts


def _answer(result: Result) -> dict[str, Any]:
    if isinstance(result, Changed):
        return {"household_id": result.household_id, "version": result.version}
    raise result
