"""Money cases: money paid that is not due, due and not paid, said not to have come, or failed for a reason that a
person must look into. Two people end each.
"""

from collections.abc import Sequence
from typing import Any

from salur.common.contracts.payments import MoneyCaseEnded, MoneyCaseOpened
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.values import derived_id, payment_id
from salur.payments import errors
from salur.payments.store import queries
from salur.payments.usecases import claims, decisions, endings
from salur.payments.usecases.checks import SERVICE
from salur.payments.usecases.proposals import Person, Proposal

CASE_RESOLVE = "money-case-resolve"
FAILED, SURPLUS = "failed-payment", "surplus"
OWED_TO_PEOPLE = frozenset({"supplement", SURPLUS})
RESOLUTIONS: dict[str, frozenset[str]] = {
    "overpayment": frozenset({"offset", "recovery", "written-off"}),
    "supplement": frozenset({"paid", "written-off"}),
    "not-received": frozenset({"paid", "recovery", "written-off"}),
    FAILED: frozenset({"retried", "ended"}),
    SURPLUS: frozenset({"paid", "written-off"}),
}
"""How each kind of case may end."""


def case_of(kind: str, payment: Any, amount_minor: int, reason: str, *about: str) -> dict[str, Any]:
    """A case about a payment. `about`: what makes it the same case again."""
    names = ("payment_id", "entitlement_id", "beneficiary_id", "region", "currency")
    return {
        "case_id": derived_id("money-case", payment["payment_id"], kind, *about),
        "kind": kind,
        **{name: payment[name] for name in names},
        "amount_minor": amount_minor,
        "reason": reason,
    }


async def open_cases(conn: Connection, cases: Sequence[dict[str, Any]]) -> list[Draft]:
    """Open cases that are not open yet."""
    if not cases:
        return []
    columns = {
        "case_ids": "case_id", "kinds": "kind", "payment_ids": "payment_id", "entitlement_ids": "entitlement_id",
        "beneficiary_ids": "beneficiary_id", "regions": "region", "amounts": "amount_minor", "currencies": "currency",
        "reasons": "reason",
    }  # fmt: skip
    added = await queries.insert_cases(conn, **{name: [case[key] for case in cases] for name, key in columns.items()})
    new = {row["case_id"] for row in added}
    facts = [
        MoneyCaseOpened(**{key: value for key, value in case.items() if key != "region"})
        for case in cases
        if case["case_id"] in new
    ]
    return [Draft(fact, fact.case_id, SERVICE, fact.payment_id) for fact in facts]


async def resolve_case(
    conn: Connection, proposal_id: str, proposal: Proposal, person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """End a money case as proposed. Raises NotFound, Conflict when it ended or cannot end like that."""
    row = await queries.case_for_update(conn, case_id=proposal.subject)
    if row is None or not person.sees(row["region"]):
        raise errors.case_unknown(proposal.subject)
    if row["state"] != "open":
        raise errors.case_ended(proposal.subject, row["state"])
    state = proposal.content["resolution"]
    if state not in RESOLUTIONS[row["kind"]]:
        raise errors.case_resolution(row["kind"], RESOLUTIONS[row["kind"]])
    drafts: list[Draft] = []
    told: dict[str, Any] = {}
    if state in claims.CLAIMED or (state == claims.WRITTEN_OFF and row["kind"] not in OWED_TO_PEOPLE):
        terms = claims.Terms.of(proposal.content) if state == "offset" else None
        told = await claims.begin(conn, row, state, terms)
    elif state == "retried":
        command = decisions.DecideItem(row["payment_id"], "retry", proposal.reason)
        _, drafts = await decisions.decide_item(conn, command, person)
    elif row["kind"] in OWED_TO_PEOPLE and state == "paid":
        await _grant(conn, row)
    elif state == "ended":
        drafts = await endings.end_failed(conn, row["payment_id"], proposal_id, proposal, person)
    await queries.close_case(conn, case_id=proposal.subject, state=state, proposal_id=proposal_id)
    drafts.append(_ended(row, state, person.actor, told))
    return {"case_id": proposal.subject, "resolution": state}, drafts


async def _grant(conn: Connection, case: Any) -> None:
    """What is missing is paid as another part of the same entitlement, by the next follow-up list."""
    part = await queries.parts_of(conn, entitlement_id=case["entitlement_id"]) + 1
    await queries.grant_supplement(
        conn, payment_id=payment_id(case["entitlement_id"], part), entitlement_id=case["entitlement_id"], part=part,
        amount_minor=case["amount_minor"], case_id=case["case_id"], gives_back=case["kind"] == SURPLUS,
    )  # fmt: skip


async def end_returned(conn: Connection, payment_ids: Sequence[str], cause: str) -> list[Draft]:
    """Banks returned these payments: their claims end, and what people had given back for them is a case."""
    drafts, surplus = await claims.end_returned(conn, payment_ids, cause)
    cases = [
        case_of(SURPLUS, row, row["given_minor"], "returned-after-pay-back", row["case_id"], str(row["surplus_minor"]))
        for row in surplus
    ]
    return drafts + await open_cases(conn, cases)


async def supersede(conn: Connection, payment_ids: Sequence[str]) -> list[Draft]:
    """End what is open about the difference of these payments: a newer change tells it whole."""
    rows = await queries.supersede_cases(conn, payment_ids=list(payment_ids))
    return [_ended(row, "ended", SERVICE) for row in rows]


def _ended(row: Any, resolution: str, actor: str, told: dict[str, Any] | None = None) -> Draft:
    names = ("case_id", "kind", "payment_id")
    fact = MoneyCaseEnded(**{name: row[name] for name in names}, resolution=resolution, ended_by=actor, **told or {})
    return Draft(fact, fact.case_id, actor, fact.payment_id)
