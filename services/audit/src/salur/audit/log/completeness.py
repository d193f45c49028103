"""The signed statement that the trail holds every stream as 1..n up to a tree head: a signed note like the head itself.

Lines: the form's name, origin, size, base64 root, then per stream its name, last sequence and how many the log holds.
The two numbers are equal, or the log itself says that something is missing.
"""

import base64
from collections.abc import Mapping, Sequence

from salur.audit.log.errors import LogBroken, MalformedNote, SignatureBroken
from salur.audit.log.note import Checkpoint, Note, VerifierKey

FORM = "salur.log-completeness/v1"


def statement(head: Checkpoint, streams: Mapping[str, tuple[int, int]]) -> str:
    """The text to sign. `streams`: last sequence and number of entries by name."""
    lines = [f"{name} {last} {held}" for name, (last, held) in sorted(streams.items())]
    return "\n".join([FORM, head.origin, str(head.size), base64.b64encode(head.root).decode(), *lines, ""])


def open_statement(note: str, head: Checkpoint, keys: Sequence[VerifierKey]) -> dict[str, int]:
    """The last sequence of each stream, none with a gap. Raises MalformedNote, SignatureBroken, LogBroken."""
    parsed = Note.parse(note)
    claimed = [key for key in keys if parsed.claims(key)]
    if not claimed or not all(parsed.signed_by(key) for key in claimed):
        raise SignatureBroken("the statement of completeness is not signed by the log")
    if not parsed.text.startswith(statement(head, {})):
        raise MalformedNote("the statement of completeness speaks of another tree head")
    streams = {}
    for line in parsed.text.splitlines()[4:]:
        name, _, numbers = line.partition(" ")
        last, _, held = numbers.partition(" ")
        if not (last.isdecimal() and held.isdecimal()):
            raise MalformedNote("a stream's line reads <stream> <last> <held>")
        if last != held:
            raise LogBroken(f"the log itself states a gap in {name}: {held} of {last} entries; the audit must act")
        streams[name] = int(last)
    return streams
