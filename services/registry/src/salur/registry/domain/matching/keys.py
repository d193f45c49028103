"""Blocking: two records are compared only when they share a key.

Keys are text of personal values: the caller turns each into a keyed hash before it is stored, so that a table of keys
tells nothing. Every record has at most MAX_KEYS; each way of writing somebody down twice leaves at least one key alone:

| key | survives |
|---|---|
| birth date (day and month in any order), regency | any other name, swapped dates |
| birth date, first sounds of the first word | another region, a changed or dropped later word |
| birth date, sounds of the last word | another region, a changed or dropped first word |
| sounds of the whole name, birth year | another region, a wrong day or month |
| sounds of the whole name, day and month | another region, a wrong year |
| sounds of the whole name, district | any wrong date |
| telephone, sex, first sound; account likewise | almost everything else |
| NIK without its serial; NIK without its region, with the first sound | a slip in the other part |
"""

from collections.abc import Callable, Iterable, Iterator

from salur.registry.domain.matching.records import Record
from salur.registry.domain.matching.spelling import skeleton

MAX_KEYS = 10
DEFAULT_MAX_BLOCK = 60
"""Larger blocks say too little to compare everybody in them; they are counted, not compared."""


def blocking_keys(record: Record) -> list[str]:
    """The record's keys, each once, each with its kind before the colon."""
    parts = record.words
    first = skeleton(parts[0]) if parts else ""
    whole = record.name_key
    keys: list[str] = []
    born = record.birth_date
    if born is not None:
        low, high = sorted((born.day, born.month))
        day = f"{low:02d}{high:02d}"
        keys.append(f"dr:{born.year}{day}{record.region[:5]}")
        if parts:
            keys.append(f"df:{born.year}{day}{first[:2]}")
            keys.append(f"dl:{born.year}{day}{skeleton(parts[-1])}")
            keys.append(f"ny:{born.year}{whole}")
            keys.append(f"nd:{day}{whole}")
    if parts:
        keys.append(f"nr:{record.region[:8]}{whole}")
    if record.phone:
        keys.append(f"ph:{record.phone}{record.sex}{first[:1]}")
    if record.account:
        keys.append(f"ac:{record.account}{record.sex}{first[:1]}")
    if record.nik:
        keys.append(f"nh:{record.nik[:12]}")
        keys.append(f"nt:{record.nik[6:]}{first[:1]}")
    return keys


def pairs(
    blocks: Iterable[list[int]], household: Callable[[int], str], max_block: int = DEFAULT_MAX_BLOCK
) -> Iterator[tuple[int, int]]:
    """Each pair of a block, the smaller number first, over households; a pair may come from several blocks.

    `blocks` hold numbers of records. Within one household nobody is compared: twins would be duplicates.
    """
    for block in blocks:
        if len(block) > max_block:
            continue
        for place, one in enumerate(block):
            for other in block[place + 1 :]:
                if one != other and household(one) != household(other):
                    yield (one, other) if one < other else (other, one)
