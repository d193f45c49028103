"""Hand waiting messages to whatever carries them, and say of each that it went out."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

import orjson

from salur.common.contracts.notices import NoticeSent
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.registry.store import queries

BATCH = 500
PAGE = 5_000


class Message(NamedTuple):
    """What is carried. The id stays the same when a message is handed over again after a failure."""

    message_id: str
    phone: str
    text: str


class Carrier(Protocol):
    """Takes messages durably, all or none. Raises when it cannot; they are handed over again then.

    `carried`: ids of the messages it still has; `forget` destroys some of them.
    """

    async def carry(self, messages: Sequence[Message]) -> None: ...
    async def carried(self) -> Sequence[str]: ...
    async def forget(self, ids: Collection[str]) -> None: ...


async def send_notices(conn: Connection, carrier: Carrier, secrets: Secrets) -> tuple[bool, list[Draft]]:
    """Send a batch. Returns (whether more may wait, events)."""
    rows = await queries.claim_notices(conn, most=BATCH)
    if not rows:
        return False, []
    messages = [
        Message(row["notice_id"], *orjson.loads(secrets.open(row["sealed"], row["notice_id"].encode()))) for row in rows
    ]
    await carrier.carry(messages)
    await queries.mark_notices_sent(conn, ids=[row["notice_id"] for row in rows])
    drafts = [
        Draft(
            NoticeSent(**{name: row[name] for name in NoticeSent.model_fields}),
            row["household_id"], "service:registry", row["cause"],
        )
        for row in rows
    ]  # fmt: skip
    return len(rows) == BATCH, drafts


async def forget_destroyed(conn: Connection, carrier: Carrier) -> int:
    """Destroy carried messages whose notice an erasure or its retention has ended. Returns how many."""
    carried = await carrier.carried()
    gone: list[str] = []
    for first in range(0, len(carried), PAGE):
        gone += [row["id"] for row in await queries.notices_gone(conn, ids=carried[first : first + PAGE])]
    if gone:
        await carrier.forget(gone)
    return len(gone)
