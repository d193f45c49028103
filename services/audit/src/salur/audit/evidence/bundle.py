"""Write a bundle: events byte for byte, a proof of each, the signed head, the policy, the program that checks it."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from salur.audit.evidence import verify_bundle
from salur.audit.evidence.select import Question
from salur.audit.log.errors import LogBroken
from salur.audit.log.note import parse_keys, read_checkpoint
from salur.audit.log.proof import Receipt
from salur.audit.log.tiles import TileReader
from salur.audit.log.tree import Prover

README = """\
EVIDENCE FROM AN AUDIT LOG

entries/        events as the log holds them, byte for byte; the number is the place in the log
proofs/         for each entry: the way to the signed tree head (C2SP tlog-proof)
checkpoint      the tree head: signed by the log, cosigned by witnesses
completeness    where present: what the log states, signed, about streams without a gap
policy          keys of log and witnesses, and how many must have signed
manifest.json   the question this answers

Personal values stand in the entries as commitments (sha256:...), never in clear.

HOW TO VERIFY, without network and without trusting who gave you this:
  1. Get the log's key and the witnesses' keys from those who hold them, and write them into your own policy file.
     The one here only shows the form.
  2. Read verify_bundle.py, or take it from a place you trust. It needs Python 3.9 or newer and `cryptography`.
  3. python verify_bundle.py THIS.zip --policy YOUR-POLICY
PROVEN means: every entry stands in the tree that the log and the witnesses signed; nothing listed is missing, nothing
is added; every payment follows from its grant, decision, approval and instruction.
It does not show that the question took in all you wanted: ask the log's whole folder, and verify that.

CARA MEMERIKSA, tanpa jaringan dan tanpa harus percaya kepada pemberi berkas ini:
  1. Minta kunci log dan kunci para saksi langsung dari pemegangnya; tulis dalam berkas kebijakan Anda sendiri.
  2. Baca verify_bundle.py, atau ambil dari tempat yang Anda percaya. Perlu Python 3.9 ke atas dan `cryptography`.
  3. python verify_bundle.py BERKAS-INI.zip --policy KEBIJAKAN-ANDA
"""
_STAMP = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was written."""

    path: Path
    entries: int
    size: int


def write_bundle(folder: Path, question: Question, indexes: Sequence[int], policy: str | None, path: Path) -> Bundle:
    """Write the ZIP from the log's folder. `policy`: else a policy of the log's keys and no witness. Raises LogBroken.

    The same log and question give the same bytes but for the time in the manifest.
    """
    note = _text(folder, "checkpoint")
    keys = parse_keys(_text(folder, "log.pub"))
    head = read_checkpoint(note.rpartition("\n\n")[0] + "\n", keys[0].name)
    reader = TileReader(folder, head.size)
    prover = Prover(head.size, reader.hash_at)
    manifest = {
        "question": {"kind": question.kind, "value": question.value},
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "origin": head.origin,
        "size": head.size,
        "indexes": list(indexes),
    }
    without_witnesses = "".join(f"log {key}\n" for key in keys) + "quorum none\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as bundle:
        files = {
            "README.txt": README,
            "verify_bundle.py": Path(verify_bundle.__file__).read_text(encoding="utf-8"),
            "manifest.json": orjson.dumps(manifest, option=orjson.OPT_INDENT_2).decode(),
            "checkpoint": note,
            "policy": policy or without_witnesses,
            **_statement(folder, head.size),
        }
        for name, text in files.items():
            bundle.writestr(zipfile.ZipInfo(name, _STAMP), text, zipfile.ZIP_DEFLATED)
        for index in indexes:
            (leaf,) = reader.leaves(index, index + 1)
            proof = Receipt(None, index, tuple(prover.inclusion(index)), note)
            bundle.writestr(zipfile.ZipInfo(f"entries/{index:012d}.json", _STAMP), leaf, zipfile.ZIP_DEFLATED)
            name = f"proofs/{index:012d}.tlog-proof"
            bundle.writestr(zipfile.ZipInfo(name, _STAMP), proof.text(), zipfile.ZIP_DEFLATED)
    return Bundle(path, len(indexes), head.size)


def _statement(folder: Path, size: int) -> dict[str, str]:
    """The signed statement of completeness, when there is one of this size."""
    path = folder / "completeness"
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    return {"completeness": text} if text.split("\n")[2:3] == [str(size)] else {}


def _text(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise LogBroken(f"{name} is missing or no text: is {folder} a log's folder?") from None
