"""Personal values beside the body, commitments inside it.

An event has one fresh 32-byte seed. The salt of a field is HMAC-SHA-256(seed, path), so one field can be opened
without opening the others. The commitment is SHA-256(salt ‖ path ‖ 0x00 ‖ canonical JSON of the value), written
`sha256:<hex>`. The Kafka header `personal` holds `{"salt": base64(seed), "values": {path: value}}`.
"""

import base64
import hashlib
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import orjson

from salur.common.secrets import keyed_hash

HEADER = "personal"
ERASED = b"erased"
"""The header of an event whose subject was erased: its values are gone for good, and nobody waits for them."""
PART_ERASED = b"erased-in-part"
"""The header of an event some of whose values are gone for good: nobody can take it, a later event tells what holds."""
PREFIX = "sha256:"
SEED_SIZE = 32


class CommitmentBroken(ValueError):
    """The values beside an event are not the ones its body commits to."""


def commitment(seed: bytes, path: str, value: Any) -> str:
    """The commitment to `value` at `path`."""
    return _commitment(salt_of(seed, path), path, _canonical(value))


def salt_of(seed: bytes, path: str) -> bytes:
    """The salt of one field: it opens that field and no other."""
    return keyed_hash(seed)(path.encode())


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _commitment(salt: bytes, path: str, canonical: bytes) -> str:
    return PREFIX + hashlib.sha256(b"%s%s\x00%s" % (salt, path.encode(), canonical)).hexdigest()


@dataclass(frozen=True, slots=True)
class Opening:
    """One personal value of an event with the salt that proves it. `path` is `field` or `field.key`."""

    path: str
    value: Any
    salt: bytes


def check_opening(data: dict[str, Any], opening: Opening) -> str:
    """The commitment in an event's `data` that the opening opens. Raises CommitmentBroken when it opens none."""
    field, dot, key = opening.path.partition(".")
    mark = data.get(field)
    if dot:
        mark = mark.get(key) if isinstance(mark, dict) else None
    if not isinstance(mark, str) or mark != _commitment(opening.salt, opening.path, _canonical(opening.value)):
        raise CommitmentBroken(
            f"the opening of {opening.path[:80]} does not belong to this event: the service that gave it must act"
        )
    return mark


def split(data: dict[str, Any], personal_fields: frozenset[str], seed: bytes | None = None) -> bytes:
    """Replace the personal values in `data` by commitments (in place); returns the header's bytes.

    A dict is committed key by key (`attributes.poverty_index`), anything else as a whole. `seed` is given only to
    write a known event again; otherwise it is fresh.
    """
    seed = os.urandom(SEED_SIZE) if seed is None else seed
    salt = keyed_hash(seed)
    values: dict[str, Any] = {}

    def commit(path: str, value: Any) -> str:
        values[path] = value
        return _commitment(salt(path.encode()), path, _canonical(value))

    for field in sorted(personal_fields):
        value = data[field]
        if isinstance(value, dict):
            data[field] = {key: commit(f"{field}.{key}", item) for key, item in value.items()}
        else:
            data[field] = commit(field, value)
    return orjson.dumps({"salt": base64.b64encode(seed).decode(), "values": values})


def without(header: bytes, gone: Callable[[dict[str, Any]], Collection[str]]) -> bytes:
    """What stands beside an event, without the values whose paths `gone(values)` names; empty when none is left.

    The seed opens every value, so it goes too: each value that stays keeps its own salt. The same bytes when none goes.
    """
    parsed = orjson.loads(header)
    going = gone(parsed["values"])
    values = {path: value for path, value in parsed["values"].items() if path not in going}
    if len(values) == len(parsed["values"]):
        return header
    salts = {path: base64.b64encode(_salt_in(parsed, path)).decode() for path in values}
    return orjson.dumps({"salts": salts, "values": values}) if values else b""


def is_whole(header: bytes) -> bool:
    """Whether every value is still there: what opens all of them is."""
    return header.startswith(b'{"salt":')


def opening_in(header: bytes, path: str) -> "Opening | None":
    """The opening of one value in what stands beside an event; None when it is not there."""
    parsed = orjson.loads(header) if header else {"values": {}}
    return Opening(path, parsed["values"][path], _salt_in(parsed, path)) if path in parsed["values"] else None


def _salt_in(parsed: dict[str, Any], path: str) -> bytes:
    if "salt" in parsed:
        return salt_of(base64.b64decode(parsed["salt"]), path)
    return base64.b64decode(parsed["salts"][path])


def join(data: dict[str, Any], personal_fields: frozenset[str], header: bytes | None) -> None:
    """Put the values back into `data` (in place) after checking each against its commitment.

    Raises CommitmentBroken when the header is missing, malformed, or tells another value than the body.
    """
    if header is None:
        raise CommitmentBroken("the personal values of the event are absent: its writer must publish it again")
    try:
        parsed = orjson.loads(header)
        seed = base64.b64decode(parsed["salt"], validate=True)
        values = parsed["values"]
        salt = keyed_hash(seed)
        # A field younger than the event is absent; whether it may be, the contract says.
        for field in personal_fields & data.keys():
            body = data[field]
            if isinstance(body, dict):
                data[field] = {key: _checked(salt, f"{field}.{key}", values, mark) for key, mark in body.items()}
            else:
                data[field] = _checked(salt, field, values, body)
    except CommitmentBroken:
        raise
    except (KeyError, TypeError, ValueError):
        raise CommitmentBroken("the personal header of the event is malformed: its writer must act") from None


def _checked(salt: Callable[[bytes], bytes], path: str, values: dict[str, Any], mark: str) -> Any:
    value = values[path]
    if _commitment(salt(path.encode()), path, _canonical(value)) != mark:
        raise CommitmentBroken(
            f"the value beside field {path} is not the one the event commits to: its writer must act"
        )
    return value
