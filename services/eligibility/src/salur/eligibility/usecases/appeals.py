"""Objections (sanggah): bound to one decision, reviewed by another person; an upheld one pays back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from salur.common.auth import Caller
from salur.common.contracts.eligibility import AppealDecided, AppealOpened
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.common.values import derived_id, new_id
from salur.eligibility import errors
from salur.eligibility.domain.late import OVERTURNED, Reason
from salur.eligibility.store import queries
from salur.eligibility.usecases.apart import Apart, Due, grant_apart
from salur.eligibility.usecases.decide import Case, decide_cases, facts_of
from salur.eligibility.usecases.late import Amendment, amend
from salur.eligibility.usecases.programmes import Rules

REVIEW_DAYS = 30
BACK_PAY = "back-pay"


@dataclass(frozen=True, slots=True)
class Objection:
    """A command: why a decision is wrong. `statement` is the person's own words; `evidence`: kind and SHA-256 each."""

    household_id: str
    decision_id: str
    grounds: str
    statement: str
    evidence: Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Review:
    """A command: what a second person found. `corrections`: facts put right, of the household and by member id."""

    appeal_id: str
    upheld: bool
    reason: str
    household: Mapping[str, Any]
    members: Mapping[str, Mapping[str, Any]]


async def open_appeal(
    conn: Connection, rules: Rules, secrets: Secrets, caller: Caller, objection: Objection
) -> tuple[dict[str, Any], list[Draft]]:
    """Keep an objection to a decision in force. Raises NotFound, Conflict when it is too late or one is open."""
    decision = await queries.decision_in_force(
        conn, decision_id=objection.decision_id, household_id=objection.household_id
    )
    if decision is None or not caller.sees(decision["region"]):
        raise errors.decision_unknown()
    document = (await rules.numbered(conn, decision["programme"])).compiled.document
    if decision["decided_at"] + timedelta(days=document.appeal_days) < datetime.now(UTC):
        raise errors.appeal_too_late(document.appeal_days)
    appeal_id = new_id()
    opened = await queries.insert_appeal(
        conn, appeal_id=appeal_id, decision_id=objection.decision_id, programme=decision["programme"],
        programme_id=document.id, household_id=objection.household_id, version=decision["version"],
        region=decision["region"], grounds=objection.grounds,
        statement=secrets.seal(objection.statement.encode(), appeal_id.encode()),
        evidence=[dict(item) for item in objection.evidence], actor=caller.actor, review_days=REVIEW_DAYS,
    )  # fmt: skip
    if opened is None:
        raise errors.appeal_open()
    fact = AppealOpened(
        appeal_id=appeal_id, decision_id=objection.decision_id, programme_id=document.id,
        household_id=objection.household_id, grounds=objection.grounds,
        evidence=[item["sha256"] for item in objection.evidence], due_at=opened["due_at"],
    )  # fmt: skip
    answer = {"appeal_id": appeal_id, "state": "open", "due_at": opened["due_at"]}
    return answer, [Draft(fact, objection.household_id, caller.actor, caller.request_id)]


async def decide_appeal(
    conn: Connection, rules: Rules, caller: Caller, review: Review
) -> tuple[dict[str, Any], list[Draft]]:
    """Close an appeal. Upheld: the decision is made again on the corrected facts, by the rules it was made by.

    Raises NotFound, Conflict when it is closed or the corrections change nothing, Forbidden to who opened it.
    """
    appeal = await queries.lock_appeal(conn, appeal_id=review.appeal_id)
    if appeal is None or not caller.sees(appeal["region"]):
        raise errors.appeal_unknown()
    if appeal["state"] != "open":
        raise errors.appeal_closed()
    if appeal["opened_by"] in caller.people:
        raise errors.same_person("opened this appeal")
    drafts: list[Draft] = []
    new_decision_id, paid_minor, currency = None, 0, None
    if review.upheld:
        new_decision_id, paid_minor, currency, drafts = await _overturn(conn, rules, caller, appeal, review)
    state = "upheld" if review.upheld else "dismissed"
    await queries.close_appeal(
        conn, appeal_id=review.appeal_id, state=state, actor=caller.actor, reason=review.reason,
        new_decision_id=new_decision_id, back_pay_minor=paid_minor,
    )  # fmt: skip
    fact = AppealDecided(
        appeal_id=review.appeal_id, decision_id=appeal["decision_id"], programme_id=appeal["programme_id"],
        household_id=appeal["household_id"], outcome=state, reason=review.reason, opened_by=appeal["opened_by"],
        new_decision_id=new_decision_id, back_pay_minor=paid_minor, currency=currency,
    )  # fmt: skip
    drafts.append(Draft(fact, appeal["household_id"], caller.actor, caller.request_id))
    answer = {
        "appeal_id": review.appeal_id, "state": state, "new_decision_id": new_decision_id,
        "back_pay_minor": paid_minor,
    }  # fmt: skip
    return answer, drafts


