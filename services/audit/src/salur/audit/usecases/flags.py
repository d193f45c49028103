"""Red flags: run the rules over what search has learnt since, and handle what they found as cases."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from salur.audit import store
from salur.audit.flags.rules import Rule
from salur.audit.search.facts import Fact, facts_at
from salur.audit.usecases.findings import Facts, Finding, find, flag_id
from salur.common.auth import Caller
from salur.common.contracts.trail import FlagChanged, FlagRaised
from salur.common.database import Connection
from salur.common.errors import Conflict, NotFound
from salur.common.events import Draft

ACTOR = "service:audit"
ENTRIES_PER_STEP = 4_000
Outcome = Literal["confirmed", "explained", "mistaken"]


async def check_rules(conn: Connection, rules: Sequence[Rule]) -> tuple[bool, list[Draft]]:
    """Read on with the rules that are furthest behind, each entry once for all of them.

    Returns (whether there may be more, an event per new flag). One flag per rule and finding, for ever.
    """
    windows = await store.queries.rule_windows(conn, rules=[rule.rule for rule in rules])
    first = min(row["checked"] for row in windows)
    behind = {row["rule"] for row in windows if row["checked"] == first}
    finish = min(windows[0]["indexed"], first + ENTRIES_PER_STEP)
    if finish <= first:
        return False, []
    reading = [rule for rule in rules if rule.rule in behind]
    new = await _new_facts(conn, {type_ for rule in reading for type_ in rule.types}, first, finish)
    drafts: list[Draft] = []
    for rule in reading:
        drafts += await _raise(conn, rule, await find(conn, rule, new, finish))
    await store.queries.rules_checked(conn, rules=sorted(behind), finish=finish)
    return True, drafts


async def _new_facts(conn: Connection, types: Iterable[str], first: int, finish: int) -> Facts:
    """The entries of a run of the log, by type."""
    new: dict[str, list[Fact]] = {}
    for type_ in sorted(types):
        hits = await store.queries.hits(
            conn, terms=[f"type={type_}"], first=first, finish=finish, most=ENTRIES_PER_STEP
        )
        new[type_] = await facts_at(conn, [row["leaf_index"] for row in hits])
    return new


async def _raise(conn: Connection, rule: Rule, findings: Sequence[Finding]) -> list[Draft]:
    if not findings:
        return []
    rows = await store.queries.raise_flags(
        conn, rule=rule.rule, severity=rule.severity, ids=[flag_id(rule, finding) for finding in findings],
        subjects=[finding.subject for finding in findings],
        evidence=["{" + ",".join(map(str, finding.evidence)) + "}" for finding in findings],
    )  # fmt: skip
    return [
        Draft(
            FlagRaised(
                flag_id=row["flag_id"], rule=rule.rule, severity=rule.severity, subject=row["subject"],
                evidence=row["evidence"],
            ),
            row["flag_id"], ACTOR, ACTOR,
        )
        for row in rows
    ]  # fmt: skip


async def take_flag(conn: Connection, caller: Caller, flag_id: str) -> tuple[dict[str, Any], list[Draft]]:
    """Become the owner of an open flag; the same owner's repeat changes nothing. Raises NotFound, Conflict."""
    row = await _flag(conn, flag_id)
    if row["state"] == "taken" and row["owner"] == caller.actor:
        return row, []
    if row["state"] != "open":
        raise Conflict("the flag has an owner already: speak with them", code="flag-taken", who="caller")
    return await _move(conn, caller, row, {"state": "taken", "owner": caller.actor, "outcome": None}, None)


async def close_flag(
    conn: Connection, caller: Caller, flag_id: str, outcome: Outcome, reason: str
) -> tuple[dict[str, Any], list[Draft]]:
    """Close one's own flag with an outcome; the same again changes nothing. Raises NotFound, Conflict."""
    row = await _flag(conn, flag_id)
    if row["state"] == "closed" and (row["owner"], row["outcome"]) == (caller.actor, outcome):
        return row, []
    if row["state"] != "taken" or row["owner"] != caller.actor:
        raise Conflict("only who has taken the flag closes it, once", code="flag-not-yours", who="caller")
    return await _move(conn, caller, row, {"state": "closed", "owner": caller.actor, "outcome": outcome}, reason)


async def _flag(conn: Connection, flag_id: str) -> dict[str, Any]:
    row = await store.queries.flag_for_update(conn, flag_id=flag_id)
    if row is None:
        raise NotFound("no flag of that id", code="flag-unknown", who="caller")
    return dict(row)


async def _move(
    conn: Connection, caller: Caller, row: dict[str, Any], change: dict[str, Any], reason: str | None
) -> tuple[dict[str, Any], list[Draft]]:
    await store.queries.move_flag(conn, flag_id=row["flag_id"], **change)
    fact = FlagChanged(flag_id=row["flag_id"], rule=row["rule"], reason=reason, **change)
    return row | change, [Draft(fact, row["flag_id"], caller.actor, caller.request_id)]
