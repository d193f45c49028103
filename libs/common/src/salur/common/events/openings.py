"""Open one personal value of an event: the value and its salt, which anybody can check against the log's entry."""

from dataclasses import dataclass

import orjson

from salur.common.contracts.base import CONTRACTS
from salur.common.database import Connection
from salur.common.errors import NotFound
from salur.common.events.personal import CommitmentBroken, Opening, check_opening, is_whole, opening_in
from salur.common.events.stream import queries
from salur.common.secrets import Secrets, open_with


@dataclass(frozen=True, slots=True)
class Opened:
    """An opening with what the answer needs of its event. `region` only where the event itself says one."""

    event_id: str
    type: str
    subject: str
    region: str | None
    commitment: str
    opening: Opening


async def open_value(conn: Connection, secrets: Secrets, stream: str, sequence: int, path: str) -> Opened:
    """Open the personal value at `path` of an event this service has written. Raises NotFound."""
    row = await queries.event_with_personal(conn, stream=stream, sequence=sequence)
    document = None if row is None else orjson.loads(row["body"])
    model = None if document is None else CONTRACTS.get(document["type"])
    if document is None or model is None or path.partition(".")[0] not in model.personal_fields:
        raise no_such_value()
    if not row["sealed"] or row["subject_key"] is None:
        raise _erased()
    key = secrets.open(row["subject_key"], row["subject"].encode())
    header = open_with(key, row["sealed"], stream.encode())
    opening = opening_in(header, path)
    if opening is None:
        raise no_such_value() if is_whole(header) else _erased()
    try:
        mark = check_opening(document["data"], opening)
    except CommitmentBroken:
        raise no_such_value() from None
    return Opened(document["id"], document["type"], document["subject"], document["data"].get("region"), mark, opening)


def _erased() -> NotFound:
    return NotFound(
        "the personal values of this event were erased: nothing opens them any more", code="erased", who="nobody"
    )


def no_such_value() -> NotFound:
    """The same answer whether there is no such event, no such field, or it lies outside the caller's regions."""
    return NotFound(
        "no such personal value in your regions: take stream, sequence and field from the log's entry",
        code="value-unknown",
        who="caller",
    )
