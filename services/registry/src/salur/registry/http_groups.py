"""The registry's HTTP API: groups, communities and institutions."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints

from salur.common.contracts.base import Id
from salur.common.errors import Invalid
from salur.common.http import Caller, permit
from salur.common.service import Runtime
from salur.common.values import RegionCode, in_scope
from salur.registry.bodies import AsOf, Attributes, Body, Day, IdentifierBody, PayeeBody, Text, day, moment
from salur.registry.bodies_changes import DecisionBody
from salur.registry.scope import scope_of
from salur.registry.store import queries
from salur.registry.usecases.groups import Accreditation, Group, Kind, decide_group, propose_group, unknown_group
from salur.registry.usecases.states import by_caller

MAX_GROUP_MEMBERS = 500
PAGE_MAX = 500


class AccreditationBody(Body):
    """Who vouches for an institution, and until which day."""

    authority: Text
    number: Text
    until: Day


class GroupMemberBody(Body):
    """Somebody the registry knows, by an identifier, with a role: `chair`, `member`, `resident`, …"""

    identifier: IdentifierBody
    role: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{0,39}$")] = "member"


class GroupBody(Body):
    """The whole of a group as it shall be."""

    kind: Kind
    name: Text
    region: RegionCode
    attributes: Attributes = Field(default_factory=dict)
    members: list[GroupMemberBody] = Field(default_factory=list, max_length=MAX_GROUP_MEMBERS)
    accreditation: AccreditationBody | None = None
    payee: PayeeBody | None = None

    def to_domain(self) -> Group:
        """Raises Invalid."""
        vouched = self.accreditation
        if vouched and day(vouched.until, "accreditation.until") < datetime.now(UTC).date():
            raise Invalid("the accreditation has ended: have it renewed", code="accreditation-ended", who="institution")
        return Group(
            self.kind, self.name, self.region, self.attributes,
            [(member.identifier.to_domain(), member.role) for member in self.members],
            Accreditation(vouched.authority, vouched.number, vouched.until) if vouched else None,
            self.payee.to_domain() if self.payee else None,
        )  # fmt: skip


def group_routes(runtime: Runtime) -> APIRouter:
    """Propose, decide and look at groups."""
    router = APIRouter(prefix="/groups", tags=["groups"])
    _propose(router, runtime)
    _read(router, runtime)
    return router


def _propose(router: APIRouter, runtime: Runtime) -> None:
    banks = runtime.settings.banks

    @router.post("", status_code=201)
    async def propose_new(body: GroupBody, caller: Annotated[Caller, permit("change:propose")]) -> dict[str, Any]:
        """Propose a group. It is registered when another person accepts it."""
        async with runtime.unit_of_work() as unit:
            group_id, version = await propose_group(
                unit.conn, None, body.to_domain(), by_caller(caller), runtime.secrets, banks
            )
        return {"group_id": group_id, "version": version, "state": "proposed"}

    @router.put("/{group_id}", status_code=202)
    async def propose_version(
        group_id: Id, body: GroupBody, caller: Annotated[Caller, permit("change:propose")]
    ) -> dict[str, Any]:
        """Propose how the group shall be from now on."""
        async with runtime.unit_of_work() as unit:
            _, version = await propose_group(
                unit.conn, group_id, body.to_domain(), by_caller(caller), runtime.secrets, banks
            )
        return {"group_id": group_id, "version": version, "state": "proposed"}

    async def settle(
        group_id: str, outcome: Literal["accepted", "refused"], note: str | None, caller: Caller
    ) -> dict[str, Any]:
        async with runtime.unit_of_work() as unit:
            version, drafts = await decide_group(
                unit.conn, group_id, outcome, note, by_caller(caller), runtime.secrets
            )  # fmt: skip
            unit.emit(*drafts)
        return {"group_id": group_id, "version": version, "state": outcome}

    @router.post("/{group_id}/accept")
    async def accept(
        group_id: Id, body: DecisionBody, caller: Annotated[Caller, permit("change:decide")]
    ) -> dict[str, Any]:
        """Accept what waits: another person than who proposed it."""
        return await settle(group_id, "accepted", body.note, caller)

    @router.post("/{group_id}/refuse")
    async def refuse(
        group_id: Id, body: DecisionBody, caller: Annotated[Caller, permit("change:decide")]
    ) -> dict[str, Any]:
        """Refuse what waits: another person than who proposed it."""
        return await settle(group_id, "refused", body.note, caller)


def _read(router: APIRouter, runtime: Runtime) -> None:
    @router.get("")
    async def list_groups(
        caller: Annotated[Caller, permit("household:read")],
        state: Literal["proposed", "accepted", "refused"] = "accepted",
        kind: Kind | None = None,
        accreditation_ends_before: Day | None = None,
        after: Annotated[str, Query(pattern=r"^([0-9a-f]{32})?$")] = "",
        most: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
    ) -> dict[str, list[dict[str, Any]]]:
        """Groups of the caller's regions; also those whose accreditation ends before a day."""
        ends = day(accreditation_ends_before, "accreditation_ends_before") if accreditation_ends_before else None
        async with runtime.db.connection() as conn:
            rows = await queries.groups_after(
                conn, state=state, kind=kind, ends_before=ends, after=after, most=most, **scope_of(caller)
            )
        return {"groups": [_flat(row) for row in rows]}

    @router.get("/{group_id}")
    async def read_group(
        group_id: Id, caller: Annotated[Caller, permit("household:read")], as_of: AsOf = None
    ) -> dict[str, Any]:
        """Every version of a group, the newest first, with who proposed and who decided it; `as_of`: what held then."""
        async with runtime.db.connection() as conn:
            rows = await queries.group_versions(conn, group_id=group_id, most=PAGE_MAX)
        if not rows or not in_scope(rows[0]["region"], caller.regions):
            raise unknown_group()
        if as_of is not None:
            then = moment(as_of)
            rows = [row for row in rows if row["state"] == "accepted" and row["decided_at"] <= then][:1]
        return {"group_id": group_id, "versions": [_flat(row) for row in rows]}


def _flat(row: Any) -> dict[str, Any]:
    found = dict(row)
    return {**found, **found.pop("content")}
