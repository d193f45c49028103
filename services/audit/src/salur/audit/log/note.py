"""Signed notes, verifier keys, checkpoints and cosignatures.

Source: C2SP signed-note v1.0.0, tlog-checkpoint v1.0.0, tlog-cosignature v1.0.1 (Ed25519).
"""

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
COSIGNATURE = b"\x04"
"""Key type of a witness: its signature holds the time it was made."""
KEY_ID_SIZE = 4
TIME_SIZE = 8
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
    """A named Ed25519 public key; text form `<name>+<key id hex>+<base64 of kind and key>`.

    `kind` is ED25519 for a log, COSIGNATURE for a witness.
    """

    name: str
    public: bytes
    kind: bytes = ED25519

    @property
    def key_id(self) -> bytes:
        """First 4 bytes of SHA-256(name LF kind public key)."""
        return sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:KEY_ID_SIZE]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self.kind + self.public).decode()}"

    @classmethod
    def parse(cls, text: str, kind: bytes = ED25519) -> "VerifierKey":
        """Raises MalformedNote."""
        parts = text.strip().split("+", 2)
        if len(parts) != 3 or not _NAME.match(parts[0]):
            raise MalformedNote("a verifier key reads <name>+<key id>+<key>")
        data = decode_base64(parts[2])
        if len(data) != 33 or data[:1] != kind:
            raise MalformedNote(f"an Ed25519 verifier key of kind {kind.hex()} is needed here")
        key = cls(parts[0], data[1:], kind)
        if key.key_id.hex() != parts[1]:
            raise MalformedNote("the key id does not belong to the key")
        return key

    def verify(self, text: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `text`: 64 bytes, those of a witness behind 8 bytes of time."""
        if self.kind == COSIGNATURE:
            text, signature = _cosigned(text, signature[:TIME_SIZE]), signature[TIME_SIZE:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


def parse_keys(text: str) -> tuple[VerifierKey, ...]:
    """The keys of a log, one a line, the newest first. Raises MalformedNote."""
    keys = tuple(VerifierKey.parse(line) for line in text.splitlines() if line.strip())
    if not keys or len({key.name for key in keys}) != 1:
        raise MalformedNote("a key file holds the keys of one log, one a line")
    return keys


@dataclass(frozen=True, slots=True)
class Signer:
    """A named Ed25519 private key of a log or, with kind COSIGNATURE, of a witness."""

    name: str
    private: bytes = field(repr=False)
    kind: bytes = ED25519

    @property
    def verifier(self) -> VerifierKey:
        key = Ed25519PrivateKey.from_private_bytes(self.private).public_key()
        return VerifierKey(self.name, key.public_bytes(Encoding.Raw, PublicFormat.Raw), self.kind)

    def sign(self, text: str) -> str:
        """The note: text, empty line, one signature line."""
        return f"{text}\n{self.line(text)}"

    def line(self, text: str, time_s: int = 0) -> str:
        """The signature line over a note's text. `time_s`: when a witness saw it."""
        if not text.endswith("\n") or _CONTROL.search(text) or not _NAME.match(self.name):
            raise MalformedNote("a note's text ends in a newline and holds no other control character")
        time = time_s.to_bytes(TIME_SIZE, "big") if self.kind == COSIGNATURE else b""
        message = _cosigned(text.encode(), time) if time else text.encode()
        signature = Ed25519PrivateKey.from_private_bytes(self.private).sign(message)
        return f"— {self.name} {base64.b64encode(self.verifier.key_id + time + signature).decode()}\n"


def _cosigned(text: bytes, time: bytes) -> bytes:
    return b"cosignature/v1\ntime %d\n" % int.from_bytes(time, "big") + text


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A signed text, not verified yet. `signatures`: name, key id with signature."""

    text: str
    signatures: tuple[tuple[str, bytes], ...]

    @classmethod
    def parse(cls, note: str) -> "Note":
        """Raises MalformedNote."""
        if len(note) > MAX_NOTE_SIZE or _CONTROL.search(note):
            raise MalformedNote("a note over 1 MB or with a control character")
        text, separator, signatures = note.rpartition("\n\n")
        if not separator or not signatures.endswith("\n"):
            raise MalformedNote("a note has a text, an empty line and signature lines")
        lines = signatures[:-1].split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise MalformedNote(f"a note with more than {MAX_SIGNATURES} signatures")
        return cls(f"{text}\n", tuple(_signature(line) for line in lines))

    def signed_by(self, key: VerifierKey) -> bool:
        """Whether the note holds this key's signature. False also when one of several in its name is wrong."""
        own = self._claimed(key)
        return bool(own) and all(key.verify(self.text.encode(), signature) for signature in own)

    def claims(self, key: VerifierKey) -> bool:
        """Whether a signature line names this key, right or wrong."""
        return bool(self._claimed(key))

    def _claimed(self, key: VerifierKey) -> list[bytes]:
        mark = (key.name, key.key_id)
        return [blob[KEY_ID_SIZE:] for name, blob in self.signatures if (name, blob[:KEY_ID_SIZE]) == mark]


def open_checkpoint(note: str, key: VerifierKey, *others: VerifierKey) -> Checkpoint:
    """Check the log's signature and read the checkpoint. `others` are further keys of the same log: one must have
    signed. Signatures of unknown keys are ignored.

    A wrong signature under a known name and key id refuses the note even beside a right one.
    Raises MalformedNote, SignatureBroken.
    """
    parsed = Note.parse(note)
    claimed = [known for known in (key, *others) if parsed.claims(known)]
    if not claimed or not all(parsed.signed_by(known) for known in claimed):
        raise SignatureBroken(f"no valid signature of {key.name}: do not trust this tree head, ask the auditors")
    return read_checkpoint(parsed.text, key.name)


def read_checkpoint(text: str, origin: str) -> Checkpoint:
    """The tree head that a note's text states; says nothing about signatures. Raises MalformedNote."""
    lines = text.split("\n")
    if len(lines) != 4 or not _SIZE.match(lines[1]):
        raise MalformedNote("a checkpoint has three lines: origin, size, root")
    root = decode_base64(lines[2])
    if lines[0] != origin or len(root) != 32:
        raise MalformedNote("the checkpoint belongs to another log or its root is no SHA-256")
    if int(lines[1]) > MAX_SIZE or (lines[1] == "0" and root != EMPTY_ROOT):
        raise MalformedNote("a size of 2^63 or more, or an empty tree with entries in its root")
    return Checkpoint(lines[0], int(lines[1]), root)


def _signature(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—" or not _NAME.match(parts[1]):
        raise MalformedNote("a signature line reads — <name> <signature>")
    blob = decode_base64(parts[2])
    if len(blob) <= KEY_ID_SIZE:
        raise MalformedNote("a signature shorter than its key id")
    return parts[1], blob
