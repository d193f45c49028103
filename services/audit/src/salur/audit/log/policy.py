"""What an auditor trusts: keys of logs, keys of witnesses, and how many of them must have signed.

Source: C2SP tlog-policy. One file for the log (which asks the witnesses at their addresses) and for whoever verifies.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from salur.audit.log.errors import MalformedNote, MalformedPolicy, QuorumMissing
from salur.audit.log.note import COSIGNATURE, Checkpoint, Note, VerifierKey, open_checkpoint

MAX_POLICY_SIZE = 100_000
MAX_LINES = 200
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_NUMBER = re.compile(r"[1-9][0-9]{0,3}\Z")


@dataclass(frozen=True, slots=True)
class WitnessEntry:
    """A witness of the policy; `name` means something only within it."""

    name: str
    key: VerifierKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """At least `wanted` of the members, witnesses or groups, must have cosigned."""

    wanted: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy. `quorum` is the name of a witness or group, or `none`."""

    text: str
    logs: tuple[VerifierKey, ...]
    witnesses: tuple[WitnessEntry, ...]
    groups: Mapping[str, Group]
    quorum: str

    def cosigners(self, note: Note) -> tuple[str, ...]:
        """Names of the witnesses whose valid cosignature the note holds."""
        return tuple(witness.name for witness in self.witnesses if note.signed_by(witness.key))

    def is_met(self, note: Note) -> bool:
        """Whether enough witnesses have cosigned."""
        return self.quorum == "none" or self._signed(self.quorum, set(self.cosigners(note)))

    def _signed(self, name: str, cosigners: set[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in cosigners
        return sum(self._signed(member, cosigners) for member in group.members) >= group.wanted

    def open(self, note: str) -> Checkpoint:
        """The tree head, signed by a log of the policy and cosigned by its quorum.

        Raises MalformedNote, SignatureBroken, QuorumMissing.
        """
        if not self.logs:
            raise MalformedPolicy("the policy names no log: add a line `log <key>`")
        head = open_checkpoint(note, *self.logs)
        parsed = Note.parse(note)
        if not self.is_met(parsed):
            signed = ", ".join(self.cosigners(parsed)) or "nobody"
            raise QuorumMissing(
                f"size {head.size} is cosigned by {signed}, which is no quorum ({self.quorum}): "
                "ask for a newer head, or ask the witnesses what they saw"
            )
        return head

    @classmethod
    def parse(cls, text: str) -> "Policy":
        """Raises MalformedPolicy naming the line."""
        if len(text) > MAX_POLICY_SIZE or _CONTROL.search(text):
            raise MalformedPolicy("a policy over 100 kB or with a control character")
        lines = text.split("\n")
        if len(lines) > MAX_LINES:
            raise MalformedPolicy(f"a policy of more than {MAX_LINES} lines")
        reading = _Reading()
        for number, line in enumerate(lines, 1):
            words = [word for word in re.split(r"[ \t]+", line) if word]
            if not words or words[0].startswith("#"):
                continue
            try:
                reading.take(words)
            except MalformedNote as error:
                raise MalformedPolicy(f"line {number}: {error}") from None
        if reading.quorum is None:
            raise MalformedPolicy("a policy has one line `quorum <name>` or `quorum none`")
        return cls(text, tuple(reading.logs), tuple(reading.witnesses), reading.groups, reading.quorum)


@dataclass(slots=True)
class _Reading:
    logs: list[VerifierKey] = field(default_factory=list)
    witnesses: list[WitnessEntry] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str | None = None
    names: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)

    def take(self, words: list[str]) -> None:
        kind, count = words[0], len(words)
        if kind == "log" and count in (2, 3):
            self._take_log(VerifierKey.parse(words[1]))
        elif kind == "witness" and count in (3, 4):
            self._take_witness(WitnessEntry(words[1], VerifierKey.parse(words[2], COSIGNATURE), "".join(words[3:])))
        elif kind == "group" and count >= 4:
            self._take_group(words[1], words[2], tuple(words[3:]))
        elif kind == "quorum" and count == 2 and self.quorum is None:
            if words[1] != "none" and words[1] not in self.names:
                raise MalformedNote(f"{words[1]} is not defined above")
            self.quorum = words[1]
        else:
            raise MalformedNote(f"no line begins with {kind} and has {count} words, or it stands twice")

    def _take_log(self, key: VerifierKey) -> None:
        if any(key.public == known.public for known in self.logs):
            raise MalformedNote("a key of a log stands twice")
        if any(key.name != known.name for known in self.logs):
            raise MalformedNote("keys of two logs; a policy here speaks of one log")
        self.logs.append(key)

    def _take_witness(self, witness: WitnessEntry) -> None:
        if any(witness.key.public == known.key.public for known in self.witnesses):
            raise MalformedNote("a key of a witness stands twice")
        self._name(witness.name)
        self.witnesses.append(witness)

    def _take_group(self, name: str, wanted: str, members: tuple[str, ...]) -> None:
        count = {"all": len(members), "any": 1}.get(wanted) or (int(wanted) if _NUMBER.match(wanted) else 0)
        if not 1 <= count <= len(members):
            raise MalformedNote(f"{wanted} of {len(members)} members")
        for member in members:
            if member not in self.names or member in self.used:
                raise MalformedNote(f"{member} is not defined above or is a member already")
            self.used.add(member)
        self._name(name)
        self.groups[name] = Group(count, members)

    def _name(self, name: str) -> None:
        if name in self.names or name == "none":
            raise MalformedNote(f"the name {name} stands twice or means nobody")
        self.names.add(name)
