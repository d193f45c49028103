"""Sealing at rest (AES-256-GCM with key id) and keyed hashes for look-up, both under the service's master key."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

NONCE_SIZE = 12
KEY_ID_SIZE = 4

_BLOCK_SIZE = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


def keyed_hash(key: bytes) -> Callable[[bytes], bytes]:
    """HMAC-SHA-256 (RFC 2104) under a key of at most 64 bytes, padded once: half the time of `hmac.digest`."""
    if len(key) > _BLOCK_SIZE:
        raise ValueError(f"a key must be at most {_BLOCK_SIZE} bytes, got {len(key)}")
    block = key.ljust(_BLOCK_SIZE, b"\x00")
    inner, outer = block.translate(_INNER), block.translate(_OUTER)
    sha256 = hashlib.sha256
    return lambda message: sha256(outer + sha256(inner + message).digest()).digest()


class SealBroken(Exception):
    """Sealed bytes do not open: another key, another context, or changed bytes."""


def _expand(master: bytes, purpose: str) -> bytes:
    return HKDFExpand(algorithm=SHA256(), length=32, info=b"salur/" + purpose.encode()).derive(master)


class Secrets:
    """Seals, opens and tokenises. Sealed form: key id (4 bytes), nonce (12), ciphertext with tag.

    `newer` keys come by rotation: the last one seals, all of them open. Tokens stay those of the master for life.
    """

    def __init__(self, master: bytes, *newer: bytes) -> None:
        self._aeads: dict[bytes, AESGCM] = {}
        for key in (master, *newer):
            if len(key) != 32:
                raise ValueError(f"a key must be 32 bytes, got {len(key)}")
            seal_key = _expand(key, "seal")
            self.key_id = hashlib.sha256(seal_key).digest()[:KEY_ID_SIZE]
            self._aeads[self.key_id] = AESGCM(seal_key)
        self._token_key = _expand(master, "token")
        self._token = keyed_hash(self._token_key)

    @classmethod
    def from_file(cls, path: Path) -> "Secrets":
        """Read hex keys, one a line, the master first. Raises ValueError when a line is not 64 hex digits."""
        keys = [bytes.fromhex(line) for line in path.read_text(encoding="ascii").split()]
        if not keys:
            raise ValueError(f"the key file {path} is empty: put the service's key there")
        return cls(*keys)

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Encrypt; `context` is bound in and must be given again to open."""
        nonce = os.urandom(NONCE_SIZE)
        return self.key_id + nonce + self._aeads[self.key_id].encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Decrypt. Raises SealBroken."""
        aead = self._aeads.get(sealed[:KEY_ID_SIZE])
        if aead is None:
            raise SealBroken("sealed under a key this service does not hold: operations must supply that key")
        nonce = sealed[KEY_ID_SIZE : KEY_ID_SIZE + NONCE_SIZE]
        try:
            return aead.decrypt(nonce, sealed[KEY_ID_SIZE + NONCE_SIZE :], context)
        except InvalidTag:
            raise SealBroken("sealed bytes were changed or belong to another context") from None

    def token(self, kind: str, value: str) -> str:
        """HMAC-SHA-256 hex of a personal value: equal values meet, the value cannot be guessed without the key."""
        return self._token(f"{kind}\x1f{value}".encode()).hex()

    def hasher(self, purpose: str) -> Callable[[str], int]:
        """Keyed 64-bit hashes (BLAKE2b) under a key of their own, for large indexes: four times as fast as `token`."""
        keyed = hashlib.blake2b(key=_expand(self._token_key, purpose), digest_size=8)

        def hashed(value: str) -> int:
            one = keyed.copy()
            one.update(value.encode())
            return int.from_bytes(one.digest(), signed=True)

        return hashed


def seal_with(key: bytes, plain: bytes, context: bytes) -> bytes:
    """AES-GCM under a given 32-byte key: nonce (12), ciphertext with tag."""
    nonce = os.urandom(NONCE_SIZE)
    return nonce + AESGCM(key).encrypt(nonce, plain, context)


def open_with(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """The inverse of `seal_with`. Raises SealBroken."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], context)
    except InvalidTag:
        raise SealBroken("sealed bytes were changed or belong to another context") from None
