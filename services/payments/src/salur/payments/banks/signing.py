"""Signed messages of banks: Ed25519 over the exact bytes of the record's value.

The Kafka header `signature` holds `<key id>:<base64 of the signature>`. A bank may hold several keys at once, so that
it changes them without a gap. A message is taken only within a window around its own `time`, so that a recording is
worth nothing later; its `id` already makes a repeat harmless.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from salur.payments.domain.results import Unusable

HEADER = "signature"
HEADER_MAX_SIZE = 256
AHEAD = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class BankKey:
    """A public key and when it counts; `valid_until` None = no end known."""

    public_key: bytes
    valid_from: datetime
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class Signatures:
    """The banks that must sign, their keys by (bank, key id), and how old a message may be."""

    required: frozenset[str]
    keys: Mapping[tuple[str, str], BankKey]
    window_s: float

    def check(self, bank: str, value: bytes, headers: Sequence[tuple[str, bytes]]) -> None:
        """Raises Unusable when a bank that must sign has not signed exactly these bytes with a key that counts now."""
        if bank not in self.required:
            return
        given = next((content for name, content in headers if name == HEADER), None)
        if given is None:
            raise Unusable("unsigned")
        key_id, signature = _split(given)
        key = self.keys.get((bank, key_id))
        if key is None:
            raise Unusable("key-unknown")
        try:
            Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, value)
        except InvalidSignature:
            raise Unusable("bad-signature") from None
        said, now = _time_of(value), datetime.now(UTC)
        if said < key.valid_from or (key.valid_until is not None and said > key.valid_until):
            raise Unusable("key-expired")
        if not now - timedelta(seconds=self.window_s) <= said <= now + AHEAD:
            raise Unusable("stale")


NO_SIGNATURES = Signatures(frozenset(), {}, 0)


def _split(given: bytes) -> tuple[str, bytes]:
    try:
        if len(given) > HEADER_MAX_SIZE:
            raise ValueError("too long")
        key_id, _, encoded = given.decode("ascii").partition(":")
        return key_id, base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise Unusable("bad-signature") from None


def _time_of(value: bytes) -> datetime:
    try:
        moment = datetime.fromisoformat(orjson.loads(value)["time"])
    except (ValueError, KeyError, TypeError):
        raise Unusable("malformed") from None
    if moment.tzinfo is None:
        raise Unusable("malformed")
    return moment
