"""Blocking: two records are compared only when they share a key.

Keys are text of personal values: the caller turns each into a keyed hash before it is stored, so that a table of keys
tells nothing. Every record has at most MAX_KEYS; each way of writing somebody down twice leaves at least one key alone:

| key | survives |
|---|---|
| birth date (day and month in any order), regency | any other name, swapped dates |
| birth date, first sounds of the first word | another region, a changed or dropped later word |
| birth date, sounds of the last word | another region, a changed or dropped first word |
| sounds of the whole name, birth year, regency | a wrong day or month |
| sounds of the whole name, day and month, regency | a wrong year |
| sounds of the whole name, district | any wrong date |
| telephone, sex, first sound; account likewise | almost everything else |
| NIK without its serial; NIK without its region, with the first sound | a slip in the other part |

A wrong date in another regency has no key: without the same telephone, account or a similar NIK, which have theirs, no
name is rare enough to make up for it.

A block may grow with the register, what is done with it may not: of a crowded one only the first few are compared with
everybody. So somebody registered a hundred times is still seen, and a name of thousands costs each of them the same.
"""

from collections.abc import Iterable, Sequence

from salur.registry.domain.matching.records import Record
from salur.registry.domain.matching.spelling import skeleton

MAX_KEYS = 10
MAX_BLOCK = 60
"""Larger blocks are crowded."""
FIRST_OF_A_CROWD = 3


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
            keys.append(f"ny:{born.year}{record.region[:5]}{whole}")
            keys.append(f"nd:{day}{record.region[:5]}{whole}")
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


def pairs(blocks: Iterable[tuple[Sequence[int], Sequence[int]]]) -> set[tuple[int, int]]:
    """Whom to compare, the smaller number first.

    A block is those of it whose turn it is, and its first members in ascending order up to the last of them, MAX_BLOCK
    + 1 if there are so many. Everybody meets those before them only, so that no two meet twice.
    """
    found: set[tuple[int, int]] = set()
    for turn, first in blocks:
        known = first if len(first) <= MAX_BLOCK else first[:FIRST_OF_A_CROWD]
        found.update((other, one) for one in turn for other in known if other < one)
    return found
