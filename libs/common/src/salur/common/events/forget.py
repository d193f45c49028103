"""Destroy single personal values of a subject's events; the others get a new key, the old one is destroyed."""

import os
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import orjson

from salur.common.database import Connection
from salur.common.events.personal import without
from salur.common.events.stream import queries
from salur.common.secrets import Secrets, open_with, seal_with

Gone = Callable[[Mapping[str, Any], Mapping[str, Any]], Collection[str]]
"""Paths of the values that are to go: (the event's data with its commitments, its values by path)."""


def person_subjects(data: Mapping[str, Any]) -> tuple[str, str]:
    """What stands among the erased subjects for one person of a family: no key was or will be made for either.

    The person's own id, under which an account lent to them is sealed; and `family/person`, which tells a restored
    backup whom to take out of which family.
    """
    return data["member_id"], f"{data['household_id']}/{data['member_id']}"


async def forget_values(conn: Connection, secrets: Secrets, subject: str, gone: Gone) -> int:
    """Destroy what `gone` names among the values of one subject. Returns of how many events.

    The entries stay: what is left of an event still opens, and an event sent again says that a part is gone. Copies of
    the subject's events that were put aside and went through later are emptied.
    """
    wrapped = await queries.lock_subject_key(conn, subject=subject)
    if wrapped is None:
        return 0
    old, new = secrets.open(wrapped, subject.encode()), os.urandom(32)
    kept: list[tuple[str, int, bytes]] = []
    changed = 0
    for row in await queries.personal_of_subject(conn, subject=subject):
        data, context = orjson.loads(row["body"])["data"], row["stream"].encode()
        whole = open_with(old, row["sealed"], context)
        rest = without(whole, partial(gone, data))
        changed += rest != whole
        kept.append((row["stream"], row["sequence"], seal_with(new, rest, context) if rest else b""))
    if not changed:
        return 0
    await queries.save_personal(
        conn, streams=[row[0] for row in kept], sequences=[row[1] for row in kept], sealed=[row[2] for row in kept]
    )
    await queries.replace_subject_key(conn, subject=subject, sealed=secrets.seal(new, subject.encode()))
    await queries.empty_replayed_letters(conn, subject=subject)
    return changed
