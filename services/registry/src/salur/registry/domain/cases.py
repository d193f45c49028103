"""Complaints: how they move, by when they must be answered, and who is kept away from them."""

from datetime import datetime, timedelta

DUE_WITHIN = {
    "urgent": timedelta(days=1),
    "high": timedelta(days=3),
    "normal": timedelta(days=14),
    "low": timedelta(days=30),
}
"""From opening, or from a change of priority, to the resolution."""
REOPENED_WITHIN = timedelta(days=7)
RAISED = {"low": "normal", "normal": "high", "high": "urgent", "urgent": "urgent"}
"""A reopened case is more urgent than it was."""
MOVES = {
    "open": frozenset({"in-progress"}),
    "in-progress": frozenset({"resolved"}),
    "resolved": frozenset({"closed", "in-progress"}),
    "closed": frozenset(),
}
ALWAYS_SENSITIVE = frozenset({"misconduct"})


def is_sensitive(category: str, asked: bool) -> bool:
    """Complaints of misconduct always are; others when who opens them says so."""
    return asked or category in ALWAYS_SENSITIVE


def due_at(priority: str, now: datetime) -> datetime:
    """By when it must be resolved."""
    return now + DUE_WITHIN[priority]


def told_region(region: str, sensitive: bool) -> str:
    """The place an event may tell: of a sensitive case only the province."""
    return region[:2] if sensitive else region
