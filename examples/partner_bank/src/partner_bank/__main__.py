"""`python -m partner_bank --bank bank-a --bootstrap HOST:PORT --state-dir DIR`: run one bank."""

import argparse
import asyncio
import logging
from functools import partial
from pathlib import Path

from partner_bank.book import Book, book_path
from partner_bank.files import FileBank
from partner_bank.profile import PROFILES
from partner_bank.rules import LAG_S
from partner_bank.service import Bank, hold_lock, serve
from partner_bank.signing import read_key, signature_header


def main() -> None:
    """Read the arguments and run until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m partner_bank", description="A partner bank with its own book.")
    parser.add_argument("--bank", required=True, help="the bank's code, for example bank-a")
    parser.add_argument("--bootstrap", help="Kafka, host:port; without it the bank works with files alone")
    parser.add_argument("--files", type=Path, help="the bank's folder, with outbox and inbox")
    parser.add_argument("--account", default="0012345", help="the account that pays, for files")
    parser.add_argument("--state-dir", type=Path, required=True, help="where the bank keeps its book")
    parser.add_argument("--seed", type=int, default=7, help="chooses which instructions are refused, late, silent …")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="default")
    parser.add_argument("--signing-key", type=Path, help="file with an Ed25519 private key, 64 hex digits")
    parser.add_argument("--key-id", default="k1", help="the id Salur knows the key's public half by")
    parser.add_argument("--lag-s", type=float, default=LAG_S, help="how late a lagging instruction is read")
    arguments = parser.parse_args()
    if arguments.bootstrap is None and arguments.files is None:
        parser.error("--bootstrap or --files is needed")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it logs every attempt while a broker is away
    sign = (
        partial(signature_header, read_key(arguments.signing_key), arguments.key_id) if arguments.signing_key else None
    )
    with hold_lock(arguments.state_dir):
        book = Book(
            book_path(arguments.state_dir), arguments.bank, PROFILES[arguments.profile], arguments.seed,
            keep_accounts=arguments.files is not None, lag_s=arguments.lag_s,
        )  # fmt: skip
        bank: Bank | FileBank
        if arguments.bootstrap is None:
            bank = FileBank(book, arguments.files, arguments.account)
        else:
            bank = Bank(arguments.bank, arguments.bootstrap, book, sign)
        try:
            asyncio.run(serve(arguments.bank, bank))
        finally:
            book.close()


if __name__ == "__main__":
    main()
