#!/usr/bin/env python3
"""Verify an evidence bundle of an audit log with nothing but this file, Python 3.9+ and the package `cryptography`.

    python verify_bundle.py bundle.zip --policy policy     (the policy YOU keep: keys of log and witnesses, quorum)

It checks the log's signature and the witnesses' under the tree head, that every entry stands in that tree at its index,
that nothing was added to or left out of what the bundle lists, and that the steps of each payment follow from another.
Exit code 0: proven. 1: not proven, with the first bad entry. 2: the files cannot be read.

It shares no code with the log it checks. Formats: C2SP signed-note, tlog-checkpoint, tlog-cosignature (Ed25519),
tlog-policy, tlog-proof; tree hashing of RFC 9162.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_FILES = 2_000_000
MAX_FILE = 1_000_000
MAX_LIST = 200_000_000
LOG_KEY, WITNESS_KEY = 1, 4


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


class NotProven(Exception):
    """Something does not follow; the text says what and where."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Verify an evidence bundle offline.")
    parser.add_argument("bundle", type=Path, help="the ZIP file or the folder it was unpacked to")
    parser.add_argument("--policy", type=Path, help="the keys and quorum you trust; default: the one in the bundle")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args(argv)
    try:
        files = _open(options.bundle)
        policy_text = options.policy.read_text(encoding="utf-8") if options.policy else None
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        sys.stderr.write(f"cannot be read: {error}\n")
        return 2
    try:
        result = verify(files, policy_text)
    except NotProven as error:
        _say(json.dumps({"proven": False, "problem": str(error)}) if options.json else f"NOT PROVEN: {error}")
        return 1
    if options.json:
        _say(json.dumps(result))
    else:
        _show(result, own_policy=policy_text is not None)
    return 0


# --- files -----------------------------------------------------------------------------------------------------------


class _Zip:
    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        infos = self._zip.infolist()
        self._sizes = {info.filename: info.file_size for info in infos}
        if len(infos) > MAX_FILES or len(self._sizes) != len(infos):
            raise ValueError("too many files, or two of one name")

    def names(self) -> set[str]:
        return set(self._sizes)

    def read(self, name: str, most: int = MAX_FILE) -> bytes:
        if name not in self._sizes:
            raise NotProven(f"{name} is missing")
        if self._sizes[name] > most:
            raise NotProven(f"{name} is larger than {most} bytes")
        try:
            return self._zip.read(name)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
            raise NotProven(f"{name} is damaged: {error}") from None
        except Exception as error:  # zlib.error has no common base
            raise NotProven(f"{name} is damaged: {error}") from None


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> set[str]:
        return {str(p.relative_to(self._path)) for p in self._path.rglob("*") if p.is_file()}

    def read(self, name: str, most: int = MAX_FILE) -> bytes:
        path = self._path / name
        if not path.is_file():
            raise NotProven(f"{name} is missing")
        if path.stat().st_size > most:
            raise NotProven(f"{name} is larger than {most} bytes")
        return path.read_bytes()


def _open(path: Path) -> _Zip | _Folder:
    return _Folder(path) if path.is_dir() else _Zip(path)


def _text(files: _Zip | _Folder, name: str, most: int = MAX_FILE) -> str:
    try:
        return files.read(name, most).decode("utf-8")
    except UnicodeDecodeError:
        raise NotProven(f"{name} is no text") from None


# --- keys, notes, policy ---------------------------------------------------------------------------------------------


def _base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotProven("base64 is broken") from None
    if base64.b64encode(data).decode() != text:
        raise NotProven("base64 is not canonical")
    return data


