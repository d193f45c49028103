"""A small made-up log in which one payment is decided, approved, instructed and confirmed, among others."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from salur.audit.log.completeness import statement
from salur.audit.log.note import COSIGNATURE, Checkpoint, Signer
from salur.audit.log.streams import Streams
from salur.audit.log.tiles import LogWriter

LOG = Signer("audit.salur.example", bytes(range(32)))
WITNESSES = {
    name: Signer(f"{name}.example", bytes([n]) * 32, COSIGNATURE) for n, name in enumerate(("bank", "board"), 1)
}
RULES = "id: family-hope\n"
VERSION = hashlib.sha256(RULES.encode()).hexdigest()
POLICY = (
    f"log {LOG.verifier}\n"
    + "".join(f"witness {name} {signer.verifier}\n" for name, signer in WITNESSES.items())
    + "group both all bank board\nquorum both\n"
)


class Story:
    """Collects leaves; each stream counts from 1."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self._sequences: dict[str, int] = {}

    def tell(self, kind: str, subject: str, cause: str = "request", actor: str = "service:x", **data: Any) -> str:
        stream = f"{kind.split('.', maxsplit=1)[0]}s/0"
        self._sequences[stream] = self._sequences.get(stream, 0) + 1
        event_id = hashlib.sha256(f"{len(self.leaves)}".encode()).hexdigest()[:32]
        self.leaves.append(
            orjson.dumps(
                {
                    "specversion": "1.0", "id": event_id, "source": "/salur/x", "type": f"salur.{kind}.v1",
                    "subject": subject, "time": self._now(),
                    "actor": actor, "cause": cause, "data": data, "stream": stream,
                    "sequence": self._sequences[stream],
                }
            )
        )  # fmt: skip
        return event_id

    def _now(self) -> str:
        minute, second = divmod(len(self.leaves), 60)
        return f"2026-01-02T{3 + minute // 60:02d}:{minute % 60:02d}:{second:02d}Z"

    def outside(self, topic: str, offset: int) -> str:
        leaf = {"topic": topic, "partition": 0, "offset": offset, "size": 9, "commitment": "00" * 32}
        self.leaves.append(orjson.dumps(leaf))
        return f"{topic}/0/{offset}"


def many_payments(families: int, **changes: Any) -> Story:
    """A cycle of so many families, two banks; `changes` overrides fields of the approval."""
    story = Story()
    story.tell("programme.published", "family-hope", programme_id="family-hope", version=VERSION, rules=RULES)
    for n in range(families):
        story.tell("household.registered", f"h{n}", household_id=f"h{n}")
        story.tell(
            "decision.made", f"h{n}", decision_id=f"d{n}", household_id=f"h{n}", programme_version=VERSION,
            outcome="enrolled",
        )  # fmt: skip
    story.tell("registry.cut", "cut", cut_id="cut")
    story.tell("cycle.opened", "c1", cycle_id="c1", programme_version=VERSION, cut_id="cut")
    for n in range(families):
        story.tell(
            "entitlement.granted", f"h{n}", entitlement_id=f"e{n}", beneficiary_id=f"h{n}", cycle_id="c1",
            decision_id=f"d{n}", amount_minor=1000 + n, currency="IDR",
        )  # fmt: skip
    story.tell("fund.opened", "f1", fund_id="f1")
    one_list = {"list_id": "l1", "cycle_id": "c1", "fund_id": "f1", "content_hash": "aa"}
    story.tell("payment-list.submitted", "l1", **one_list, submitted_by="person:one")
    approval = {"approved_by": "person:two"} | one_list | changes
    story.tell("payment-list.approved", "l1", "approve-1", "person:two", **approval)
    for n in range(families):
        money: dict[str, Any] = {"amount_minor": 1000 + n, "currency": "IDR", "bank": f"bank-{n % 2}"}
        ids: dict[str, Any] = {"payment_id": f"p{n}", "instruction_id": f"p{n}-001", "entitlement_id": f"e{n}"}
        story.tell("payment.instructed", f"p{n}", "approve-1", **ids, **money)
        said = story.outside(f"banks.results.bank-{n % 2}", n)
        story.tell("payment.settled", f"p{n}", said, **ids, **money, beneficiary_id=f"h{n}", cycle_id="c1")
    return story


def write_log(
    folder: Path, leaves: Sequence[bytes], *, signer: Signer = LOG, cosigned_by: Sequence[str] = ("bank", "board")
) -> Checkpoint:
    """A whole log on disk: tiles, head with cosignatures, statement of completeness, key, policy."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = LogWriter(folder, 0)
    writer.append(leaves)
    head = Checkpoint(signer.name, writer.size, writer.root())
    note = signer.sign(head.text()) + "".join(WITNESSES[name].line(head.text(), 1_700_000_000) for name in cosigned_by)
    streams = Streams()
    for index, leaf in enumerate(leaves):
        streams.take(index, leaf)
    complete = statement(head, {name: (last, last) for name, last in streams.lasts.items()})
    files = {
        "checkpoint": note,
        "completeness": signer.sign(complete),
        "log.pub": f"{signer.verifier}\n",
        "policy": POLICY,
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return head
