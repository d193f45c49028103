"""What a settlement must keep, with the banks' own books as oracle."""

from collections import Counter
from typing import Any

from partner_bank.book import book_path, most_live, transfers
from salur.local.settle.run import BANKS, Settlement

BY_ORDER = (
    "SELECT count(*) FROM payment JOIN payment_list USING (list_id)"
    " WHERE attempt > 1 AND submitted_by = 'service:payments'"
)
TOO_EARLY = (
    "SELECT count(*) FROM payment n JOIN payment o ON o.payment_id = n.payment_id AND o.attempt = n.attempt - 1"
    " WHERE o.state NOT IN ('rejected', 'returned', 'cancelled', 'treasury')"
)
SUSPENSE = "SELECT count(DISTINCT instruction_id) FROM suspense"


def report_of(run: Settlement, never_paid: int, unsigned: int) -> dict[str, Any]:
    """Every figure of the report, from the standing of the cycle, the ledger, and the books."""
    standing = run.standing()
    states = {state: amount["count"] for state, amount in standing["states"].items()}
    ledger = run.pipeline.auditor.call("payments", "GET", "/ledger", params={"with_hash": False})
    books = [transfers(book_path(run.platform.bank_dir(bank))) for bank in BANKS]
    kept: Counter[str] = Counter()
    credited: Counter[str] = Counter()
    for row in (row for book in books for row in book):
        kept[row[2]] += 1 if row[5] == "credit" else -1
        credited[row[2]] += row[5] == "credit"
    settled = {row[0] for row in run.rows("SELECT instruction_id FROM payment WHERE state = 'settled'")}
    at_banks = {instruction for instruction, net in kept.items() if net > 0}
    # A bank that works with files knows no entitlement: the payment of an instruction id stands for it everywhere.
    books = [[(*row[:3], row[2].split("-")[0], 1, *row[5:]) for row in book] for book in books]
    doubled = sum(count > 1 for count in credited.values()) + sum(most > 1 for most in most_live(books).values())
    return {
        "payments": standing["payments"],
        "settled": states.get("settled", 0),
        "returned": run.rows("SELECT count(*) FROM transfer WHERE id LIKE 'return/%%'")[0][0],
        "reissued": run.rows("SELECT count(*) FROM payment WHERE attempt > 1")[0][0],
        "reissued_by_order": run.rows(BY_ORDER)[0][0],
        "reissued_too_early": run.rows(TOO_EARLY)[0][0],
        "to_treasury": states.get("treasury", 0),
        "held": states.get("held", 0),
        "cancelled": states.get("cancelled", 0),
        "suspense": states.get("disputed", 0),
        "suspended_answers": run.rows(SUSPENSE)[0][0],
        "never_paid": never_paid,
        "unknown": states.get("unknown", 0),
        "double_payments": doubled,
        "lost_payments": len(settled ^ at_banks),
        "ledger_sum_minor": ledger["sum_minor"],
        "ledger_differs": ledger["differing_accounts"],
        "unreconciled": unsigned + len(run.pipeline.maker.call("payments", "GET", "/breaks")["breaks"]),
    }


def broken(report: dict[str, Any]) -> list[str]:
    """Promises the run broke, as sentences."""
    ends = sum(report[name] for name in ("settled", "to_treasury", "held", "cancelled", "suspense"))
    checks = {
        f"{report['double_payments']} payments were made twice": report["double_payments"] == 0,
        f"{report['lost_payments']} payments differ between us and the banks' books": report["lost_payments"] == 0,
        f"the ledger sums to {report['ledger_sum_minor']}": report["ledger_sum_minor"] == 0,
        f"accounts differ from their entries: {report['ledger_differs']}": report["ledger_differs"] == [],
        f"{report['unreconciled']} breaks or banks are not reconciled": report["unreconciled"] == 0,
        f"{report['unknown']} payments are unknown": report["unknown"] == 0,
        f"ends add up to {ends} of {report['payments']} payments": ends == report["payments"],
        "nothing was issued again": report["reissued"] > 0,
        "the standing order issued nothing again": report["reissued_by_order"] > 0,
        f"{report['reissued_too_early']} were issued again before the bank had closed them": not report[
            "reissued_too_early"
        ],
        "files lead to another ledger than Kafka": report["iso_ledger_hash_equal"],
    }
    return [sentence for sentence, kept in checks.items() if not kept]
