"""What lists from outside say of people the registry knows, and of people who have died."""

from typing import Literal

from salur.common.contracts.base import Code, Fact, Id, Personal, contract

FeedKind = Literal["deaths", "civil-registry", "exclusion", "wages", "tax"]
MatchOutcome = Literal["confirmed", "dismissed"]


@contract("salur.feed-match.found.v1", "registry.cases")
class FeedMatchFound(Fact):
    """A list from outside speaks of a member: evidence a person must decide on. Key: match_id."""

    match_id: Id
    feed_id: Id
    kind: FeedKind
    household_id: Id


@contract("salur.feed-match.decided.v1", "registry.cases")
class FeedMatchDecided(Fact):
    """Somebody else than who sent the list decided on the evidence. Key: match_id."""

    match_id: Id
    feed_id: Id
    kind: FeedKind
    household_id: Id
    outcome: MatchOutcome
    reason: Code


@contract("salur.person.deceased.v1", "registry.households")
class PersonDeceased(Fact):
    """A member has died; the family's snapshot without them follows as a change. Key: household_id."""

    household_id: Id
    member_id: Id
    match_id: Id
    died_on: Personal[str]


@contract("salur.person.restored.v1", "registry.households")
class PersonRestored(Fact):
    """A death was wrongly recorded: the member lives; the family's snapshot with them follows as a change.

    Key: household_id.
    """

    household_id: Id
    member_id: Id
    match_id: Id
