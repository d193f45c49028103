"""The promises every run is held to, checked on what independent witnesses say. Pure.

The banks' own books are the oracle for money; the services' event tables, Kafka's records and the log's files must tell
one story. Each check returns a Finding that names every break it met and how much it looked at: one that looked at
nothing is broken too.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, get_args

from partner_bank.book import most_live
from salur.audit.domain.ledger import Ledger
from salur.audit.log.errors import ProofBroken
from salur.audit.log.note import Checkpoint
from salur.audit.log.tree import verify_consistency
from salur.audit.log.verify import VerifyReport
from salur.common.events.envelope import partition_for
from salur.local.crash.households import Expected
from salur.local.ledger import differing, reserves_differing
from salur.payments.domain.machine import FINAL, IN_FLIGHT, MOVES, PaymentState

Movement = tuple[float, int, str, str, int, str, int]
"""A row of a bank's book: booked_at, transfer_id, instruction_id, entitlement_id, part, kind, amount_minor."""

BOOK_STATE = {"accepted": "settled", "returned": "returned", "rejected": "rejected", "closed": "rejected"}
"""What payments must say of an instruction, by the state the bank's book gives it."""
INSTRUCTED = "salur.payment.instructed.v1"
STATE_OF = {f"salur.payment.{state}.v1": state for state in get_args(PaymentState)}
SHOWN = 5


@dataclass(slots=True)
class Finding:
    """What a check found. `breaks` counts what is wrong, `problems` names the first of them."""

    promise: str
    checked: int = 0
    breaks: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        return self.checked > 0 and self.breaks == 0

    def broken(self, problem: str, count: int = 1) -> None:
        """Note a break."""
        self.breaks += count
        if len(self.problems) < SHOWN:
            self.problems.append(problem)

    def look(self, holds: bool, problem: str) -> None:
        """Check one thing."""
        self.checked += 1
        if not holds:
            self.broken(problem)


@dataclass(frozen=True, slots=True)
class Payment:
    """An instruction as payments holds it."""

    instruction_id: str
    entitlement_id: str
    part: int
    state: str
    amount_minor: int
    fund_id: str


@dataclass(frozen=True, slots=True)
class Fund:
    """A fund as the ledger's rows hold it; debits are gross, before anything came back."""

    fund_id: str
    debited_minor: int
    reserved_minor: int


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a stream with its exact bytes."""

    stream: str
    sequence: int
    type: str
    key: str
    data: Mapping[str, Any]
    body: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a Kafka partition; `event` is None when it is no event."""

    offset: int
    key: str
    event: Event | None


def money(
    sums_minor: Mapping[str, int], differing: Sequence[str], funds: Sequence[Fund], payments: Sequence[Payment],
    kept_minor: int,
) -> Finding:  # fmt: skip
    """I1. `sums_minor` of all entries per currency; `differing` accounts whose balance is not the sum of their entries;
    `kept_minor`: credits - returns of the banks' books."""
    finding = Finding("I1 the ledger sums to zero; funds paid out = settled + in flight + returned")
    for currency, total in sums_minor.items():
        finding.look(total == 0, f"entries in {currency} sum to {total}")
    for account in differing:
        finding.look(False, f"{account} differs from its entries")
    for fund in funds:
        own = [payment for payment in payments if payment.fund_id == fund.fund_id]
        flown = _minor(own, IN_FLIGHT)
        stated = _minor(own, ("settled", "returned")) + flown
        finding.look(
            fund.debited_minor + fund.reserved_minor == stated and fund.reserved_minor == flown,
            f"{fund.fund_id}: debited {fund.debited_minor} + reserved {fund.reserved_minor}, payments say {stated} "
            f"of which {flown} in flight",
        )
    settled = _minor(payments, ("settled",))
    finding.look(settled == kept_minor, f"payments hold {settled} settled, the banks' books {kept_minor}")
    return finding


def _minor(payments: Iterable[Payment], states: Iterable[str]) -> int:
    wanted = frozenset(states)
    return sum(payment.amount_minor for payment in payments if payment.state in wanted)