async def _overturn(
    conn: Connection, rules: Rules, caller: Caller, appeal: Mapping[str, Any], review: Review
) -> tuple[str, int, str, list[Draft]]:
    """(new decision, back-pay and its currency, events)."""
    old = await queries.decision_in_force(conn, decision_id=appeal["decision_id"], household_id=appeal["household_id"])
    if old is None:
        raise errors.appeal_closed()
    corrections = {"household": dict(review.household), "members": {k: dict(v) for k, v in review.members.items()}}
    if unknown := set(review.members) - {member["member_id"] for member in old["members"]}:
        raise errors.correction_unknown(len(unknown))
    corrected = facts_of({**old, "corrections": corrections})
    if await queries.cycle_at_work(conn, programme=old["programme"]):
        raise errors.cycle_at_work()
    ruling = await rules.numbered(conn, old["programme"])
    case = Case(corrected, caller.request_id, occasion=review.appeal_id, corrections=corrections)
    drafts = await decide_cases(conn, ruling, [case])
    new = await queries.made_for(conn, occasion=review.appeal_id, household_id=appeal["household_id"])
    if (new["components"], new["amount_minor"]) == (old["components"], old["amount_minor"]):
        raise errors.correction_changes_nothing()
    await queries.overturn_decision(
        conn, household_id=appeal["household_id"], decision_id=appeal["decision_id"],
        new_decision_id=new["decision_id"],
    )  # fmt: skip
    currency = ruling.compiled.document.currency
    paid_minor, more = await _put_right(conn, caller, appeal, old, new)
    return new["decision_id"], paid_minor, currency, drafts + more


async def _put_right(
    conn: Connection, caller: Caller, appeal: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]
) -> tuple[int, list[Draft]]:
    """In every cycle the wrong decision stood in: what was missing is paid back, what was too much is amended."""
    due = dict.fromkeys(_shares(appeal, old), 0) | _shares(appeal, new)
    cycles = await queries.cycles_paid_by(
        conn, programme=old["programme"], partition=old["partition"], sequence=old["sequence"],
        replaced_by=old["replaced_by"], region=old["region"],
    )  # fmt: skip
    if not cycles:
        return 0, []
    await queries.lock_amending(conn)
    owed = await queries.owed_to(conn, beneficiaries=sorted(due), cycles=[cycle["cycle_id"] for cycle in cycles])
    stands = {(row["origin"], row["beneficiary_id"]): row for row in owed}
    missing: dict[str, list[tuple[str, int]]] = {}
    wrong = Reason(OVERTURNED, appeal["appeal_id"], True)
    amendments = []
    for number, cycle in enumerate(cycles, 1):
        for beneficiary_id, amount_minor in sorted(due.items()):
            row = stands.get((cycle["cycle_id"], beneficiary_id))
            had = row["due_minor"] if row else 0
            if amount_minor > had:
                missing.setdefault(beneficiary_id, []).append((f"cycle-{number}", amount_minor - had))
            elif row is not None and amount_minor < had:
                amendments.append(Amendment(row, amount_minor, wrong))
    drafts = await amend(conn, amendments)
    if not missing:
        return 0, drafts
    back_pay = Apart(
        derived_id(BACK_PAY, appeal["appeal_id"]), f"{BACK_PAY} {appeal['appeal_id']}", BACK_PAY, cycles[-1],
        caller.actor, caller.request_id, appeal_id=appeal["appeal_id"],
    )  # fmt: skip
    dues = [
        Due(
            beneficiary_id, lines, new["decision_id"], old["region"],
            None if beneficiary_id == appeal["household_id"] else appeal["household_id"],
        )
        for beneficiary_id, lines in missing.items()
    ]  # fmt: skip
    return sum(one.amount_minor for one in dues), drafts + await grant_apart(conn, back_pay, dues)


def _shares(appeal: Mapping[str, Any], decision: Mapping[str, Any]) -> dict[str, int]:
    """What a decision gives to the household, or to each of its members."""
    shares: dict[str, int] = {}
    for line in decision["components"]:
        whose = line.get("member_id") or appeal["household_id"]
        shares[whose] = shares.get(whose, 0) + line["amount_minor"]
    return shares


async def appeals_page(conn: Connection, caller: Caller, state: str | None, after: str, limit: int) -> dict[str, Any]:
    """Appeals behind `after`, within the caller's regions."""
    rows = [
        dict(row)
        for row in await queries.appeals_page(conn, state=state, after=after, regions=list(caller.regions), most=limit)
    ]
    return {"appeals": rows, "next": rows[-1]["appeal_id"] if len(rows) == limit else None}


async def appeal_view(conn: Connection, secrets: Secrets, caller: Caller, appeal_id: str) -> dict[str, Any]:
    """One appeal with the person's own words. Raises NotFound."""
    row = await queries.appeal(conn, appeal_id=appeal_id)
    if row is None or not caller.sees(row["region"]):
        raise errors.appeal_unknown()
    statement = secrets.open(row["statement"], appeal_id.encode()).decode()
    return {name: value for name, value in row.items() if name != "programme"} | {"statement": statement}


async def statistics_view(conn: Connection, caller: Caller) -> dict[str, Any]:
    """How many objected to what, and how many decisions were overturned, within the caller's regions."""
    rows = [dict(row) for row in await queries.appeal_statistics(conn, regions=list(caller.regions))]
    for row in rows:
        closed = row["upheld"] + row["dismissed"]
        row["overturned_share"] = round(row["upheld"] / closed, 4) if closed else None
        row["median_days"] = None if row["median_days"] is None else round(float(row["median_days"]), 2)
    return {"statistics": rows}
