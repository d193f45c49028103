"""Structured logs: one line per unit of work; JSON unless a person watches. Personal fields are refused."""

import logging
import sys
from typing import Any

import orjson
import structlog

PERSONAL_NAMES = frozenset(
    {
        "nik",
        "kk",
        "name",
        "holder",
        "account_holder",
        "account_number",
        "number",
        "phone",
        "address",
        "birth_date",
    }
    | {"identifiers", "members", "attributes", "payee", "body", "value", "token", "password"}
)
"""Field names that never reach a log: the processor replaces their value by its shape."""


def _refuse_personal(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for field in PERSONAL_NAMES & event.keys():
        event[field] = f"<withheld {type(event[field]).__name__}>"
    return event


def configure_logs(service: str, log_format: str = "auto", level: str = "INFO") -> None:
    """Set up structlog for this process. `log_format`: json, console or auto (console on a terminal)."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _refuse_personal,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if console
        else structlog.processors.JSONRenderer(serializer=lambda data, **_: orjson.dumps(data, default=str).decode())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    for noisy in ("aiokafka", "faststream", "uvicorn", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry `part=name`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=name)
    return logger