def finality(approved: Iterable[str], payments: Sequence[Payment]) -> Finding:
    """I2. `approved`: instruction ids of the funded items of approved lists that are not held."""
    finding = Finding("I2 every approved instruction reached a final state")
    states = {payment.instruction_id: payment.state for payment in payments}
    for instruction in approved:
        state = states.get(instruction, "approved")
        finding.look(state in FINAL, f"{instruction} is {state}")
    return finding


def single_payment(books: Sequence[Sequence[Movement]]) -> Finding:
    """I3, by the banks' books alone."""
    finding = Finding("I3 nobody was paid twice, by the banks' own books")
    credits_of = Counter(row[2] for book in books for row in book if row[5] == "credit")
    for instruction, count in credits_of.items():
        finding.look(count <= 1, f"{instruction} was credited {count} times")
    for (entitlement, part), most in most_live(books).items():
        finding.look(most <= 1, f"entitlement {entitlement} part {part} held {most} payments at once")
    return finding


def lost(
    book_states: Mapping[str, str], payments: Sequence[Payment], entitled: Iterable[str], held: Iterable[str]
) -> Finding:
    """Payments one side knows and the other does not hold alike, and entitlements nobody paid, refused or holds.

    `book_states`: accepted, returned, rejected or closed per instruction id, over all banks; `entitled`: ids; `held`:
    those the gate keeps for a person, with its evidence.
    """
    finding = Finding("no payment was lost between the banks and us, no entitlement forgotten")
    ours = {payment.instruction_id: payment.state for payment in payments}
    for instruction, state in book_states.items():
        said = ours.get(instruction, "unheard of")
        finding.look(said == BOOK_STATE[state], f"{instruction}: the bank's book says {state}, payments {said}")
    for instruction in ours.keys() - book_states.keys():
        finding.look(False, f"{instruction} is {ours[instruction]} here, no bank's book knows it")
    ended = {payment.entitlement_id for payment in payments if payment.state in FINAL} | set(held)
    for entitlement in entitled:
        finding.look(entitlement in ended, f"entitlement {entitlement} has no final payment")
    return finding


def trail(
    appended: Mapping[str, Sequence[Event]], heads: Mapping[str, int], leaves: Sequence[Event], outside: int,
    outside_records: int, size: int,
) -> Finding:  # fmt: skip
    """I4, completeness: one leaf per event of every stream, the same bytes, 1..n in order without a gap.

    `appended`: every service's event table by stream; `heads`: what its stream row says; `leaves`: the log's events in
    log order; `outside`: its commitments of banks' records, one per record in Kafka; `size`: the signed tree's.
    """
    finding = Finding("I4 the log holds every event of every stream once, 1..n without a gap")
    logged: dict[str, list[Event]] = defaultdict(list)
    for leaf in leaves:
        logged[leaf.stream].append(leaf)
    for stream in sorted(heads.keys() | logged.keys()):
        events, mine = appended.get(stream, ()), logged.get(stream, [])
        finding.checked += 1
        head = heads.get(stream, 0)
        if [event.sequence for event in events] != list(range(1, head + 1)):
            finding.broken(f"{stream}: the event table does not hold 1..{head}", abs(head - len(events)) or 1)
        if [leaf.sequence for leaf in mine] != list(range(1, head + 1)):
            finding.broken(_where(stream, mine, head), _missing(mine, head))
        known = {event.sequence: event.body for event in events}
        wrong = [leaf.sequence for leaf in mine if known.get(leaf.sequence, leaf.body) != leaf.body]
        if wrong:
            finding.broken(f"{stream}: the leaf of {wrong[0]} has other bytes than the event", len(wrong))
    finding.look(outside == outside_records, f"{outside} commitments of banks' records, Kafka holds {outside_records}")
    total = len(leaves) + outside
    finding.look(total == size, f"{total} leaves read, the signed tree has {size}")
    return finding


def _where(stream: str, leaves: Sequence[Event], head: int) -> str:
    for expected_next, leaf in enumerate(leaves, 1):
        if leaf.sequence != expected_next:
            return f"{stream}: the log goes on with {leaf.sequence} where {expected_next} stands next"
    return f"{stream}: the log ends at {len(leaves)} of {head}"


