"""What callers propose: changes to identity, composition or payee of households."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from salur.common.contracts.base import Id
from salur.common.errors import Invalid
from salur.common.values import RegionCode
from salur.registry.bodies import (
    Body,
    ChangedMemberBody,
    ContactBody,
    Day,
    IdentifierBody,
    PayeeBody,
    Text,
    day,
)
from salur.registry.domain.household import MAX_IDENTIFIERS, MAX_MEMBERS
from salur.registry.usecases.change import Change
from salur.registry.usecases.deaths import UndoDeath
from salur.registry.usecases.families import Merge, Move, Split
from salur.registry.usecases.guardians import SetGuardian
from salur.registry.usecases.payees import NewPayee
from salur.registry.usecases.proposals import Command, UndoMerge
from salur.registry.usecases.states import By

MemberIds = Annotated[list[Id], Field(min_length=1, max_length=MAX_MEMBERS)]


class _Proposal(Body):
    household_id: Id
    reason: Text


class MembersProposal(_Proposal):
    """Who belongs to the family: `members` replace all. `version` = the one the proposer has read."""

    kind: Literal["members"]
    members: list[ChangedMemberBody] = Field(max_length=MAX_MEMBERS)
    version: int | None = Field(default=None, ge=1)

    def command(self, by: By) -> Command:
        members = tuple(member.to_domain() for member in self.members)
        return Change(self.household_id, by.actor, by.cause, members=members, version=self.version, regions=by.regions)


class ContactProposal(_Proposal):
    """Where the family is reached from now on."""

    kind: Literal["contact"]
    contact: ContactBody

    def command(self, by: By) -> Command:
        return Change(self.household_id, by.actor, by.cause, contact=self.contact.to_domain(), regions=by.regions)


class PayeeProposal(_Proposal):
    """The account the family is paid to from now on."""

    kind: Literal["payee"]
    payee: PayeeBody

    def command(self, by: By) -> Command:
        return NewPayee(self.household_id, self.payee.to_domain(), by.actor, by.cause, by.regions)


class MoveProposal(_Proposal):
    """Members go to another family."""

    kind: Literal["move"]
    member_ids: MemberIds
    target_id: Id

    def command(self, _by: By) -> Command:
        return Move(self.household_id, self.target_id, tuple(self.member_ids))


class SplitProposal(_Proposal):
    """Members become a family of their own, with its own card. Without a region it stays where it is."""

    kind: Literal["split"]
    member_ids: MemberIds
    head_id: Id
    identifiers: list[IdentifierBody] = Field(min_length=1, max_length=MAX_IDENTIFIERS)
    region: RegionCode | None = None
    version: int | None = Field(default=None, ge=1)

    def command(self, _by: By) -> Command:
        identifiers = tuple(identifier.to_domain() for identifier in self.identifiers)
        return Split(
            self.household_id, tuple(self.member_ids), identifiers, self.head_id, self.region, self.version
        )  # fmt: skip


class MergeProposal(_Proposal):
    """The family is the family `into`. `same`: its member to the member there who is the same person.

    Not `whole`: only those are one person each, the families stay two.
    """

    kind: Literal["merge"]
    into: Id
    same: dict[Id, Id] = Field(default_factory=dict, max_length=MAX_MEMBERS)
    whole: bool = True

    def command(self, _by: By) -> Command:
        return Merge(self.household_id, self.into, self.reason, self.same, self.whole)


class UndoMergeProposal(_Proposal):
    """A merge was wrong; `household_id` is the family that was absorbed."""

    kind: Literal["undo-merge"]
    merge_id: Id

    def command(self, _by: By) -> Command:
        return UndoMerge(self.household_id, self.merge_id, self.reason)


class GuardianProposal(_Proposal):
    """Who acts for a member: a person the registry knows or an accredited institution; neither = nobody any more.

    `receives`: what is due to the member goes to the guardian's account. `evidence`: the court's order, the deed.
    """

    kind: Literal["guardian"]
    member_id: Id
    person: IdentifierBody | None = None
    institution_id: Id | None = None
    receives: bool = False
    since: Day | None = None
    until: Day | None = None
    evidence: Text

    def command(self, _by: By) -> Command:
        """Raises Invalid."""
        if self.person is not None and self.institution_id is not None:
            raise Invalid("name a person or an institution, not both", code="guardian-invalid", who="registrar")
        since = None if self.since is None else day(self.since, "since")
        until = None if self.until is None else day(self.until, "until")
        if until and until < max(since or date.min, datetime.now(UTC).date()):
            raise Invalid("the guardianship would end before it begins", code="guardian-invalid", who="registrar")
        return SetGuardian(
            self.household_id, self.member_id, self.evidence, self.person.to_domain() if self.person else None,
            self.institution_id, self.receives, since, until,
        )  # fmt: skip


class UndoDeathProposal(_Proposal):
    """A member of this family whose death was recorded lives; `match_id` is the evidence that told it."""

    kind: Literal["undo-death"]
    match_id: Id

    def command(self, _by: By) -> Command:
        return UndoDeath(self.household_id, self.match_id)


Proposal = Annotated[
    MembersProposal
    | ContactProposal
    | PayeeProposal
    | MoveProposal
    | SplitProposal
    | MergeProposal
    | UndoMergeProposal
    | GuardianProposal
    | UndoDeathProposal,
    Field(discriminator="kind"),
]
PROPOSALS: TypeAdapter[Proposal] = TypeAdapter(Proposal)


class DecisionBody(Body):
    """Why a proposal is accepted, refused or withdrawn."""

    note: Text | None = None
