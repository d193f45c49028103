"""Which entries answer a question, found from the log's files alone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from salur.audit.log.tiles import WIDTH, TileReader

KINDS = ("payment", "beneficiary", "cycle", "actor", "period")
MAX_PASSES = 6
MAX_ENTRIES = 200_000
"""More than this is a copy of the log, not evidence: use `salur verify` on its folder."""

_REFERENCES = {
    "salur.payment.instructed.v1": ("entitlement_id",),
    "salur.payment.held.v1": ("entitlement_id", "list_id"),
    "salur.entitlement.granted.v1": ("decision_id", "cycle_id"),
    "salur.entitlement.not-due.v1": ("cycle_id",),
    "salur.cycle.opened.v1": ("programme_version", "cut_id"),
    "salur.decision.made.v1": ("programme_version",),
    "salur.payment-list.submitted.v1": ("cycle_id", "fund_id"),
    "salur.payment-list.approved.v1": ("list_id",),
}
"""Which fields of an event lead to what it rests on."""
_ANSWERS = {
    "entitlement_id": {"salur.entitlement.granted.v1": "entitlement_id",
                       "salur.entitlement.amended.v1": "entitlement_id"},
    "decision_id": {"salur.decision.made.v1": "decision_id"},
    "cycle_id": {"salur.cycle.opened.v1": "cycle_id"},
    "cut_id": {"salur.registry.cut.v1": "cut_id"},
    "programme_version": {"salur.programme.published.v1": "version"},
    "list_id": {"salur.payment-list.submitted.v1": "list_id", "salur.payment-list.approved.v1": "list_id",
                "salur.payment-list.refused.v1": "list_id"},
    "fund_id": {"salur.fund.opened.v1": "fund_id"},
}  # fmt: skip
"""Which events a reference leads to, and by which of their fields."""
_WHO = ("approved_by", "submitted_by", "refused_by", "closed_by", "opened_by")


class TooMuch(ValueError):
    """The question takes in more than a bundle should hold."""


@dataclass(frozen=True, slots=True)
class Question:
    """`kind` is one of KINDS; a period is `from/to`, ISO 8601 in UTC, the end excluded."""

    kind: str
    value: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not re.fullmatch(r"[\w.:/+-]{1,200}", self.value):
            raise ValueError(
                f"a question is about one of {', '.join(KINDS)}, and its value is an id, a name or from/to"
            )
        if self.kind == "period" and len(self.value.split("/")) != 2:
            raise ValueError("a period reads from/to, for example 2026-01-01T00:00/2026-02-01T00:00")

    def needle(self) -> str:
        """Text that stands in every answer, for a cheap first look."""
        return "" if self.kind == "period" else self.value

    def takes(self, event: dict[str, Any], data: dict[str, Any]) -> bool:
        """Whether the event itself answers the question."""
        match self.kind:
            case "payment":
                return self.value in (event.get("subject"), data.get("payment_id"))
            case "beneficiary":
                return self.value in (event.get("subject"), data.get("beneficiary_id"), data.get("household_id"))
            case "cycle":
                return self.value in (event.get("subject"), data.get("cycle_id"))
            case "actor":
                return self.value == event.get("actor") or self.value in [data.get(name) for name in _WHO]
            case _:
                first, end = self.value.split("/")
                return first <= str(event.get("time", "")) < end


@dataclass(slots=True)
class _Wanted:
    """What is looked for in one pass: the question itself, references, causes, positions of outside records."""

    question: Question | None
    references: dict[tuple[str, str], str] = field(default_factory=dict)
    causes: set[str] = field(default_factory=set)
    positions: set[str] = field(default_factory=set)
    payments: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.question or self.references or self.causes or self.positions or self.payments)

    def needles(self) -> list[str]:
        if self.question and not self.question.needle():
            return []
        offsets = {'"offset":' + position.rpartition("/")[2] for position in self.positions}
        values = {*self.references.values(), *self.causes, *offsets, *self.payments}
        return sorted(values | ({self.question.needle()} if self.question else set()))


def answers(reader: TileReader, question: Question) -> list[int]:
    """Indexes of the entries that answer, and of all they rest on: rules, decision, approval, the bank's message.

    Reads the whole log a few times; each pass follows the references the one before has found. Raises TooMuch.
    """
    found: dict[int, dict[str, Any]] = {}
    known: set[tuple[str, str]] = set()
    wanted = _Wanted(question)
    for _ in range(MAX_PASSES):
        new = dict(_pass(reader, wanted, found))
        found |= new
        if len(found) > MAX_ENTRIES:
            raise TooMuch(f"more than {MAX_ENTRIES} entries answer: ask for less, or take the log's whole folder")
        wanted = _next(new.values(), known, follow_payments=question.kind == "beneficiary")
        if not new or not wanted:
            break
    return sorted(found)


def _pass(reader: TileReader, wanted: _Wanted, found: dict[int, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    needles = wanted.needles()
    look = re.compile(b"|".join(re.escape(needle.encode()) for needle in needles)).search if needles else _anything
    for number in range((reader.size + WIDTH - 1) // WIDTH):
        for index, leaf in enumerate(reader.entries(number), number * WIDTH):
            if index in found or not look(leaf):
                continue
            event = _parsed(leaf)
            if event is not None and _hit(event, wanted):
                yield index, event


def _anything(_leaf: bytes) -> bool:
    return True


def _parsed(leaf: bytes) -> dict[str, Any] | None:
    try:
        event = orjson.loads(leaf)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None


def _data(event: dict[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    return data if isinstance(data, dict) else {}


def _hit(event: dict[str, Any], wanted: _Wanted) -> bool:
    data = _data(event)
    if "commitment" in event:
        return f"{event.get('topic')}/{event.get('partition')}/{event.get('offset')}" in wanted.positions
    if wanted.question and wanted.question.takes(event, data):
        return True
    kind = event.get("type")
    if event.get("subject") in wanted.payments and str(kind).startswith("salur.payment."):
        return True
    if str(kind).startswith("salur.payment-list.") and event.get("cause") in wanted.causes:
        return True
    return any(
        _ANSWERS[name].get(str(kind)) is not None and data.get(_ANSWERS[name][str(kind)]) == value
        for (name, value) in wanted.references
    )


def _next(events: Any, known: set[tuple[str, str]], *, follow_payments: bool) -> _Wanted:
    wanted = _Wanted(None)

    def new(kind: str, value: object) -> bool:
        if type(value) is not str or (kind, value) in known:
            return False
        known.add((kind, value))
        return True

    for event in events:
        kind, data = str(event.get("type")), _data(event)
        for name in _REFERENCES.get(kind, ()):
            if new(name, data.get(name)):
                wanted.references[name, data[name]] = data[name]
        if kind in ("salur.payment.instructed.v1", "salur.payment.held.v1") and new("cause", event.get("cause")):
            wanted.causes.add(event["cause"])
        if kind in _FROM_BANKS and new("position", event.get("cause")):
            wanted.positions.add(event["cause"])
        if follow_payments and new("payment", data.get("payment_id")):
            wanted.payments.add(data["payment_id"])
    return wanted


_FROM_BANKS = {"salur.payment.settled.v1", "salur.payment.rejected.v1", "salur.payment.returned.v1"}
