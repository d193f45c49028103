"""Signed notes, verifier keys and checkpoints. Source: C2SP signed-note v1.0.0, tlog-checkpoint v1.0.0."""

import base64
import binascii
import re
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from salur.audit.log.errors import MalformedNote, SignatureBroken
from salur.audit.log.tree import EMPTY_ROOT

ED25519 = b"\x01"
KEY_ID_SIZE = 4
MAX_NOTE_SIZE = 1_000_000
MAX_SIGNATURES = 100
MAX_SIZE = 2**63 - 1
_NAME = re.compile(r"[^\s+\x00-\x1f]{1,200}\Z")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\Z")


def decode_base64(text: str) -> bytes:
    """Standard base64 in its one canonical form. Raises MalformedNote."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedNote("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise MalformedNote("base64 that is not canonical")
    return data


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A named Ed25519 public key; text form `<name>+<key id hex>+<base64 of 0x01 and the key>`."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """First 4 bytes of SHA-256(name LF 0x01 public key)."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:KEY_ID_SIZE]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Raises MalformedNote."""
        parts = text.strip().split("+", 2)
        if len(parts) != 3 or not _NAME.match(parts[0]):
            raise MalformedNote("a verifier key reads <name>+<key id>+<key>")
        data = decode_base64(parts[2])
        if len(data) != 33 or data[:1] != ED25519:
            raise MalformedNote("only Ed25519 verifier keys are known")
        key = cls(parts[0], data[1:])
        if key.key_id.hex() != parts[1]:
            raise MalformedNote("the key id does not belong to the key")
        return key

    def verify(self, text: bytes, signature: bytes) -> bool:
        """Whether `signature` (64 bytes) is this key's over `text`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A named Ed25519 private key."""

    name: str
    private: bytes = field(repr=False)

    @property
    def verifier(self) -> VerifierKey:
        key = Ed25519PrivateKey.from_private_bytes(self.private).public_key()
        return VerifierKey(self.name, key.public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, text: str) -> str:
        """The note: text, empty line, one signature line."""
        if not text.endswith("\n") or _CONTROL.search(text) or not _NAME.match(self.name):
            raise MalformedNote("a note's text ends in a newline and holds no other control character")
        signature = Ed25519PrivateKey.from_private_bytes(self.private).sign(text.encode())
        blob = base64.b64encode(self.verifier.key_id + signature).decode()
        return f"{text}\n— {self.name} {blob}\n"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def open_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """Check the log's signature and read the checkpoint; signatures of other keys are ignored.

    A wrong signature under the log's own name and key id refuses the note even beside a right one.
    Raises MalformedNote, SignatureBroken.
    """
    if len(note) > MAX_NOTE_SIZE or _CONTROL.search(note):
        raise MalformedNote("a note over 1 MB or with a control character")
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise MalformedNote("a note has a text, an empty line and signature lines")
    text += "\n"
    lines = signatures[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise MalformedNote(f"a note with more than {MAX_SIGNATURES} signatures")
    own = [blob for line in lines if (blob := _signature_of(line, key)) is not None]
    if not own or not all(key.verify(text.encode(), blob) for blob in own):
        raise SignatureBroken(f"no valid signature of {key.name}: do not trust this tree head, ask the auditors")
    lines = text.split("\n")
    if len(lines) != 4 or not _SIZE.match(lines[1]):
        raise MalformedNote("a checkpoint has three lines: origin, size, root")
    root = decode_base64(lines[2])
    if lines[0] != key.name or len(root) != 32:
        raise MalformedNote("the checkpoint belongs to another log or its root is no SHA-256")
    if int(lines[1]) > MAX_SIZE or (lines[1] == "0" and root != EMPTY_ROOT):
        raise MalformedNote("a size of 2^63 or more, or an empty tree with entries in its root")
    return Checkpoint(lines[0], int(lines[1]), root)


def _signature_of(line: str, key: VerifierKey) -> bytes | None:
    """The signature when the line claims to be by `key`, else None."""
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—" or not _NAME.match(parts[1]):
        raise MalformedNote("a signature line reads — <name> <signature>")
    blob = decode_base64(parts[2])
    if len(blob) <= KEY_ID_SIZE:
        raise MalformedNote("a signature shorter than its key id")
    return blob[KEY_ID_SIZE:] if (parts[1], blob[:KEY_ID_SIZE]) == (key.name, key.key_id) else None
