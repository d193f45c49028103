"""Red flags: run the rules over what search has learnt since, and handle what they found as cases."""

from collections.abc import Sequence
from typing import Any, Literal

from salur.audit import store
from salur.audit.flags.rules import Alike, Many, Rule, Within
from salur.common.auth import Caller
from salur.common.contracts.trail import FlagChanged, FlagRaised
from salur.common.database import Connection
from salur.common.errors import Conflict, NotFound
from salur.common.events import Draft
from salur.common.values import derived_id

ACTOR = "service:audit"
ENTRIES_PER_STEP = 20_000
Outcome = Literal["confirmed", "explained", "mistaken"]


async def check_rule(conn: Connection, rule: Rule) -> tuple[int, list[Draft]]:
    """Read on with one rule. Returns (entries read, an event per new flag). One flag per rule and finding, for ever."""
    window = await store.queries.rule_window(conn, rule=rule.rule, most=ENTRIES_PER_STEP)
    first, finish = window["first"], window["finish"]
    if finish <= first:
        return 0, []
    findings = await _find(conn, rule, first, finish)
    # What many share is one finding however it grows; of a pair each later entry is a finding of its own.
    last = [0 if isinstance(rule, Many) else row["evidence"][-1] for row in findings]
    rows = await store.queries.raise_flags(
        conn, rule=rule.rule, severity=rule.severity,
        ids=[
            derived_id("flag", rule.rule, row["subject"], str(leaf)) for row, leaf in zip(findings, last, strict=True)
        ],
        subjects=[row["subject"] for row in findings],
        evidence=["{" + ",".join(map(str, row["evidence"])) + "}" for row in findings],
    )  # fmt: skip
    await store.queries.rule_checked(conn, rule=rule.rule, finish=finish)
    return finish - first, [
        Draft(
            FlagRaised(
                flag_id=row["flag_id"], rule=rule.rule, severity=rule.severity, subject=row["subject"],
                evidence=row["evidence"],
            ),
            row["flag_id"], ACTOR, ACTOR,
        )
        for row in rows
    ]  # fmt: skip


async def _find(conn: Connection, rule: Rule, first: int, finish: int) -> Sequence[Any]:
    window = {"first": first, "finish": finish}
    match rule:
        case Many():
            return await store.queries.find_many(  # type: ignore[no-any-return]
                conn, type=f"type={rule.type}", same=rule.same, of=rule.of, more_than=rule.more_than, **window
            )
        case Within():
            return await store.queries.find_within(  # type: ignore[no-any-return]
                conn, before=f"type={rule.before}", before_version=rule.before_version, after=f"type={rule.after}",
                same=rule.same, less_than_s=rule.less_than_s, **window,
            )  # fmt: skip
        case Alike():
            return await store.queries.find_alike(  # type: ignore[no-any-return]
                conn, type=f"type={rule.type}", left=rule.left, right=rule.right, **window
            )


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
