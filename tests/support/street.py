"""Payments and its banks without Kafka between them: the test decides what arrives, when and how often.

The banks are the example's own code; their books are the oracle.
"""

from dataclasses import dataclass, field
from pathlib import Path

from partner_bank.book import Arrived, Book, book_path, most_live, transfers
from partner_bank.profile import PROFILES, Profile
from salur.common.secrets import open_with
from support.payments import BANKS, House

END_OF_TIME = 1e12


@dataclass
class Street:
    """Payments and its banks."""

    house: House
    books: dict[str, Book]
    paths: dict[str, Path]
    taken: set[tuple[str, int]] = field(default_factory=set)

    @classmethod
    def of(cls, house: House, folder: Path, profile: Profile = PROFILES["all-credited"], seed: int = 7) -> "Street":
        paths = {bank: book_path(folder / bank) for bank in BANKS}
        return cls(house, {bank: Book(paths[bank], bank, profile, seed) for bank in BANKS}, paths)

    async def messages(self) -> list[tuple[str, str, Arrived]]:
        """(type, bank, message) of every instruction and inquiry not handed out yet, as the relay publishes them."""
        rows = await self.house.fetch(
            "SELECT e.stream, e.sequence, e.type, e.body, p.sealed, k.sealed AS subject_key, p.subject FROM event e"
            " LEFT JOIN event_personal p ON p.stream = e.stream AND p.sequence = e.sequence"
            " LEFT JOIN subject_key k ON k.subject = p.subject"
            " WHERE e.stream LIKE 'payments.instructions.%' ORDER BY e.stream, e.sequence"
        )
        found = []
        for row in rows:
            if (place := (row["stream"], row["sequence"])) in self.taken:
                continue
            self.taken.add(place)
            header = None
            if row["sealed"] is not None:
                key = self.house.keys.open(row["subject_key"], row["subject"].encode())
                header = open_with(key, row["sealed"], row["stream"].encode())
            bank = row["stream"].split("/")[0].removeprefix("payments.instructions.")
            found.append((row["type"], bank, Arrived(0, len(self.taken), row["body"], header)))
        return found

    async def deliver(self) -> None:
        """Everything payments has said reaches its bank."""
        for _, bank, message in await self.messages():
            self.books[bank].take([message])

    def said(self) -> list[tuple[str, bytes]]:
        """Everything the banks have to answer, taken out of their outboxes."""
        answers = []
        for bank, book in self.books.items():
            due = book.due(10_000, END_OF_TIME)
            book.sent(due)
            answers += [(bank, answer.value) for answer in due]
        return answers

    def kept(self) -> dict[str, int]:
        """Credits less returns by instruction, from the banks' own books."""
        kept: dict[str, int] = {}
        for path in self.paths.values():
            for row in transfers(path):
                kept[row[2]] = kept.get(row[2], 0) + (1 if row[5] == "credit" else -1)
        return kept

    def most_at_once(self) -> int:
        """The most transfers any entitlement and part ever kept at once, over all books."""
        return max(most_live([transfers(path) for path in self.paths.values()]).values(), default=0)


def only_settled(states: dict[str, str]) -> dict[str, int]:
    return {key: 1 for key, state in states.items() if state == "settled"}
