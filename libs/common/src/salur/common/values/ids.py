"""Identifiers: time-ordered for what begins here, derived for what has a cause."""

import hashlib
import uuid

import uuid_utils


def new_id() -> str:
    """A new UUIDv7 (RFC 9562) as 32 hex digits: fits ISO 20022 fields, sorts by time."""
    return uuid_utils.uuid7().hex


def new_uuid() -> uuid.UUID:
    """A new UUIDv7 as the standard library's type, for database columns."""
    return uuid.UUID(bytes=uuid_utils.uuid7().bytes)


def derived_id(*parts: str) -> str:
    """The same 32 hex digits for the same parts, whoever computes them.

    Ids are made by their cause: an entitlement is f(programme, cycle, beneficiary, kind), so that a
    repeated command meets the first one instead of making a second.
    """
    return short_hash("\x1f".join(parts).encode(), 32)


def short_hash(data: bytes, length: int) -> str:
    """The first `length` hex digits of SHA-256 over `data`."""
    return hashlib.sha256(data).hexdigest()[:length]


def payment_id(entitlement_id: str, part: int) -> str:
    """One payment per entitlement and part: 30 hex digits."""
    return short_hash(f"{entitlement_id}/{part}".encode(), 30)


def instruction_id(payment: str, attempt: int) -> str:
    """One instruction per payment and attempt: `<payment>-<attempt:03d>`, 34 characters."""
    if not 1 <= attempt <= 999:
        raise ValueError(f"attempt must be 1 to 999, got {attempt}")
    return f"{payment}-{attempt:03d}"
