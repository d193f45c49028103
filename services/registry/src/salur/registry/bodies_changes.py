"""What callers propose: changes to identity, composition or payee of households."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from salur.common.contracts.base import Id
from salur.common.values import RegionCode
from salur.registry.bodies import Body, ChangedMemberBody, ContactBody, IdentifierBody, PayeeBody, Text
from salur.registry.domain.household import MAX_IDENTIFIERS, MAX_MEMBERS
from salur.registry.usecases.change import Change
from salur.registry.usecases.families import By, Merge, Move, Split
from salur.registry.usecases.payees import NewPayee
from salur.registry.usecases.proposals import Command, UndoMerge

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


Proposal = Annotated[
    MembersProposal
    | ContactProposal
    | PayeeProposal
    | MoveProposal
    | SplitProposal
    | MergeProposal
    | UndoMergeProposal,
    Field(discriminator="kind"),
]
PROPOSALS: TypeAdapter[Proposal] = TypeAdapter(Proposal)


class DecisionBody(Body):
    """Why a proposal is accepted, refused or withdrawn."""

    note: Text | None = None