def _missing(leaves: Sequence[Event], head: int) -> int:
    """How many sequences lack a leaf or have one too many; at least 1 for a wrong order."""
    counts = Counter(leaf.sequence for leaf in leaves)
    return sum(abs(counts.get(sequence, 0) - 1) for sequence in counts.keys() | set(range(1, head + 1))) or 1


def signed_heads(
    seen: Sequence[Checkpoint], proofs: Mapping[tuple[int, int], Sequence[bytes]], verified: VerifyReport
) -> Finding:
    """I4, proofs: every head seen during the run leads to the next one, in the order seen; every inclusion proof of the
    last one verifies from the files alone. `proofs`: consistency proofs by (first size, second size)."""
    finding = Finding("I4 every signed head leads to the next one, every proof verifies")
    for before, after in pairwise(seen):
        finding.checked += 1
        try:
            proof = proofs.get((before.size, after.size), ())
            verify_consistency(before.size, after.size, proof, before.root, after.root)
        except ProofBroken as error:
            finding.broken(f"head {before.size}, then {after.size}: {error}")
    finding.checked += verified.proofs_checked
    if verified.proofs_failed:
        finding.broken(f"{verified.proofs_failed} inclusion proofs fail", verified.proofs_failed)
    for problem in verified.problems:
        finding.broken(problem)
    finding.look(bool(seen) and seen[-1].size == verified.size, "the last head seen is not the one on disk")
    return finding


def lag(quiet_s: float | None, bound_s: float, left: Mapping[str, int]) -> Finding:
    """I6. `quiet_s`: from the end of the last fault and of the work until nothing waited, None when it never came;
    `left`: what still waits, by name."""
    finding = Finding(f"I6 nothing waited anywhere within {bound_s:.0f} s after the last fault")
    finding.look(quiet_s is not None and quiet_s <= bound_s, f"it took {quiet_s} s")
    for name, count in left.items():
        finding.look(count == 0, f"{name}: {count} wait")
    return finding


def moves(leaves: Sequence[Event], payments: Sequence[Payment]) -> Finding:
    """I5, by the history in the log: each payment from its instruction along the declared machine to its present state.

    Instruction and answers stand in two streams: the instruction is the beginning wherever the log has it.
    """
    finding = Finding("I5 payments moved only along the declared machine")
    begun = Counter(leaf.data["instruction_id"] for leaf in leaves if leaf.type == INSTRUCTED)
    history: dict[str, list[str]] = defaultdict(list)
    for leaf in leaves:
        if leaf.stream.startswith("payments.payments/") and leaf.type in STATE_OF and "instruction_id" in leaf.data:
            history[leaf.data["instruction_id"]].append(STATE_OF[leaf.type])
    present = {payment.instruction_id: payment.state for payment in payments}
    for instruction in sorted(begun.keys() | history.keys() | present.keys()):
        finding.checked += 1
        if begun[instruction] != 1:
            finding.broken(f"{instruction} was instructed {begun[instruction]} times")
        state = "instructed"
        for after in history[instruction]:
            if after not in MOVES[state]:  # type: ignore[index] # a state by construction
                finding.broken(f"{instruction} went from {state} to {after}")
            state = after
        if state != present.get(instruction):
            finding.broken(f"{instruction} is {present.get(instruction)}, its history ends with {state}")
    return finding


def order(
    records: Mapping[str, Sequence[Record]], heads: Mapping[str, int], leaves: Sequence[Event],
    book_states: Mapping[str, str],
) -> Finding:  # fmt: skip
    """I7: what a consumer takes by its mark is 1..n in each stream; each key has one partition; each key's events stand
    in the log in their sequence; a sequence never stands for two events; no bank was asked about an instruction before
    it had it (`book_states`: it would be `closed`)."""
    finding = Finding("I7 the order of every key held, in Kafka and in the log")
    for stream, head in heads.items():
        finding.checked += 1
        taken = _taken(stream, records.get(stream, ()), finding)
        if taken != head:
            finding.broken(f"{stream}: a consumer gets to {taken} of {head}", abs(head - taken))
    last: dict[tuple[str, str], int] = {}
    for leaf in leaves:
        place = (leaf.stream, leaf.key)
        if leaf.sequence <= last.get(place, 0):
            finding.broken(f"{leaf.stream}: the log has {leaf.sequence} of a key behind {last[place]}")
        last[place] = leaf.sequence
    finding.checked += len(last)
    for instruction, state in book_states.items():
        finding.look(state != "closed", f"{instruction}: its bank was asked about it before it was instructed")
    return finding


