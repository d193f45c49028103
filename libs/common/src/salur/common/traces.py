"""Errors as logs may show them: type, place and state of the database, never a message that could hold a value.

A driver's message repeats the row it refused (`Key (number)=(…)`), a validation error the input. So of an error that is
not our own nothing is told but its type, where it was raised and, for the database, SQL state and constraint.
"""

import errno
import re
from collections.abc import Iterator
from pathlib import PurePath
from traceback import extract_tb

ERRORS_MAX = 8
FRAMES_MAX = 12
TEXT_MAX = 300
PIECE_MIN = 3
_NUMBER = re.compile(r"\d{6,}")


def describe(error: BaseException) -> str:
    """One line about an error: our own speak for themselves, of others the type and what names no person."""
    name = type(error).__name__
    if type(error).__module__.startswith("salur."):
        return f"{name}: {error}"[:TEXT_MAX]
    if isinstance(state := getattr(error, "sqlstate", None), str):
        place = _database_place(error)
        return f"{name} {state}" + (f" on {place}" if place else "")
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name} {errno.errorcode.get(error.errno, error.errno)}"
    return name


def _database_place(error: BaseException) -> str:
    """Constraint, else table, as asyncpg and psycopg tell them."""
    source = getattr(error, "diag", None) or error
    return str(getattr(source, "constraint_name", None) or getattr(source, "table_name", None) or "")


def trace_of(error: BaseException) -> list[dict[str, object]]:
    """The error, what it came from and what it holds, the outermost first: `error` and `frames`, the innermost last."""
    found = list(_chain(error))[:ERRORS_MAX]
    return [{"error": describe(item), "frames": frames_of(item)} for item in found]


def frames_of(error: BaseException) -> list[str]:
    """`file:line function`, without source lines: a line may hold a value."""
    frames = extract_tb(error.__traceback__)[-FRAMES_MAX:]
    return [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _short(filename: str) -> str:
    return "/".join(PurePath(filename).parts[-3:])


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    todo: list[BaseException] = [error]
    while todo:
        item = todo.pop(0)
        if id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        if isinstance(item, BaseExceptionGroup):
            todo += item.exceptions
        cause = item.__cause__ or (None if item.__suppress_context__ else item.__context__)
        if cause is not None:
            todo.append(cause)


def withhold(text: str, error: BaseException | None) -> str:
    """A library's own line without what `error` says, without long numbers, and no more than its first line."""
    for item in _chain(error) if error is not None else ():
        pieces = {str(item), repr(item), *(str(argument) for argument in item.args)}
        for piece in sorted(pieces, key=len, reverse=True):
            if len(piece) >= PIECE_MIN:
                text = text.replace(piece, f"<{type(item).__name__}>")
    first = text.strip().partition("\n")[0]
    return _NUMBER.sub("<number>", first)[:TEXT_MAX]
