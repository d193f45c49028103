"""What the bank does with a batch of messages. Pure: it reads entries, it returns what to write."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from partner_bank.profile import Profile
from partner_bank.wire import AccountCheck, Inquiry, Instruction, Message, Recall, finding, result

LATE_S = 1.0
RETURN_AFTER_S = 0.5
LAG_S = 10.0
CREDITED, REJECTED, RETURNED = "ACCC", "RJCT", "RTRN"
CLOSED_ACCOUNT, WRONG_FORMAT, TOO_LATE, DUPLICATION = "AC04", "FF01", "TM01", "AM05"
BLOCKED_ACCOUNT, NOT_EXECUTED, NOT_FETCHED = "AC06", "NOOR", "NOAS"
ON_REQUEST, SPENT = "FOCR", "AM04"
IN_PROCESS = "ACSP"
CASH = "cash"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the bank knows about an instruction id. `state`: accepted, returned, rejected or closed (never executed)."""

    instruction_id: str
    payment_id: str
    entitlement_id: str
    part: int
    amount_minor: int
    currency: str
    content_hash: str
    account_commitment: str
    state: str
    reason: str | None
    received_at: float
    account: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One movement in the book: `credit` to the account or `return` from it."""

    instruction_id: str
    entitlement_id: str
    part: int
    kind: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A message to send at `due_at`. `value` None = send again what was written under this id, if anything was."""

    message_id: str
    key: str
    value: bytes | None
    due_at: float


@dataclass(slots=True)
class Outcome:
    """What one batch writes, in order."""

    entries: list[Entry] = field(default_factory=list)
    changed: list[Entry] = field(default_factory=list)
    untouched: list[Entry] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    repeats: int = 0
    conflicts: int = 0
    delayed: list[Instruction] = field(default_factory=list)
    """Instructions that are read only LAG_S later."""


