"""Run the pre-payment gate over a cycle; set its rules, close regions, keep what banks say about accounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from salur.common.database import Connection
from salur.common.events import Draft
from salur.payments import errors
from salur.payments.domain.account_checks import GOOD
from salur.payments.domain.gate import GateRule, Hit, rule_of
from salur.payments.domain.lists import Banks
from salur.payments.domain.methods import CHECKED
from salur.payments.store import queries
from salur.payments.usecases.proposals import Person, Proposal

SET_RULE, CLOSE_REGION, REOPEN_REGION = "gate-rule", "region-close", "region-reopen"
SET_BAND = "approval-band"
SET_PAYEE = "programme-payee"
NO_LIMIT_MINOR = 2**62
ACCOUNT_REASONS = ("AC01", "AC03", "AC04", "AC06", "AC07", "AC13", "BE01", "MD07")
"""ISO 20022 reasons that lie with the account or its holder: the same account will fail again."""


async def gate_hits(conn: Connection, cycle_id: str, programme_id: str, banks: Banks) -> dict[str, list[Hit]]:
    """Every hit of the gate in a cycle, by entitlement."""
    rule: GateRule = rule_of(await queries.gate_rule(conn, programme_id=programme_id))
    rows = await queries.gate_hits(
        conn, cycle_id=cycle_id, shared_account_max=rule.shared_account_max, cool_off_s=rule.cool_off_s,
        amount_min=rule.amount_min_minor,
        amount_max=NO_LIMIT_MINOR if rule.amount_max_minor is None else rule.amount_max_minor,
        excludes=list(rule.excludes), excludes_within_s=rule.excludes_within_s, account_reasons=list(ACCOUNT_REASONS),
        good_checks=sorted(GOOD), checked_banks=sorted(banks.checked), checked_methods=CHECKED,
        unchecking_banks=sorted(banks.unchecking),
    )  # fmt: skip
    hits: dict[str, list[Hit]] = {}
    for row in rows:
        hits.setdefault(row["entitlement_id"], []).append(Hit(row["check_code"], row["evidence"]))
    return hits


async def keep_hits(conn: Connection, list_id: str, hits: Mapping[str, Sequence[Hit]]) -> None:
    """Keep the evidence of items that were held, by payment id."""
    rows = [(payment_id, hit.code, hit.evidence) for payment_id, found in hits.items() for hit in found]
    if rows:
        payments, codes, evidence = (list(column) for column in zip(*rows, strict=True))
        await queries.insert_gate_hits(conn, list_id=list_id, payment_ids=payments, codes=codes, evidence=evidence)


async def set_rule(
    conn: Connection, proposal_id: str, proposal: Proposal, _person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """Set a programme's limits; the next list is checked by them."""
    await queries.set_gate_rule(conn, programme_id=proposal.subject, rule=proposal.content, proposal_id=proposal_id)
    return {"programme_id": proposal.subject}, []


async def set_payee(
    conn: Connection, proposal_id: str, proposal: Proposal, _person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """From the next list on a programme pays this payee in its beneficiaries' stead; empty: themselves again."""
    payee_id = proposal.content["payee_id"]
    if not payee_id:
        await queries.unset_programme_payee(conn, programme_id=proposal.subject)
    elif not await queries.payee_known(conn, payee_id=payee_id):
        raise errors.payee_unknown(payee_id)
    else:
        await queries.set_programme_payee(
            conn, programme_id=proposal.subject, payee_id=payee_id, proposal_id=proposal_id
        )
    return {"programme_id": proposal.subject, "payee_id": payee_id}, []


async def close_region(
    conn: Connection, proposal_id: str, proposal: Proposal, _person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """Close a region to payments: items there are held by the next list."""
    await queries.close_region(conn, region=proposal.subject, reason=proposal.reason, proposal_id=proposal_id)
    return {"region": proposal.subject}, []


async def reopen_region(
    conn: Connection, _proposal_id: str, proposal: Proposal, _person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """Open a region again."""
    await queries.reopen_region(conn, region=proposal.subject)
    return {"region": proposal.subject}, []


async def set_band(
    conn: Connection, proposal_id: str, proposal: Proposal, _person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """From an amount on, a list needs this many approvers."""
    content = proposal.content
    await queries.set_approval_band(
        conn, currency=content["currency"], over_minor=content["over_minor"], approvers=content["approvers"],
        proposal_id=proposal_id,
    )  # fmt: skip
    return dict(content), []


@dataclass(frozen=True, slots=True)
class AccountReport:
    """What a bank says about an account, by its token."""

    account_token: str
    bank: str
    standing: str
    last_used_on: date | None


async def keep_reports(conn: Connection, reports: Sequence[AccountReport]) -> None:
    """Keep the newest standing of each account."""
    newest = {report.account_token: report for report in reports}
    ordered = [newest[token] for token in sorted(newest)]
    await queries.set_account_reports(
        conn, tokens=[report.account_token for report in ordered], banks=[report.bank for report in ordered],
        standings=[report.standing for report in ordered], last_used_on=[report.last_used_on for report in ordered],
    )  # fmt: skip
