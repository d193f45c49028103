"""What a registered principal may do now: the registry's word, kept by every service, never older than a second.

Each service consumes `registry.principals` into its own database. A request looks its caller up there; what was read
is used for FRESH_S. So a right that was taken away acts everywhere within the time an event travels plus FRESH_S,
whatever the token still says. When the database does not answer nobody is let in.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

import orjson

from salur.common.auth import PERMISSIONS, Caller
from salur.common.contracts.principals import Grant, PrincipalChanged
from salur.common.database import Connection, Database, load_queries
from salur.common.errors import Forbidden
from salur.common.events import Consumer, Draft, Received
from salur.common.values.region import region_within

queries = load_queries(Path(__file__).parent / "sql")

TOPIC = "registry.principals"
FRESH_S = 1.0
KNOWN_MAX = 10_000
ADMINISTRATOR = "administrator"
CITIZEN = "citizen"
"""Who does not work here: the token of the identity provider is enough."""
ENOUGH_ADMINISTRATORS = 2
"""A grant needs two of them; below it, tokens may name administrators, so that nobody is locked out for ever."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the registry says of one principal."""

    suspended: bool
    grants: tuple[Grant, ...]
    device_bound: bool
    devices: frozenset[str]


async def take_principals(conn: Connection, batch: Sequence[Received]) -> Sequence[Draft]:
    """Keep the newest word on each principal."""
    newest: dict[str, PrincipalChanged] = {}
    for event in batch:
        fact = cast(PrincipalChanged, event.data)
        newest[fact.principal_id] = fact
    facts = sorted(newest.values(), key=lambda fact: fact.principal_id)
    await queries.save_principals(
        conn,
        ids=[fact.principal_id for fact in facts],
        versions=[fact.version for fact in facts],
        statuses=[fact.status for fact in facts],
        grants=[orjson.dumps([grant.model_dump(mode="json") for grant in fact.grants]).decode() for fact in facts],
        bound=[fact.device_bound for fact in facts],
        devices=[orjson.dumps(fact.devices).decode() for fact in facts],
        administers=[
            fact.status == "active" and any(grant.role == ADMINISTRATOR for grant in fact.grants) for fact in facts
        ],
    )
    return []


def principals_consumer(service: str) -> Consumer:
    """What every service consumes beside its own topics."""
    return Consumer(f"{service}.principals", [TOPIC], take_principals)


class Rights:
    """The rights of registered principals, for the door of a service."""

    def __init__(self, db: Database, unregistered: Literal["trusted", "refused"]) -> None:
        self._db = db
        self._unregistered = unregistered
        self._known: dict[str, tuple[float, Standing | None]] = {}
        self._owners: dict[str, tuple[float, str | None]] = {}

    async def bound(self, caller: Caller, permission: str) -> Caller:
        """The caller with the rights that hold now for `permission`. Raises Forbidden."""
        if caller.device and await self._owner(caller.device) not in (None, caller.actor):
            raise Forbidden(
                "this device is somebody else's: sign in on your own, so that two people who must act are two",
                code="device-of-another",
                who="caller",
            )
        standing = await self._standing(caller.actor)
        if standing is None:
            return await self._without_standing(caller)
        return held(standing, caller, permission, datetime.now(UTC))

    async def _standing(self, actor: str) -> Standing | None:
        now = time.monotonic()
        known = self._known.get(actor)
        if known is None or known[0] < now:
            async with self._db.connection() as conn:
                row = await queries.known_principal(conn, id=actor)
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            known = self._known[actor] = (now + FRESH_S, None if row is None else _standing_of(row))
        return known[1]

    async def _owner(self, device: str) -> str | None:
        """Whose device it is; None = it is registered to nobody."""
        now = time.monotonic()
        known = self._owners.get(device)
        if known is None or known[0] < now:
            async with self._db.connection() as conn:
                owner = await queries.device_owner(conn, device=device)
            if len(self._owners) >= KNOWN_MAX:
                self._owners.clear()
            known = self._owners[device] = (now + FRESH_S, owner)
        return known[1]

    async def _without_standing(self, caller: Caller) -> Caller:
        if self._unregistered == "trusted":
            return caller
        if CITIZEN in caller.roles:
            return replace(caller, roles=frozenset({CITIZEN}))
        if ADMINISTRATOR in caller.roles:
            async with self._db.connection() as conn:
                if await queries.administrators(conn, role=ADMINISTRATOR) < ENOUGH_ADMINISTRATORS:
                    return replace(caller, roles=frozenset({ADMINISTRATOR}))
        raise Forbidden(
            "the registry knows no rights of yours: ask an administrator to register you",
            code="not-registered",
            who="administrator",
        )


def _standing_of(row: Mapping[str, Any]) -> Standing:
    grants = tuple(Grant.model_validate(grant) for grant in row["grants"])
    return Standing(row["status"] != "active", grants, row["device_bound"], frozenset(row["devices"]))


def held(standing: Standing, caller: Caller, permission: str, now: datetime) -> Caller:
    """The caller with the roles of the grants that hold now, and the regions of those that give `permission`.

    Raises Forbidden when suspended or on a device that is not theirs.
    """
    if standing.suspended:
        raise Forbidden("your rights are suspended: ask an administrator", code="suspended", who="administrator")
    if standing.device_bound and caller.device not in standing.devices:
        raise Forbidden(
            "you may act from your registered devices only: sign in on one of them, or have this one registered",
            code="other-device",
            who="caller",
        )
    valid = [grant for grant in standing.grants if grant.expires_at is None or grant.expires_at > now]
    giving = [grant for grant in valid if permission in PERMISSIONS.get(grant.role, frozenset())]
    everywhere = any(not grant.regions for grant in giving)
    regions = () if everywhere else tuple(sorted({region for grant in giving for region in grant.regions}))
    borrowed = {grant.delegated_by for grant in giving if grant.delegated_by is not None}
    own = [grant for grant in giving if grant.delegated_by is None]
    return replace(
        caller,
        roles=frozenset(grant.role for grant in valid),
        regions=regions,
        delegators=frozenset() if _reach(own, regions) else frozenset(borrowed),
    )


def _reach(own: Sequence[Grant], regions: Sequence[str]) -> bool:
    """Whether one's own grants alone reach these regions (empty = everywhere): what is lent beyond them is used as the
    lender's."""
    if any(not grant.regions for grant in own):
        return True
    scopes = [scope for grant in own for scope in grant.regions]
    return bool(regions) and all(any(region_within(region, scope) for scope in scopes) for region in regions)
