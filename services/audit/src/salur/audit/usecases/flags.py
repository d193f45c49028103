"""Red flags: run the rules over what search has learnt since, and handle what they found as cases."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from salur.audit import store
from salur.audit.flags.rules import Alike, Many, Rule, Within
from salur.audit.search.facts import Fact, facts_at
from salur.common.auth import Caller
from salur.common.contracts.trail import FlagChanged, FlagRaised
from salur.common.database import Connection
from salur.common.errors import Conflict, NotFound
from salur.common.events import Draft
from salur.common.values import derived_id

ACTOR = "service:audit"
ENTRIES_PER_STEP = 20_000
SHARING_MAX = 1_000
"""Entries that one value is compared over."""
EVIDENCE_MAX = 100
Outcome = Literal["confirmed", "explained", "mistaken"]


class Finding(NamedTuple):
    """What a rule found: about whom, and the entries that show it."""

    subject: str
    evidence: Sequence[int]


async def check_rule(conn: Connection, rule: Rule) -> tuple[int, list[Draft]]:
    """Read on with one rule. Returns (entries read, an event per new flag). One flag per rule and finding, for ever."""
    window = await store.queries.rule_window(conn, rule=rule.rule, most=ENTRIES_PER_STEP)
    first, finish = window["first"], window["finish"]
    if finish <= first:
        return 0, []
    hits = await store.queries.hits(
        conn, terms=[f"type={rule.type}"], first=first, finish=finish, most=ENTRIES_PER_STEP
    )
    new = await facts_at(conn, [row["leaf_index"] for row in hits])
    findings = await _find(conn, rule, new, finish) if new else []
    rows = await store.queries.raise_flags(
        conn, rule=rule.rule, severity=rule.severity, ids=[_flag_id(rule, finding) for finding in findings],
        subjects=[finding.subject for finding in findings],
        evidence=["{" + ",".join(map(str, finding.evidence)) + "}" for finding in findings],
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


def _flag_id(rule: Rule, finding: Finding) -> str:
    """What many share is one finding however it grows; of a pair each later entry is a finding of its own."""
    return derived_id("flag", rule.rule, finding.subject, str(0 if isinstance(rule, Many) else finding.evidence[-1]))


async def _find(conn: Connection, rule: Rule, new: Sequence[Fact], finish: int) -> Sequence[Finding]:
    match rule:
        case Many():
            return await _find_many(conn, rule, new, finish)
        case Within():
            return await _find_within(conn, rule, new, finish)
        case Alike():
            return [
                Finding(f"event={fact.document.get('id')}", [fact.leaf_index])
                for fact in new
                if (said := fact.said(rule.left)) is not None and said == fact.said(rule.right)
            ]


async def _find_many(conn: Connection, rule: Many, new: Sequence[Fact], finish: int) -> list[Finding]:
    """Values that too many others share; only those a new entry names and no flag is about."""
    named = sorted({term for fact in new for term in fact.values(rule.same)})
    crowded = [row["term"] for row in await store.queries.crowded(conn, terms=named, more_than=rule.more_than)]
    ids = {_flag_id(rule, Finding(term, ())): term for term in crowded}
    known = await store.queries.flags_known(conn, ids=list(ids))
    asked = sorted(set(ids.values()) - {ids[row["flag_id"]] for row in known})
    sharing = await _sharing(conn, asked, rule.type, finish)
    findings = []
    for term, facts in sharing.items():
        firsts: dict[str, int] = {}
        for fact in facts:
            for other in fact.values(rule.of):
                firsts.setdefault(other, fact.leaf_index)
        if len(firsts) > rule.more_than:
            findings.append(Finding(term, sorted(set(firsts.values()))[:EVIDENCE_MAX]))
    return findings


async def _find_within(conn: Connection, rule: Within, new: Sequence[Fact], finish: int) -> list[Finding]:
    """Pairs with one value in common, the later less than so many seconds after the earlier."""
    named = sorted({term for fact in new for term in fact.values(rule.same)})
    before = await _sharing(conn, named, rule.before, finish)
    less_than = timedelta(seconds=rule.less_than_s)
    findings = []
    for fact in new:
        for term in fact.values(rule.same):
            shortly = [
                other.leaf_index
                for other in before.get(term, ())
                if other.time and fact.time and other.time <= fact.time < other.time + less_than
                if rule.before_version <= 1 or _number(other.said("version")) >= rule.before_version
            ]
            if shortly:
                findings.append(Finding(term, [max(shortly), fact.leaf_index]))
    return findings


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


async def _sharing(conn: Connection, terms: Sequence[str], type_: str, finish: int) -> dict[str, list[Fact]]:
    """The entries of one type that have each term, in order."""
    rows = await store.queries.shared_hits(conn, terms=terms, other=f"type={type_}", finish=finish, most=SHARING_MAX)
    facts = {fact.leaf_index: fact for fact in await facts_at(conn, sorted({row["leaf_index"] for row in rows}))}
    sharing: dict[str, list[Fact]] = {}
    for row in rows:
        sharing.setdefault(row["term"], []).append(facts[row["leaf_index"]])
    return sharing


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
