"""The keys banks sign with: added and ended by two people, read anew for every batch, so that an end counts at once."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from salur.common.database import Connection
from salur.common.events import Draft
from salur.payments import errors
from salur.payments.banks.signing import NO_SIGNATURES, BankKey, Signatures
from salur.payments.store import queries
from salur.payments.usecases.proposals import Person, Proposal

ADD, END = "bank-key-add", "bank-key-end"


def key_subject(bank: str, key_id: str) -> str:
    """What a proposal about a key is about."""
    return f"{bank}/{key_id}"


async def signatures(conn: Connection, banks: Collection[str], window_s: float) -> Signatures:
    """What the banks that must sign are held to now."""
    if not banks:
        return NO_SIGNATURES
    rows = await queries.keys_of_banks(conn, banks=sorted(banks))
    keys = {
        (row["bank"], row["key_id"]): BankKey(row["public_key"], row["valid_from"], row["valid_until"]) for row in rows
    }
    return Signatures(frozenset(banks), keys, window_s)


async def add_key(
    conn: Connection, proposal_id: str, proposal: Proposal, _person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """A key counts from its `valid_from` on. Raises Conflict when the id is taken: keys are never replaced."""
    bank, _, key_id = proposal.subject.partition("/")
    until = proposal.content["valid_until"]
    added = await queries.insert_bank_key(
        conn, bank=bank, key_id=key_id, public_key=bytes.fromhex(proposal.content["public_key"]),
        valid_from=datetime.fromisoformat(proposal.content["valid_from"]),
        valid_until=datetime.fromisoformat(until) if until else None, proposal_id=proposal_id,
    )  # fmt: skip
    if added is None:
        raise errors.bank_key_exists(bank, key_id)
    return {"bank": bank, "key_id": key_id}, []


async def end_key(
    conn: Connection, _proposal_id: str, proposal: Proposal, _person: Person
) -> tuple[dict[str, Any], list[Draft]]:
    """Messages of a later time no longer count under this key. Raises NotFound."""
    bank, _, key_id = proposal.subject.partition("/")
    ended = await queries.end_bank_key(conn, bank=bank, key_id=key_id, valid_until=datetime.now(UTC))
    if ended is None:
        raise errors.bank_key_unknown(bank, key_id)
    return {"bank": bank, "key_id": key_id, "valid_until": ended["valid_until"].isoformat()}, []


async def keys_page(conn: Connection, bank: str) -> dict[str, Any]:
    """A bank's public keys."""
    rows = await queries.keys_of_banks(conn, banks=[bank])
    return {"keys": [{**dict(row), "public_key": row["public_key"].hex()} for row in rows]}