def _taken(stream: str, records: Sequence[Record], finding: Finding) -> int:
    """The sequence a consumer reaches: repeats and what stands behind a hole are dropped, as every consumer does."""
    mark = 0
    bodies: dict[int, bytes] = {}
    for record in records:
        event = record.event
        if event is None or event.stream != stream or event.key != record.key:
            finding.broken(f"{stream}: offset {record.offset} holds no event of this stream under its key")
            continue
        if bodies.setdefault(event.sequence, event.body) != event.body:
            finding.broken(f"{stream}: {event.sequence} stands for two events")
        if not _in_its_partition(event):
            finding.broken(f"{stream}: {event.sequence} has a key that belongs to another partition")
        if event.sequence == mark + 1:
            mark = event.sequence
    return mark


def _in_its_partition(event: Event) -> bool:
    # Marks of a cut, a grant or a seal stand in every partition on purpose: their data names it.
    return event.type in MARK_TYPES or partition_for(event.key) == int(event.stream.rpartition("/")[2])


MARK_TYPES = frozenset({"salur.registry.cut.v1", "salur.cycle.granted.v1"})


def replayed(leaves: Sequence[Event], stated: Mapping[str, Any]) -> Finding:
    """I9. `leaves`: the log's events, in its order; `stated`: the answer of the payments service's `GET /ledger`."""
    finding = Finding("I9 the log alone leads to the same ledger, reserves among it")
    again = Ledger()
    for leaf in leaves:
        again.take(leaf.type, leaf.data)
    finding.look(again.hash() == stated["moved_hash"], "the movements are not those of the ledger")
    differ = differing(again, stated)
    finding.look(not differ, f"accounts by the log and by the ledger: {differ}")
    for currency, (by_log, held) in reserves_differing(again, stated).items():
        finding.broken(f"{currency}: {by_log} set aside by the log, {held} reserved")
    return finding


def nobody_forgotten(
    wanted: Expected, household_ids: Mapping[str, str | None], leaves: Sequence[Event], eligible: int, rounds: int
) -> Finding:
    """Everyone of the input, counted without the product: registered, decided as the rows say, entitled to the cent
    once in every round. `household_ids` by survey number."""
    finding = Finding("nobody was forgotten: registered, decided and entitled as without any fault")
    decided = _per_key(leaves, "salur.decision.made.v1", "household_id", "outcome")
    granted = _per_key(leaves, "salur.entitlement.granted.v1", "beneficiary_id", "amount_minor")
    for number in wanted.households:
        household_id = household_ids.get(number) or ""
        finding.look(bool(household_id), f"survey household {number} is not registered")
        outcome = "enrolled" if number in wanted.due_minor else "not-enrolled"
        said = decided.get(household_id, [])
        finding.look(said == [outcome], f"household {household_id} is decided {said}, the rows say {outcome}")
        due = [wanted.due_minor[number]] * rounds if number in wanted.due_minor else []
        got = granted.get(household_id, [])
        finding.look(got == due, f"household {household_id} was granted {got} minor units, due are {due}")
    finding.look(eligible == wanted.eligible, f"{eligible} meet the poverty criterion, the rows say {wanted.eligible}")
    strangers = decided.keys() - {household_id for household_id in household_ids.values() if household_id}
    finding.look(not strangers, f"{len(strangers)} households were decided that nobody registered")
    return finding


def _per_key(leaves: Sequence[Event], event_type: str, name: str, value: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for leaf in leaves:
        if leaf.type == event_type:
            found[leaf.data[name]].append(leaf.data[value])
    return found