def _key(text: str, kind: int) -> tuple[str, bytes, bytes]:
    """(name, key id, public key) of `<name>+<key id>+<base64>`."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    data = _base64(encoded)
    right = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
    if len(data) != 33 or data[0] != kind or right.hex() != key_id:
        raise NotProven(f"the key of {name[:60]} is broken or of another kind")
    return name, right, data[1:]


class _Policy:
    def __init__(self, text: str) -> None:
        self.logs: list[tuple[str, bytes, bytes]] = []
        self.witnesses: dict[str, tuple[str, bytes, bytes]] = {}
        self.groups: dict[str, tuple[int, list[str]]] = {}
        self.quorum: str | None = None
        for line in text.split("\n"):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] == "log" and len(words) in (2, 3):
                self.logs.append(_key(words[1], LOG_KEY))
            elif words[0] == "witness" and len(words) in (3, 4) and self._new(words[1]):
                self.witnesses[words[1]] = _key(words[2], WITNESS_KEY)
            elif words[0] == "group" and len(words) >= 4 and self._new(words[1]):
                self.groups[words[1]] = self._group(words[2], words[3:])
            elif words[0] == "quorum" and len(words) == 2 and self.quorum is None:
                if words[1] != "none" and self._new(words[1]):
                    raise NotProven(f"the policy's quorum {words[1]} is not defined")
                self.quorum = words[1]
            else:
                raise NotProven(f"the policy's line is not understood: {line[:80]}")
        if not self.logs or self.quorum is None or len({name for name, _, _ in self.logs}) != 1:
            raise NotProven("a policy names one log and one quorum")
        publics = [public for _, _, public in self.witnesses.values()]
        if len(set(publics)) != len(publics):
            raise NotProven("two witnesses of the policy have one key")

    def _new(self, name: str) -> bool:
        return name != "none" and name not in self.witnesses and name not in self.groups

    def _group(self, wanted: str, members: list[str]) -> tuple[int, list[str]]:
        count = len(members) if wanted == "all" else 1 if wanted == "any" else int(wanted) if wanted.isdecimal() else 0
        used = [member for _, others in self.groups.values() for member in others]
        if not 1 <= count <= len(members) or len({*members}) != len(members) or {*members} & {*used}:
            raise NotProven("a group of the policy is not understood")
        if any(self._new(member) for member in members):
            raise NotProven("a group of the policy has a member that is not defined above it")
        return count, members

    def met(self, cosigners: set[str]) -> bool:
        def signed(name: str) -> bool:
            if name not in self.groups:
                return name in cosigners
            wanted, members = self.groups[name]
            return sum(signed(member) for member in members) >= wanted

        return self.quorum == "none" or signed(str(self.quorum))


def _verified(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    text, separator, lines = note.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise NotProven("the signed head is no signed note")
    signatures = []
    for line in lines[:-1].split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014":
            raise NotProven("the signed head has a line that is no signature")
        signatures.append((parts[1], _base64(parts[2])))
    return text + "\n", signatures


def open_head(note: str, policy: _Policy) -> tuple[int, bytes, list[str], int]:
    """(size, root, names of cosigners, time of the newest cosignature) of a head the policy accepts."""
    text, signatures = _split_note(note)
    message = text.encode()
    own = [
        _verified(public, message, blob[4:])
        for name, key_id, public in policy.logs
        for signer, blob in signatures
        if signer == name and blob[:4] == key_id
    ]
    if not own or not all(own):
        raise NotProven("the tree head is not signed by the log you trust")
    lines = text.split("\n")
    if len(lines) != 4 or lines[0] != policy.logs[0][0] or not lines[1].isascii() or not lines[1].isdecimal():
        raise NotProven("the tree head does not read origin, size, root")
    size, root = int(lines[1]), _base64(lines[2])
    if len(root) != 32 or str(size) != lines[1]:
        raise NotProven("the tree head's size or root is broken")
    cosigners, seen = [], 0
    for witness, (name, key_id, public) in policy.witnesses.items():
        for signer, blob in signatures:
            if signer == name and blob[:4] == key_id and len(blob) == 76:
                when = int.from_bytes(blob[4:12], "big")
                if _verified(public, b"cosignature/v1\ntime %d\n" % when + message, blob[12:]):
                    cosigners.append(witness)
                    seen = max(seen, when)
    if not policy.met(set(cosigners)):
        signed = ", ".join(cosigners) or "no witness"
        raise NotProven(f"the tree head is cosigned by {signed}, which is no quorum of your policy ({policy.quorum})")
    return size, root, cosigners, seen


# --- the tree --------------------------------------------------------------------------------------------------------


def _root_of(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """The root that a leaf and its path lead to (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        raise NotProven(f"entry {index} is outside a tree of {size}")
    node = hashlib.sha256(b"\x00" + leaf).digest()
    last = size - 1
    for sibling in path:
        if last == 0:
            raise NotProven(f"the proof of entry {index} is too long")
        if index & 1 or index == last:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        index, last = index >> 1, last >> 1
    if last:
        raise NotProven("a proof is too short")
    return node


def _parse_proof(text: str) -> tuple[int, list[bytes], str]:
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines[0] != "c2sp.org/tlog-proof@v1":
        raise NotProven("a proof is no tlog-proof file")
    rest = lines[2:] if len(lines) > 1 and lines[1].startswith("extra ") else lines[1:]
    number = rest[0][6:] if rest and rest[0].startswith("index ") else ""
    if not number.isascii() or not number.isdecimal() or len(rest) > 64 or len(number) > 19:
        raise NotProven("a proof has no index")
    path = [_base64(line) for line in rest[1:]]
    if any(len(item) != 32 for item in path):
        raise NotProven("a hash of a proof is no SHA-256")
    return int(number), path, note


# --- the bundle ------------------------------------------------------------------------------------------------------


def verify(files: _Zip | _Folder, policy_text: str | None = None) -> dict[str, Any]:
    """The verified bundle as a dictionary. Raises NotProven."""
    policy = _Policy(policy_text if policy_text is not None else _text(files, "policy"))
    note = _text(files, "checkpoint")
    size, root, cosigners, seen = open_head(note, policy)
    try:
        manifest = json.loads(_text(files, "manifest.json", MAX_LIST))
        indexes = manifest["indexes"]
        question = manifest["question"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NotProven("manifest.json is not understood") from None
    if not isinstance(indexes, list) or not all(type(index) is int and index >= 0 for index in indexes):
        raise NotProven("manifest.json lists no indexes")
    if indexes != sorted(set(indexes)) or manifest.get("size") != size:
        raise NotProven("manifest.json is out of order or of another tree size")
    names = files.names()
    for folder, end in (("entries/", ".json"), ("proofs/", ".tlog-proof")):
        found = {name for name in names if name.startswith(folder)}
        wanted = {f"{folder}{index:012d}{end}" for index in indexes}
        if found != wanted:
            odd = sorted(found ^ wanted)[0]
            raise NotProven(f"{odd}: listed but missing, or there but not listed")
    entries = []
    for index in indexes:
        leaf = files.read(f"entries/{index:012d}.json")
        try:
            stated, path, head = _parse_proof(_text(files, f"proofs/{index:012d}.tlog-proof"))
        except NotProven as error:
            raise NotProven(f"entry {index}: {error}") from None
        if stated != index or head != note:
            raise NotProven(f"entry {index}: its proof speaks of another entry or another tree head")
        try:
            leads_to = _root_of(index, size, leaf, path)
        except NotProven as error:
            raise NotProven(f"entry {index}: {error}") from None
        if leads_to != root:
            raise NotProven(f"entry {index} is not what the log holds at that index")
        entries.append((index, _event(leaf)))
    streams = _completeness(files, policy, size, root, names)
    return {
        "proven": True,
        "question": question,
        "origin": policy.logs[0][0],
        "size": size,
        "root": root.hex(),
        "cosigners": cosigners,
        "cosigned_at": seen,
        "entries": len(entries),
        "complete_streams": streams,
        "events": [_line(index, event) for index, event in entries],
        "payments": _payments(entries, isinstance(question, dict) and question.get("kind") in _STRICT),
    }


def _event(leaf: bytes) -> dict[str, Any]:
    try:
        event = json.loads(leaf)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _line(index: int, event: dict[str, Any]) -> dict[str, Any]:
    if "commitment" in event:
        where = f"{event.get('topic')}/{event.get('partition')}/{event.get('offset')}"
        return {"index": index, "time": "", "type": "record of an outside topic", "actor": "", "subject": where}
    return {"index": index, **{name: str(event.get(name, "")) for name in ("time", "type", "actor", "subject")}}


def _completeness(files: _Zip | _Folder, policy: _Policy, size: int, root: bytes, names: set[str]) -> int | None:
    """How many streams the log states to hold without a gap, signed; None when the bundle has no statement."""
    if "completeness" not in names:
        return None
    text, signatures = _split_note(_text(files, "completeness", 10_000_000))
    signed = [
        _verified(public, text.encode(), blob[4:])
        for name, key_id, public in policy.logs
        for signer, blob in signatures
        if signer == name and blob[:4] == key_id
    ]
    lines = text.split("\n")
    head = ["salur.log-completeness/v1", policy.logs[0][0], str(size), base64.b64encode(root).decode()]
    if not signed or not all(signed) or lines[:4] != head:
        raise NotProven("the statement of completeness is not signed by the log, or speaks of another tree")
    for line in lines[4:-1]:
        stream, last, held = (*line.split(" "), "", "")[:3]
        if not last.isdecimal() or last != held:
            raise NotProven(f"the log itself states a gap in stream {stream}: {held} of {last} entries")
    return len(lines) - 5


_STRICT = ("payment", "beneficiary")
"""Questions whose bundle takes in everything a payment rests on: a step that is missing was taken out."""
_ENDS = (("confirmed", "payment.settled"), ("rejected", "payment.rejected"), ("returned", "payment.returned"))
Row = tuple[int, dict[str, Any], dict[str, Any]]


class _Book:
    """Entries by type, and where records of outside topics stand."""

    def __init__(self, entries: list[tuple[int, dict[str, Any]]], strict: bool) -> None:
        self.strict = strict
        self.outside: dict[str, int] = {}
        self._by_type: dict[str, list[Row]] = {}
        for index, event in entries:
            found = event.get("data")
            self._by_type.setdefault(str(event.get("type")), []).append(
                (index, event, found if isinstance(found, dict) else {})
            )
            if "commitment" in event:
                self.outside[f"{event.get('topic')}/{event.get('partition')}/{event.get('offset')}"] = index

    def find(self, kind: str, **wanted: Any) -> list[Row]:
        rows = self._by_type.get(f"salur.{kind}.v1", [])
        return [row for row in rows if all(row[2].get(name) == value for name, value in wanted.items())]

    def due(self, entitlement: Any) -> int | None:
        """The most an entitlement was ever worth; None when its grant is not in the bundle."""
        grants = self.find("entitlement.granted", entitlement_id=entitlement)
        amended = self.find("entitlement.amended", entitlement_id=entitlement)
        return max(_int(row[2]) for row in [*grants, *amended]) if grants else None


def _must(row: Row, true: bool, what: str) -> None:
    if not true:
        raise NotProven(f"entry {row[0]}: {what}")


def _payments(entries: list[tuple[int, dict[str, Any]]], strict: bool) -> list[dict[str, Any]]:
    """What the events say about each payment, with every link between them checked. Raises NotProven."""
    book = _Book(entries, strict)
    stories = [_story(book, row) for row in book.find("payment.instructed")]
    _check_ends(book)
    return stories


def _story(book: _Book, row: Row) -> dict[str, Any]:
    steps: list[tuple[str, Row, str]] = []
    data = row[2]
    grants = book.find("entitlement.granted", entitlement_id=data.get("entitlement_id"))
    _must(row, len(grants) < 2, "its entitlement was granted twice")
    for grant in grants:
        _must(row, _int(data) <= (book.due(data.get("entitlement_id")) or 0), "more is paid than was granted")
        for decision in book.find("decision.made", decision_id=grant[2].get("decision_id")):
            _must(decision, decision[2].get("outcome") == "enrolled", "money follows a decision that refused it")
            version = decision[2].get("programme_version")
            steps.append(("decided", decision, f"rules {version}"))
            for rules in book.find("programme.published", version=version):
                text = str(rules[2].get("rules", ""))
                _must(rules, hashlib.sha256(text.encode()).hexdigest() == version, "other rules than their version")
                steps.append(("rules published", rules, f"programme {rules[2].get('programme_id')}"))
        steps.append(("granted", grant, f"{grant[2].get('amount_minor')} {grant[2].get('currency')}"))
    for approval in [a for a in book.find("payment-list.approved") if a[1].get("cause") == row[1].get("cause")]:
        steps.append(("approved", approval, f"by {approval[2].get('approved_by')}"))
        for asked in book.find("payment-list.submitted", list_id=approval[2].get("list_id")):
            same = asked[2].get("content_hash") == approval[2].get("content_hash")
            _must(approval, same, "the list approved is not the one submitted")
            other = asked[2].get("submitted_by") != approval[2].get("approved_by")
            _must(approval, other, "who submitted the list approved it")
            steps.append(("list submitted", asked, f"by {asked[2].get('submitted_by')}"))
    steps.append(("instructed", row, f"{data.get('amount_minor')} {data.get('currency')} at {data.get('bank')}"))
    wanted = ("rules published", "decided", "granted", "list submitted", "approved")
    missing = [word for word in wanted if word not in {step[0] for step in steps}]
    if book.strict and missing:
        raise NotProven(f"entry {row[0]}: a payment without the step: {', '.join(missing)}")
    for word, kind in _ENDS:
        for end in book.find(kind, instruction_id=data.get("instruction_id")):
            same = all(end[2].get(name) == data.get(name) for name in ("amount_minor", "currency", "bank"))
            _must(end, same, "the bank's answer speaks of another amount or bank than the instruction")
            mine = end[2].get("entitlement_id") == data.get("entitlement_id")
            _must(end, mine, "the bank's answer speaks of another entitlement than the instruction")
            answer = book.outside.get(str(end[1].get("cause")))
            said = f"bank's message is entry {answer}" if answer is not None else "bank's message not in this bundle"
            steps.append((word, end, said))
    steps.sort(key=lambda step: str(step[1][1].get("time")))
    shown = [
        {"step": word, "entry": step[0], "time": step[1].get("time"), "actor": step[1].get("actor"), "what": what}
        for word, step, what in steps
    ]
    return {"payment": data.get("payment_id"), "steps": shown, "not_shown": missing}


def _check_ends(book: _Book) -> None:
    """Each answer of a bank belongs to an instruction and to whom the grant names; no grant is paid more than it is
    worth, all attempts and parts together."""
    told = {str(row[2].get("instruction_id")) for row in book.find("payment.instructed")}
    paid: dict[str, dict[str, int]] = {}
    for word, kind in _ENDS:
        for end in book.find(kind):
            entitlement, instruction = str(end[2].get("entitlement_id")), str(end[2].get("instruction_id"))
            _must(end, not book.strict or instruction in told, f"{word} without an instruction")
            for grant in book.find("entitlement.granted", entitlement_id=entitlement):
                same = end[2].get("beneficiary_id") == grant[2].get("beneficiary_id")
                _must(end, same, "it speaks of another beneficiary than the grant")
            if word != "rejected":
                paid.setdefault(entitlement, {})[instruction] = _int(end[2]) if word == "confirmed" else 0
    for end in book.find("payment.disputed"):
        again = [row for row in book.find("payment.settled", instruction_id=end[2].get("instruction_id"))
                 if str(row[1].get("time")) > str(end[1].get("time"))]  # fmt: skip
        if not again:
            paid.get(str(end[2].get("entitlement_id")), {}).pop(str(end[2].get("instruction_id")), None)
    for entitlement, amounts in paid.items():
        due = book.due(entitlement)
        if due is not None and sum(amounts.values()) > due:
            raise NotProven(f"more was paid for entitlement {entitlement[:40]} than was granted")


def _int(data: dict[str, Any]) -> int:
    amount = data.get("amount_minor")
    if type(amount) is not int:
        raise NotProven("an amount is no whole number")
    return amount


def _show(result: dict[str, Any], own_policy: bool) -> None:
    for line in result["events"]:
        _say(f"{line['index']:>12}  {line['time'][:23]:23}  {line['type']:40}  {line['actor']:24}  {line['subject']}")
    for story in result["payments"][:50]:
        _say(f"\npayment {story['payment']}")
        for step in story["steps"]:
            said = f"{step['what']}  (entry {step['entry']}, {step['actor']})"
            _say(f"  {str(step['time'])[:23]:23}  {step['step']:16} {said}")
        if story["not_shown"]:
            _say(f"  not shown in this bundle: {', '.join(story['not_shown'])}")
    _say(f"\nPROVEN: {result['entries']} entries of {result['origin']}, all in the tree of {result['size']} entries")
    _say(f"asked: {json.dumps(result['question'])[:300]}")
    _say(f"root {result['root']}")
    _say(f"cosigned by: {', '.join(result['cosigners']) or 'nobody (the policy asks for nobody)'}")
    if result["complete_streams"] is not None:
        _say(f"the log states, signed: {result['complete_streams']} streams of events, each without a gap")
    if not own_policy:
        _say("CAUTION: the keys come from the bundle itself. Give --policy with keys you got from log and witnesses.")


if __name__ == "__main__":
    sys.exit(main())
