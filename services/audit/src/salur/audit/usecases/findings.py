"""What a rule finds when it reads on: by key, from the new entries of its type."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from salur.audit import store
from salur.audit.flags.rules import Alike, Many, Missing, Outside, Rate, Rule, Within
from salur.audit.search.facts import Fact, facts_at, follow
from salur.audit.search.terms import dimension, with_implied
from salur.common.database import Connection
from salur.common.values import derived_id

SHARING_MAX = 1_000
"""Entries that one value is compared over."""
EVIDENCE_MAX = 100
Facts = Mapping[str, Sequence[Fact]]
"""By type."""
VILLAGE = len("region=31.71.01.1001")


class Finding(NamedTuple):
    """What a rule found: about whom, the entries that show it, and what tells it from others about the same."""

    subject: str
    evidence: Sequence[int]
    key: str = ""


def flag_id(rule: Rule, finding: Finding) -> str:
    """One flag per finding for ever. Of a pair each later entry is a finding of its own."""
    return derived_id("flag", rule.rule, finding.subject, finding.key or str(finding.evidence[-1]))


async def find(conn: Connection, rule: Rule, facts: Facts, finish: int) -> Sequence[Finding]:
    """Findings from new entries, by type; nothing behind `finish` is looked at."""
    if isinstance(rule, Within):
        await _keep_before(conn, rule, facts[rule.before])
        return await _within(conn, rule, facts[rule.after]) if facts[rule.after] else []
    if not (new := facts[rule.type]):
        return []
    match rule:
        case Many():
            return await _many(conn, rule, new, finish)
        case Rate():
            return await _rate(conn, rule, new, finish)
        case Alike() | Outside() | Missing():
            return [
                Finding(f"event={fact.document.get('id')}", [fact.leaf_index]) for fact in new if _alone(rule, fact)
            ]


def _alone(rule: Alike | Outside | Missing, fact: Fact) -> bool:
    """Whether an entry is a finding by itself."""
    match rule:
        case Alike():
            return (said := fact.said(rule.left)) is not None and said == fact.said(rule.right)
        case Missing():
            return fact.said(rule.lacks) is None and _says(fact, rule.when)
        case Outside():
            bounds, amount = rule.programmes.get(str(fact.said("programme_id"))), fact.said(rule.amount)
            return bounds is not None and not (
                isinstance(amount, int) and bounds.least_minor <= amount <= bounds.most_minor
            )


def _says(fact: Fact, wanted: Mapping[str, str]) -> bool:
    return all(fact.said(name) == value for name, value in wanted.items())


async def _many(conn: Connection, rule: Many, new: Sequence[Fact], finish: int) -> list[Finding]:
    """Values that too many others share; only those a new entry names and no flag is about."""
    named = sorted({term for fact in new for term in fact.values(rule.same)})
    crowded = [row["term"] for row in await store.queries.crowded(conn, terms=named, more_than=rule.more_than)]
    asked = await _unflagged(conn, rule, [Finding(term, (), _ONCE) for term in crowded])
    sharing = await _sharing(conn, [finding.subject for finding in asked], rule.type, finish)
    findings = []
    for term, facts in sharing.items():
        firsts: dict[str, int] = {}
        for fact in facts:
            for other in fact.values(rule.of):
                firsts.setdefault(other, fact.leaf_index)
        if len(firsts) > rule.more_than:
            findings.append(Finding(term, sorted(set(firsts.values()))[:EVIDENCE_MAX], _ONCE))
    return findings


_ONCE = "0"
"""What many share is one finding however it grows."""


async def _unflagged(conn: Connection, rule: Rule, findings: Sequence[Finding]) -> list[Finding]:
    by_id = {flag_id(rule, finding): finding for finding in findings}
    known = {row["flag_id"] for row in await store.queries.flags_known(conn, ids=list(by_id))}
    return [finding for id_, finding in sorted(by_id.items()) if id_ not in known]


async def _keep_before(conn: Connection, rule: Within, facts: Sequence[Fact]) -> None:
    """Remember the entries that others may follow too soon."""
    wanted = [fact for fact in facts if _is_before(rule, fact)]
    rows = [(term, fact.leaf_index) for fact in wanted for term in fact.values(rule.same)]
    if rows:
        await store.queries.keep_before(
            conn, rule=rule.rule, terms=[term for term, _ in rows], leaves=[leaf_index for _, leaf_index in rows]
        )


async def _within(conn: Connection, rule: Within, new: Sequence[Fact]) -> list[Finding]:
    """Pairs with one value in common, the later less than so many seconds after the earlier."""
    if not await store.queries.is_before_kept(conn, rule=rule.rule):
        return []
    named = await _named(conn, rule.same, new)
    rows = await store.queries.before_of(
        conn, rule=rule.rule, terms=sorted({term for terms in named.values() for term in terms}), most=SHARING_MAX
    )
    earlier = {fact.leaf_index: fact for fact in await facts_at(conn, sorted({row["leaf_index"] for row in rows}))}
    before: dict[str, list[Fact]] = {}
    for row in rows:
        before.setdefault(row["term"], []).append(earlier[row["leaf_index"]])
    findings = []
    for fact in new:
        for term in named[fact.leaf_index]:
            shortly = [other.leaf_index for other in before.get(term, ()) if _follows(rule, other, fact)]
            if shortly:
                findings.append(Finding(term, [max(shortly), fact.leaf_index]))
    return findings


async def _named(conn: Connection, name: str, facts: Sequence[Fact]) -> dict[int, list[str]]:
    """The terms of one dimension of each entry, by its index: its own, else what follows from these."""
    named = {fact.leaf_index: fact.values(name) for fact in facts}
    silent = [fact for fact in facts if not named[fact.leaf_index]]
    implied, _ = await follow(conn, {term for fact in silent for term in fact.terms})
    for fact in silent:
        named[fact.leaf_index] = sorted(term for term in with_implied(fact.terms, implied) if dimension(term) == name)
    return named


def _is_before(rule: Within, fact: Fact) -> bool:
    return _says(fact, rule.before_says) and (
        rule.before_version <= 1 or _number(fact.said("version")) >= rule.before_version
    )


def _follows(rule: Within, before: Fact, after: Fact) -> bool:
    if not (before.time and after.time and before.time <= after.time):
        return False
    if after.time >= before.time + timedelta(seconds=rule.less_than_s):
        return False
    if rule.equal and not (before.said(rule.equal) and before.said(rule.equal) == after.said(rule.equal)):
        return False
    return not (rule.differ and before.said(rule.differ) == after.said(rule.differ))


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


async def _rate(conn: Connection, rule: Rate, new: Sequence[Fact], finish: int) -> list[Finding]:
    """Villages in which too many have it; each once per value of `per`."""
    places = {
        (village, per)
        for fact in new
        for village in fact.values("region")
        if len(village) == VILLAGE
        for per in fact.values(rule.per)
    }
    villages = sorted({village for village, _ in places})
    rows = await store.queries.crowded(conn, terms=villages, more_than=rule.at_least)
    crowded = {row["term"] for row in rows}
    candidates = [Finding(village, (), per) for village, per in sorted(places) if village in crowded]
    asked = await _unflagged(conn, rule, candidates)
    findings = []
    for village, _, per in asked:
        whole = await _hits(conn, [village, f"type={rule.of}"], finish)
        having = await _hits(conn, [village, per, f"type={rule.type}"], finish)
        if len(whole) >= rule.at_least and len(having) > rule.more_than * len(whole):
            findings.append(Finding(village, having[-EVIDENCE_MAX:], per))
    return findings


async def _hits(conn: Connection, terms: Sequence[str], finish: int) -> list[int]:
    rows = await store.queries.hits(conn, terms=terms, first=0, finish=finish, most=finish)
    return [row["leaf_index"] for row in rows]


async def _sharing(conn: Connection, terms: Sequence[str], type_: str, finish: int) -> dict[str, list[Fact]]:
    """The entries of one type that have each term, in order."""
    rows = await store.queries.shared_hits(conn, terms=terms, other=f"type={type_}", finish=finish, most=SHARING_MAX)
    facts = {fact.leaf_index: fact for fact in await facts_at(conn, sorted({row["leaf_index"] for row in rows}))}
    sharing: dict[str, list[Fact]] = {}
    for row in rows:
        sharing.setdefault(row["term"], []).append(facts[row["leaf_index"]])
    return sharing
