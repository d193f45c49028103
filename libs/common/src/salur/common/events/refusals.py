"""Which errors are an event's own fault, and what may be said about them."""

import asyncpg

from salur.common.database import TRANSIENT
from salur.common.errors import Refused, SalurError
from salur.common.events.envelope import EventTooLarge, Unacceptable


def passes_by_itself(error: Exception) -> bool:
    """Trouble of the database, the machine or a part we need: retried, never blamed on an event."""
    return isinstance(error, TRANSIENT) or (isinstance(error, SalurError) and error.status == 503)


def reason_of(error: Exception) -> str:
    """Why a handler refused, without values: our own errors speak, others give their type (and SQL state)."""
    if isinstance(error, Refused | SalurError | Unacceptable | EventTooLarge):
        return f"{type(error).__name__}: {error}"[:200]
    if isinstance(error, asyncpg.PostgresError):
        return f"{type(error).__name__} on {error.constraint_name or error.table_name or 'a statement'}"[:200]
    return type(error).__name__
