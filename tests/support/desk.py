"""Payments with its folders on a real database; the banks are the example's own code that works with files."""

from dataclasses import dataclass
from pathlib import Path

import orjson

from partner_bank import iso
from partner_bank.book import Book, book_path
from partner_bank.files import FileBank
from partner_bank.profile import PROFILES, Profile
from salur.common.database import Database
from salur.common.secrets import Secrets
from salur.common.service import Runtime
from salur.payments.files import FileChannel
from salur.payments.settings import PaymentsSettings
from salur.payments.usecases import views
from support.payments import BANKS, House

DEBTOR = dict.fromkeys(BANKS, "0012345")


@dataclass
class Desk:
    """Payments with its folders. Banks put files and take them."""

    house: House
    channel: FileChannel
    runtime: Runtime
    root: Path

    def put(self, bank: str, name: str, content: bytes) -> Path:
        path = self.root / bank / "inbox" / name
        path.write_bytes(content)
        return path

    async def take(self) -> None:
        while await self.channel.take_next():
            pass

    async def send(self) -> None:
        while await self.channel.write_next():
            pass

    def names(self, bank: str, folder: str) -> list[str]:
        return sorted(path.name for path in (self.root / bank / folder).iterdir())

    def orders(self, bank: str) -> dict[str, iso.Order]:
        found = [iso.read_pain001(path) for path in (self.root / bank / "outbox").glob("pain001-*.xml")]
        return {order.instruction_id: order for _, orders in found for order in orders}

    def refusal(self, bank: str) -> str:
        (reason,) = (self.root / bank / "refused").glob("*.reason.json")
        return str(orjson.loads(reason.read_bytes())["code"])

    async def ledger_hash(self) -> str:
        async with self.house.db.transaction() as conn:
            return str((await views.ledger_view(conn, with_hash=True))["hash"])

    def banks_turn(self, profile: Profile = PROFILES["all-credited"]) -> None:
        """Every bank takes its files and answers by files."""
        for bank in BANKS:
            folder = self.root / bank
            book = Book(book_path(folder), bank, profile, 7, keep_accounts=True)
            FileBank(book, folder, "0012345").turn()
            book.close()

    @classmethod
    async def open(cls, db: Database, url: str, keys: Secrets, folder: Path, *, transactions: int = 3) -> "Desk":
        house = await House.build(db, url, keys)
        key_file = folder / "key"
        key_file.write_text(bytes(range(32)).hex())
        settings = PaymentsSettings(
            database_url=url, kafka_bootstrap="unused:1", jwks_file=folder / "jwks", master_key_file=key_file,
            banks=BANKS, bank_files_dir=folder / "banks", file_banks=BANKS, file_debtor_accounts=DEBTOR, file_wait_s=0,
            file_quiet_s=0, file_transactions=transactions,
        )  # fmt: skip
        runtime = Runtime("payments", settings)
        runtime.db, runtime.store = db, house.store
        return cls(house, FileChannel(runtime, settings), runtime, folder / "banks")
