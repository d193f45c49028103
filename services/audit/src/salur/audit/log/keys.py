"""The log's keys: the newest signs, older ones go on signing until they are retired, retired ones are still known.

Every new key is handed over by the one before: a note that both sign. Who trusts an old key follows these notes, so
receipts of any time stay checkable with any key of the log. Private keys: `log.key` (newest), `log.key.<key id>`
(older, still signing), 0600; `log.retired`: verifier keys that sign no more; `log.handovers`: the notes.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from salur.audit.log.disk import DISK, place
from salur.audit.log.errors import MalformedNote, SignatureBroken
from salur.audit.log.note import Note, Signer, VerifierKey

HANDOVER = "salur.log-key-handover/v1"
_END_OF_NOTE = "\x1e\n"
_UNFINISHED = ".new"


@dataclass(frozen=True, slots=True)
class LogKeys:
    """What a log signs with. `signers`: the newest first, all sign. `retired`: known, but sign no more."""

    signers: tuple[Signer, ...]
    retired: tuple[VerifierKey, ...] = ()
    handovers: str = ""

    @property
    def name(self) -> str:
        return self.signers[0].name

    @property
    def verifiers(self) -> tuple[VerifierKey, ...]:
        """Every key of the log, the newest first."""
        return (*(signer.verifier for signer in self.signers), *self.retired)

    def sign(self, text: str) -> str:
        """The note with a line of each signer."""
        return f"{text}\n" + "".join(signer.line(text) for signer in self.signers)


def load_keys(folder: Path, origin: str) -> LogKeys:
    """The keys in `folder`; the first is made once, beside nothing public."""
    newest = folder / "log.key"
    if not newest.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_secret(newest, os.urandom(32))
    older = sorted(_older(folder), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    signers = [Signer(origin, bytes.fromhex(path.read_text("ascii").strip())) for path in (newest, *older)]
    # A rotation that ended before its last step has put the newest key beside itself: it signs once.
    signers = [signer for n, signer in enumerate(signers) if n == 0 or signer.private != signers[0].private]
    retired = tuple(VerifierKey.parse(line) for line in _text(folder / "log.retired").splitlines())
    return LogKeys(tuple(signers), retired, _text(folder / "log.handovers"))


def _older(folder: Path) -> list[Path]:
    """The files of older keys. What ends in `.new` is one whose writing broke off: no key yet."""
    return [path for path in folder.glob("log.key.*") if path.suffix != _UNFINISHED]


def rotate(folder: Path, origin: str) -> LogKeys:
    """Make a new key; the present one signs on beside it. Takes effect when the audit starts next."""
    keys = load_keys(folder, origin)
    old, new = keys.signers[0], Signer(origin, os.urandom(32))
    text = f"{HANDOVER}\n{old.verifier}\n{new.verifier}\n"
    note = f"{text}\n{old.line(text)}{new.line(text)}"
    handovers = keys.handovers + (_END_OF_NOTE if keys.handovers else "") + note
    # The note first: a key that nobody handed over would look like an intruder's.
    _write(folder / "log.handovers", handovers.encode())
    _write_secret(folder / f"log.key.{old.verifier.key_id.hex()}", old.private)
    _write_secret(folder / "log.key", new.private)
    return load_keys(folder, origin)


def retire(folder: Path, origin: str) -> LogKeys:
    """Destroy all private keys but the newest; their verifier keys stay known."""
    keys = load_keys(folder, origin)
    gone = keys.signers[1:]
    lines = [*(str(signer.verifier) for signer in gone), *(str(key) for key in keys.retired)]
    _write(folder / "log.retired", "".join(f"{line}\n" for line in lines).encode())
    for signer in gone:
        (folder / f"log.key.{signer.verifier.key_id.hex()}").unlink()
    return load_keys(folder, origin)


def follow_handovers(trusted: Sequence[VerifierKey], handovers: str) -> tuple[VerifierKey, ...]:
    """The trusted keys and those that they handed over to, one after another. Raises LogError for a broken note."""
    known = list(trusted)
    for text in handovers.split(_END_OF_NOTE) if handovers else []:
        note = Note.parse(text)
        lines = note.text.split("\n")
        if len(lines) != 4 or lines[0] != HANDOVER:
            raise MalformedNote("a handover names the old key and the new one")
        old, new = VerifierKey.parse(lines[1]), VerifierKey.parse(lines[2])
        if old.name != new.name or not (note.signed_by(old) and note.signed_by(new)):
            raise SignatureBroken(f"the handover to {new.key_id.hex()} is not signed by both keys: do not trust it")
        if old in known and new not in known:
            known.append(new)
    return tuple(known)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _write_secret(path: Path, key: bytes) -> None:
    _write(path, key.hex().encode(), 0o600)


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    beside = path.with_name(f"{path.name}{_UNFINISHED}")
    beside.unlink(missing_ok=True)
    beside.touch(mode=mode, exist_ok=False)
    for folder in place([(path, data)]):
        DISK.sync_folder(folder)
