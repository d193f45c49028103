"""Offline receipts. Source: C2SP tlog-proof (`c2sp.org/tlog-proof@v1`): index, inclusion hashes, signed checkpoint.

The leaf stands base64 in the `extra` line, so that a receipt is checked with nothing but the file and the key.
"""

import base64
import re
from dataclasses import dataclass

from salur.audit.log.errors import MalformedNote
from salur.audit.log.note import MAX_SIZE, Checkpoint, VerifierKey, decode_base64, open_checkpoint
from salur.audit.log.tree import leaf_hash, verify_inclusion

HEADER = "c2sp.org/tlog-proof@v1"
MAX_HASHES = 63
_INDEX = re.compile(r"(0|[1-9][0-9]{0,18})\Z")


@dataclass(frozen=True, slots=True)
class Receipt:
    """One leaf, its place, the way to the root, and the signed tree head. `leaf` is None where it is kept apart."""

    leaf: bytes | None
    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str

    def text(self) -> str:
        hashes = "".join(base64.b64encode(item).decode() + "\n" for item in self.hashes)
        extra = "" if self.leaf is None else f"extra {base64.b64encode(self.leaf).decode()}\n"
        return f"{HEADER}\n{extra}index {self.index}\n{hashes}\n{self.checkpoint}"

    @classmethod
    def parse(cls, text: str) -> "Receipt":
        """Raises MalformedNote."""
        head, separator, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if not separator or lines[0] != HEADER:
            raise MalformedNote("not a tlog-proof file")
        leaf = (
            decode_base64(lines.pop(1).removeprefix("extra ")) if lines[1:] and lines[1].startswith("extra ") else None
        )
        number = lines[1].removeprefix("index ") if lines[1:] and lines[1].startswith("index ") else ""
        if not _INDEX.match(number) or int(number) > MAX_SIZE or len(lines) > MAX_HASHES + 2:
            raise MalformedNote("a proof has an index line, a number, and not too many hashes")
        hashes = tuple(decode_base64(line) for line in lines[2:])
        if any(len(item) != 32 for item in hashes):
            raise MalformedNote("a hash of the proof is no SHA-256")
        return cls(leaf, int(number), hashes, checkpoint)

    def verify(self, key: VerifierKey, *others: VerifierKey) -> Checkpoint:
        """The tree head that holds the leaf; `others` are further keys of the log. Raises MalformedNote,
        SignatureBroken, ProofBroken."""
        if self.leaf is None:
            raise MalformedNote("a receipt needs its entry in the extra line")
        head = open_checkpoint(self.checkpoint, key, *others)
        verify_inclusion(self.index, head.size, leaf_hash(self.leaf), self.hashes, head.root)
        return head
