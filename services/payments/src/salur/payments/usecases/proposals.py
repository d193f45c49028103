"""Acts that need two people: one proposes with a reason, another accepts (then it is done at once) or refuses."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from salur.common.contracts.payments import ProposalDecided, ProposalMade
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.values import new_id
from salur.common.values.region import in_scope
from salur.payments import errors
from salur.payments.store import queries


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts. `regions` empty = central."""

    actor: str
    cause: str
    regions: tuple[str, ...] = ()
    delegators: frozenset[str] = frozenset()
    """Whose right it is, when not their own."""

    def sees(self, region: str) -> bool:
        return in_scope(region, self.regions)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to be done. `content` holds the act's figures, never a personal value."""

    kind: str
    subject: str
    reason: str
    content: dict[str, Any] = field(default_factory=dict)


Execute: TypeAlias = Callable[[Connection, str, Proposal, Person], Awaitable[tuple[dict[str, Any], list[Draft]]]]
"""Does an accepted act: (connection, proposal id, proposal, who accepted). Raises the act's own refusals."""


async def propose(conn: Connection, proposal: Proposal, person: Person) -> tuple[dict[str, Any], list[Draft]]:
    """Put an act before a second person. Raises Conflict when the same act on the same subject waits already."""
    proposal_id = new_id()
    added = await queries.insert_proposal(
        conn, proposal_id=proposal_id, kind=proposal.kind, subject=proposal.subject, content=proposal.content,
        reason=proposal.reason, proposed_by=person.actor,
    )  # fmt: skip
    if added is None:
        raise errors.proposal_waits(proposal.kind, proposal.subject)
    fact = ProposalMade(
        proposal_id=proposal_id, kind=proposal.kind, subject=proposal.subject, content=proposal.content,
        reason=proposal.reason, proposed_by=person.actor,
    )  # fmt: skip
    return {"proposal_id": proposal_id, "state": "open"}, [Draft(fact, proposal_id, person.actor, person.cause)]


async def decide(
    conn: Connection, proposal_id: str, person: Person, executes: Mapping[str, Execute], *, accept: bool
) -> tuple[dict[str, Any], list[Draft]]:
    """Accept (and do) or refuse. The same person's repeat is answered alike. Raises Forbidden for the proposer."""
    row = await queries.proposal_for_update(conn, proposal_id=proposal_id)
    if row is None:
        raise errors.proposal_unknown(proposal_id)
    if row["proposed_by"] in {person.actor, *person.delegators}:
        raise errors.same_proposer()
    state = "done" if accept else "refused"
    if row["state"] != "open":
        if (row["state"], row["decided_by"]) != (state, person.actor):
            raise errors.already_checked(proposal_id, row["state"])
        return {"proposal_id": proposal_id, "state": state}, []
    proposal = Proposal(row["kind"], row["subject"], row["reason"], row["content"])
    answer: dict[str, Any] = {}
    drafts: list[Draft] = []
    if accept:
        answer, drafts = await executes[proposal.kind](conn, proposal_id, proposal, person)
    await queries.decide_proposal(conn, proposal_id=proposal_id, state=state, decided_by=person.actor)
    fact = ProposalDecided(
        proposal_id=proposal_id, kind=proposal.kind, subject=proposal.subject, accepted=accept,
        decided_by=person.actor,
    )  # fmt: skip
    drafts.append(Draft(fact, proposal_id, person.actor, person.cause))
    return {**answer, "proposal_id": proposal_id, "state": state}, drafts