@dataclass(slots=True)
class Clerk:
    """Handles one batch. `known` holds the entries of every id in the batch that the book has; it grows."""

    bank: str
    profile: Profile
    seed: int
    known: dict[str, Entry]
    now: float
    outcome: Outcome = field(default_factory=Outcome)

    def handle(self, messages: Sequence[Message], lagged: Sequence[Instruction] = ()) -> Outcome:
        """Take messages in the order of their topic, before them those that were read late."""
        for late in lagged:
            self._instruction(late, lagged=True)
        for message in messages:
            if isinstance(message, Inquiry):
                self._inquiry(message)
            elif isinstance(message, Recall):
                self._recall(message)
            elif isinstance(message, AccountCheck):
                self._check(message)
            else:
                self._instruction(message)
        return self.outcome

    def _instruction(self, message: Instruction, *, lagged: bool = False) -> None:
        entry = self.known.get(message.instruction_id)
        if entry is None and not lagged and self._behaviour(message) == "lagging":
            self.outcome.delayed.append(message)
        elif entry is None:
            self._first(message)
        elif entry.state == "closed":
            refused = replace(entry, amount_minor=message.amount_minor, currency=message.currency)
            self._say(refused, "refused", REJECTED, NOT_EXECUTED)
        elif message.content_hash != entry.content_hash:
            self.outcome.conflicts += 1
            other = replace(entry, amount_minor=message.amount_minor, currency=message.currency)
            self._say(other, f"conflict-{message.content_hash}", REJECTED, DUPLICATION)
        else:
            self.outcome.repeats += 1
            self._again(entry, "first")

    def _check(self, message: AccountCheck) -> None:
        """The same question has the same answer under the same id, however often it comes."""
        outcome = self.profile.finding(self.seed, message.check_id) if message.proven else "unknown-account"
        message_id = message_id_of(self.bank, message.check_id, "checked" if message.proven else "unproven")
        value = finding(self.bank, message_id, self.now, message, outcome)
        self.outcome.answers.append(Answer(message_id, message.check_id, value, self.now))

    def _behaviour(self, message: Instruction) -> str:
        return self.profile.behaviour(self.seed, message.instruction_id)

    def _first(self, message: Instruction) -> None:
        behaviour = self._behaviour(message)
        refusal = None
        if not message.proven:
            refusal = WRONG_FORMAT
        elif self.now > message.execute_until:
            refusal = TOO_LATE
        elif behaviour == "closed_account":
            refusal = CLOSED_ACCOUNT
        elif message.method == CASH and not self.profile.fetched(self.seed, message.instruction_id):
            refusal = NOT_FETCHED
        state = "rejected" if refusal else "returned" if behaviour == "returned" else "accepted"
        reason = refusal or (BLOCKED_ACCOUNT if state == "returned" else None)
        entry = Entry(
            message.instruction_id, message.payment_id, message.entitlement_id, message.part, message.amount_minor,
            message.currency, message.content_hash, message.account_commitment, state, reason, self.now,
            message.account,
        )  # fmt: skip
        self._enter(entry)
        if message.method == CASH and refusal in (None, NOT_FETCHED):
            self._say(entry, "ready", IN_PROCESS, None)
        if refusal:
            # Cash waits until its term; after it the bank never pays it out.
            wait_s = max(0.0, message.execute_until - self.now) if refusal == NOT_FETCHED else 0.0
            self._say(entry, "first", REJECTED, refusal, after_s=wait_s)
            return
        if behaviour != "lied":
            self._move(entry, "credit")
        if behaviour == "untouched":
            self.outcome.untouched.append(entry)
        if state == "returned":
            self._move(entry, "return")
            self._say(entry, "returned", RETURNED, reason, after_s=RETURN_AFTER_S)
        if behaviour == "silent":
            return
        self._say(entry, "first", CREDITED, None, after_s=LATE_S if behaviour == "late" else 0.0)
        if behaviour == "twice_same_id":
            self._again(entry, "first")
        elif behaviour == "twice_new_id":
            self._say(entry, "again", CREDITED, None)

    def _inquiry(self, message: Inquiry) -> None:
        entry = self.known.get(message.instruction_id)
        if entry is None:
            # The answer "not executed" is a promise.
            entry = self._closed(message)
        said = f"inquiry-{message.number}"
        if entry.state in {"rejected", "closed"}:
            self._say(entry, said, REJECTED, entry.reason, inquiry=message.number)
            return
        self._say(entry, said, CREDITED, None, inquiry=message.number)
        if entry.state == "returned":
            self._again(entry, "returned")

    def _recall(self, message: Recall) -> None:
        entry = self.known.get(message.instruction_id)
        if entry is None:
            entry = self._closed(message)
        if entry.state == "returned":
            self._again(entry, "returned")
        elif entry.state != "accepted":
            self._say(entry, f"recall-{message.number}", REJECTED, entry.reason, recall=message.number)
        elif self.profile.behaviour(self.seed, message.instruction_id) != "untouched":
            self._say(entry, f"recall-{message.number}", CREDITED, SPENT, recall=message.number)
        else:
            back = replace(entry, state="returned", reason=ON_REQUEST)
            self.known[entry.instruction_id] = back
            self.outcome.changed.append(back)
            self._move(back, "return")
            self._say(back, "returned", RETURNED, ON_REQUEST)

    def _closed(self, message: Inquiry | Recall) -> Entry:
        """An id we are asked about and do not know: from now on it can never be paid here."""
        entry = Entry(
            message.instruction_id, message.payment_id, "", 0, message.amount_minor, message.currency, "", "",
            "closed", NOT_EXECUTED, self.now,
        )  # fmt: skip
        self._enter(entry)
        return entry

    def _enter(self, entry: Entry) -> None:
        self.known[entry.instruction_id] = entry
        self.outcome.entries.append(entry)

    def _move(self, entry: Entry, kind: str) -> None:
        self.outcome.transfers.append(
            Transfer(entry.instruction_id, entry.entitlement_id, entry.part, kind, entry.amount_minor, entry.currency)
        )

    def _say(
        self,
        entry: Entry,
        said: str,
        status: str,
        reason: str | None,
        *,
        inquiry: int | None = None,
        recall: int | None = None,
        after_s: float = 0.0,
    ) -> None:
        message_id = message_id_of(self.bank, entry.instruction_id, said)
        value = result(
            self.bank,
            message_id,
            self.now,
            instruction_id=entry.instruction_id,
            status=status,
            reason=reason,
            amount_minor=entry.amount_minor,
            currency=entry.currency,
            bank_reference=reference_of(self.bank, entry.instruction_id),
            account_commitment=entry.account_commitment or None,
            inquiry=inquiry,
            recall=recall,
        )
        self.outcome.answers.append(Answer(message_id, entry.payment_id, value, self.now + after_s))

    def _again(self, entry: Entry, said: str) -> None:
        message_id = message_id_of(self.bank, entry.instruction_id, said)
        self.outcome.answers.append(Answer(message_id, entry.payment_id, None, self.now))


def reference_of(bank: str, instruction_id: str) -> str:
    """The bank's own reference of a credit and of its return, the same in every channel."""
    return message_id_of(bank, instruction_id, "reference")[:24]


def message_id_of(bank: str, instruction_id: str, said: str) -> str:
    """The same id for the same thing said about the same instruction: at most 35 characters."""
    return hashlib.sha256(f"{bank}/{instruction_id}/{said}".encode()).hexdigest()[:32]
