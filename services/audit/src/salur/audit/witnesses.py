"""Asks the witnesses of a policy to cosign each head, and keeps what they answered.

A witness that is away or refuses costs the head its cosignature, never its publication: quorum or not is shown.
"""

import asyncio
import http.client
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from salur.audit import store
from salur.audit.log.errors import LogError
from salur.audit.log.note import Checkpoint, Note, VerifierKey, open_checkpoint
from salur.audit.log.policy import Policy, WitnessEntry
from salur.audit.log.tiles import TileReader
from salur.audit.log.tree import consistency_proof
from salur.audit.witness import request_body
from salur.common.database import Database
from salur.common.logs import get_logger

log = get_logger("witnesses")

TIMEOUT_S = 1.0
"""A hung witness delays a publication by this much, and the tiles behind it."""
MAX_ANSWER = 64 * 1024
OK, CONFLICT = 200, 409
_SIZE = re.compile(r"[0-9]{1,19}\n")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: str


class Witnesses:
    """The witnesses with an address in `policy`."""

    def __init__(self, db: Database, policy: Policy, keys: Sequence[VerifierKey]) -> None:
        self.policy = policy
        self._db = db
        self._keys = keys
        self._asked = [witness for witness in policy.witnesses if witness.url]
        self._sizes = {witness.name: 0 for witness in self._asked}

    async def cosign(self, head: Checkpoint, note: str, reader: TileReader) -> Sequence[str]:
        """Signature lines of every witness over `note`, the earlier ones too, sorted; kept before they are shown."""
        async with self._db.connection() as conn:
            kept = {row["witness"]: row["line"] for row in await store.queries.cosignatures(conn, size=head.size)}
        missing = [witness for witness in self._asked if witness.name not in kept]
        answers = await asyncio.gather(*(self._ask_in_time(witness, head, note, reader) for witness in missing))
        new = {witness.name: line for witness, line in zip(missing, answers, strict=True) if line}
        if new:
            async with self._db.transaction() as conn:
                await store.queries.keep_cosignatures(
                    conn, size=head.size, witnesses=list(new), lines=list(new.values())
                )
        return sorted((kept | new).values())

    async def heads(self) -> Sequence[Checkpoint]:
        """The newest head of this log that each witness holds, as far as it answers and the log's signature is right:
        what the log must still hold, whatever became of its database."""
        notes = await asyncio.gather(*(self._latest(witness) for witness in self._asked))
        return [open_checkpoint(note, *self._keys) for note in notes if note]

    async def _latest(self, witness: WitnessEntry) -> str:
        answer = await self._call(witness, "GET", f"/latest/{quote(self._keys[0].name, safe='')}")
        if answer is None or answer.status != OK:
            return ""
        try:
            open_checkpoint(answer.body, *self._keys)
        except LogError as error:
            log.error("witness-answers-wrongly", witness=witness.name, problem=str(error))
            return ""
        return answer.body

    async def _ask_in_time(self, witness: WitnessEntry, head: Checkpoint, note: str, reader: TileReader) -> str:
        try:
            return await asyncio.wait_for(self._ask(witness, head, note, reader), TIMEOUT_S)
        except TimeoutError:
            log.warning("witness-away", witness=witness.name, error="TimeoutError")
            return ""

    async def _ask(self, witness: WitnessEntry, head: Checkpoint, note: str, reader: TileReader) -> str:
        """The witness's line, or nothing. Its first refusal tells the size to start from."""
        answer = await self._submit(witness, head, note, reader)
        known = self._told(answer)
        if known is not None and known <= head.size and known != self._sizes[witness.name]:
            self._sizes[witness.name] = known
            answer = await self._submit(witness, head, note, reader)
        if answer is None:
            return ""
        if answer.status == OK:
            return self._accepted(witness, head, note, answer.body)
        log.error(
            "witness-refuses", witness=witness.name, status=answer.status, size=head.size, answer=answer.body[:80],
            remedy="compare this head with the one the witness holds: one of the two has another history",
        )  # fmt: skip
        return ""

    async def _submit(self, witness: WitnessEntry, head: Checkpoint, note: str, reader: TileReader) -> _Answer | None:
        old = min(self._sizes[witness.name], head.size)
        proof = consistency_proof(old, head.size, reader.hash_at) if old else []
        return await self._call(witness, "POST", "/add-checkpoint", request_body(old, proof, note))

    def _told(self, answer: _Answer | None) -> int | None:
        if answer is None or answer.status != CONFLICT or not _SIZE.fullmatch(answer.body):
            return None
        return int(answer.body)

    def _accepted(self, witness: WitnessEntry, head: Checkpoint, note: str, lines: str) -> str:
        text = note.rpartition("\n\n")[0]
        for line in lines.splitlines(keepends=True):
            try:
                if Note.parse(f"{text}\n\n{line}").signed_by(witness.key):
                    self._sizes[witness.name] = head.size
                    return line
            except LogError:
                continue
        log.error("witness-answers-wrongly", witness=witness.name, problem="no signature of its key in the policy")
        return ""

    async def _call(self, witness: WitnessEntry, method: str, path: str, body: bytes | None = None) -> _Answer | None:
        try:
            return await asyncio.to_thread(_request, witness.url, method, path, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            log.warning("witness-away", witness=witness.name, error=type(error).__name__)
            return None


def _request(url: str, method: str, path: str, body: bytes | None) -> _Answer:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a witness has an http or https address")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
    try:
        connection.request(method, parts.path.rstrip("/") + path, body)
        answer = connection.getresponse()
        return _Answer(answer.status, answer.read(MAX_ANSWER).decode())
    finally:
        connection.close()
