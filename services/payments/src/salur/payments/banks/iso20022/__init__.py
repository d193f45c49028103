"""ISO 20022: pain.001 and camt.056 out; pain.002, camt.029, camt.053, camt.054 and pacs.004 in.

Writing and reading stream: memory does not grow with the document. Every document is checked against its schema.
"""

from salur.payments.banks.iso20022.camt056 import Recall, check_camt056, write_camt056
from salur.payments.banks.iso20022.documents import Overview, Told, inspect, told
from salur.payments.banks.iso20022.pain001 import CreditTransfer, Initiation, check_pain001, write_pain001
from salur.payments.banks.iso20022.xml import DocumentRefused

__all__ = [
    "CreditTransfer",
    "DocumentRefused",
    "Initiation",
    "Overview",
    "Recall",
    "Told",
    "check_camt056",
    "check_pain001",
    "inspect",
    "told",
    "write_camt056",
    "write_pain001",
]
