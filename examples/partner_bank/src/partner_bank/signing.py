"""Sign what goes out: Ed25519 over the exact bytes of the message, in the Kafka header `signature`."""

import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HEADER = "signature"


def read_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a file of 64 hex digits. Raises ValueError, OSError."""
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text(encoding="ascii").strip()))


def signature_header(key: Ed25519PrivateKey, key_id: str, value: bytes) -> tuple[str, bytes]:
    """`<key id>:<base64 of the signature>`."""
    return HEADER, key_id.encode() + b":" + base64.b64encode(key.sign(value))
