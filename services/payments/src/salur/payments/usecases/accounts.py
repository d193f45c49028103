"""Account number and holder of a payee version: sealed where they rest, bound to their beneficiary."""

import orjson

from salur.common.secrets import Secrets


def _context(beneficiary_id: str) -> bytes:
    return f"payee/{beneficiary_id}".encode()


def seal_account(secrets: Secrets, beneficiary_id: str, number: str, holder: str) -> bytes:
    """What is stored of an account."""
    return secrets.seal(orjson.dumps([number, holder]), _context(beneficiary_id))


def open_account(secrets: Secrets, beneficiary_id: str, sealed: bytes) -> tuple[str, str]:
    """(account number, holder) of a sealed payee version. Raises SealBroken."""
    number, holder = orjson.loads(secrets.open(sealed, _context(beneficiary_id)))
    return number, holder
