"""What a bank's reason code leads to: data in reasons.csv, from the external code sets of ISO 20022.

The codes are those of ExternalStatusReason1Code and ExternalReturnReason1Code (iso20022.org, external code sets); the
texts and what happens next are Salur's own.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast, get_args

Next = Literal["correct-account", "retry-later", "split", "inquire", "case"]
NEXT: tuple[str, ...] = get_args(Next)


@dataclass(frozen=True, slots=True)
class Reason:
    """A code, what happens next, whose move it is, and what people read."""

    code: str
    next: Next
    who: str
    english: str
    indonesian: str


@cache
def reasons() -> dict[str, Reason]:
    """Every known code. Raises ValueError when the data break their form."""
    known: dict[str, Reason] = {}
    with (Path(__file__).parent / "reasons.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, strict=True):
            if row["next"] not in NEXT or row["code"] in known or not all(row.values()):
                raise ValueError(f"reasons.csv, code {row['code']}: unknown step, repeated code or empty text")
            known[row["code"]] = Reason(
                row["code"], cast(Next, row["next"]), row["who"], row["english"], row["indonesian"]
            )
    return known


def reason_of(code: str | None) -> Reason:
    """What a code leads to. An unknown one becomes a case, none at all counts as MS03."""
    known = reasons()
    code = code or "MS03"
    return known.get(code) or Reason(
        code, "case", "payment-operator", f"The bank gave the code {code}", f"Bank memberi kode {code}"
    )
