"""Write camt.056.001.12: a bank is asked to give credited money back. The same bytes for the same input."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from lxml import etree

from salur.payments.banks.iso20022.money import decimal_text, minor_of
from salur.payments.banks.iso20022.pain001 import NAME_MAX, Initiation, clean, moment_text, put_text, uetr
from salur.payments.banks.iso20022.xml import DocumentRefused, events_of, namespace

KIND = "camt.056.001.12"
REASON = "CUST"  # ExternalCancellationReason1Code: requested by the customer


@dataclass(frozen=True, slots=True)
class Recall:
    """A credited payment to be given back. `recall_id` is the same for the same request."""

    recall_id: str
    instruction_id: str
    amount_minor: int
    currency: str


def write_camt056(file: IO[bytes], head: Initiation, recalls: Sequence[Recall]) -> None:
    """Write the document. Raises ValueError for an empty one."""
    if not recalls:
        raise ValueError("a camt.056 needs at least one transaction")
    with etree.xmlfile(file, encoding="UTF-8") as xml:
        xml.write_declaration()
        with xml.element("Document", nsmap={None: namespace(KIND)}), xml.element("FIToFIPmtCxlReq"):
            xml.write(_assignment(head))
            control = etree.Element("CtrlData")
            put_text(control, "NbOfTxs", str(len(recalls)))
            put_text(control, "CtrlSum", decimal_text(sum(recall.amount_minor for recall in recalls)))
            xml.write(control)
            with xml.element("Undrlyg"):
                for recall in recalls:
                    xml.write(_transaction(recall))


def check_camt056(file: IO[bytes], transactions: int, amount_minor: int) -> None:
    """Read a written document back: schema, count, sum. Raises DocumentRefused when it is not what was given."""
    found = found_minor = 0
    amount = f"{{{namespace(KIND)}}}OrgnlIntrBkSttlmAmt"
    for element in events_of(file, KIND, ("TxInf",)):
        found += 1
        found_minor += minor_of(element.findtext(amount)) or 0
        element.clear()
    if (found, found_minor) != (transactions, amount_minor):
        raise DocumentRefused("control-sum", "the document written does not hold what was given")


def _assignment(head: Initiation) -> "etree._Element":
    assignment = etree.Element("Assgnmt")
    put_text(assignment, "Id", head.message_id)
    assigner = etree.SubElement(etree.SubElement(assignment, "Assgnr"), "Pty")
    put_text(assigner, "Nm", clean(head.debtor_name, NAME_MAX))
    agent = etree.SubElement(etree.SubElement(assignment, "Assgne"), "Agt")
    put_text(etree.SubElement(etree.SubElement(agent, "FinInstnId"), "Othr"), "Id", head.bank)
    put_text(assignment, "CreDtTm", moment_text(head.created_at))
    return assignment


def _transaction(recall: Recall) -> "etree._Element":
    transaction = etree.Element("TxInf")
    put_text(transaction, "CxlId", recall.recall_id)
    put_text(transaction, "OrgnlInstrId", recall.instruction_id)
    put_text(transaction, "OrgnlEndToEndId", recall.instruction_id)
    put_text(transaction, "OrgnlUETR", uetr(recall.instruction_id))
    amount = etree.SubElement(transaction, "OrgnlIntrBkSttlmAmt", Ccy=recall.currency)
    amount.text = decimal_text(recall.amount_minor)
    reason = etree.SubElement(etree.SubElement(transaction, "CxlRsnInf"), "Rsn")
    put_text(reason, "Cd", REASON)
    return transaction
