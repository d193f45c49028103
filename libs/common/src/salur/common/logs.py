"""Structured logs: one line per unit of work; JSON unless a person watches. Personal values are refused.

Everything a process says goes through the same processors: our own lines, those of libraries (logging), warnings, and
errors nobody caught. Errors are told by type and place only (`traces`).
"""

import logging
import sys
import threading
import time
import types
import uuid
import warnings
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, TextIO

import orjson
import structlog

from salur.common.traces import describe, trace_of, withhold

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
QUIET = ("aiokafka", "faststream", "uvicorn", "uvicorn.access")
ECHO_S = 5.0
"""The same line of the same library within so many seconds is told once."""
TOLD_MAX = 200
ITEMS_MAX = 50
DEPTH_MAX = 4
Event = structlog.typing.EventDict


def _trace_errors(_logger: Any, _method: str, event: Event) -> Event:
    """`exc_info` becomes `trace`. Nothing else of an error is told."""
    given = event.pop("exc_info", None)
    event.pop("stack_info", None)
    if "exception" in event:  # a traceback somebody has rendered already
        event["exception"] = "<withheld>"
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else None
    if given and error is None:
        error = sys.exc_info()[1]
    if error is not None:
        event["trace"] = trace_of(error)
    return event


def _refuse_personal(_logger: Any, _method: str, event: Event) -> Event:
    return {field: _plain(field, value) for field, value in event.items()}


def _plain(field: str, value: Any, depth: int = 0) -> Any:
    """A value as it may be logged: texts, numbers and collections of them; of anything else only its type."""
    if field in PERSONAL_NAMES:
        return f"<withheld {type(value).__name__}>"
    shown: Any = f"<{type(value).__name__}>"
    match value:
        case None | bool() | int() | float() | str():
            shown = value
        case Path() | uuid.UUID() | date():
            shown = str(value)
        case BaseException():
            shown = describe(value)
        case Mapping() if depth < DEPTH_MAX:
            items = list(value.items())[:ITEMS_MAX]
            shown = {str(key): _plain(str(key), item, depth + 1) for key, item in items}
        case list() | tuple() | set() | frozenset() if depth < DEPTH_MAX:
            shown = [_plain(field, item, depth + 1) for item in list(value)[:ITEMS_MAX]]
    return shown


class _Library(logging.Handler):
    """Lines of libraries on our way: without the texts of errors, whoever put them in, and without echoes.

    A client whose server is away says so a hundred times a second, and buries what we say ourselves.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        text = withhold(_message(record), error)
        if error is None and self._is_echo(record.name, text):
            return
        get_logger(record.name).log(record.levelno, text, exc_info=error)

    def _is_echo(self, library: str, text: str) -> bool:
        now = time.monotonic()
        if now - self._told.get((library, text), -ECHO_S) < ECHO_S:
            return True
        if len(self._told) >= TOLD_MAX:
            self._told.clear()
        self._told[library, text] = now
        return False


def _message(record: logging.LogRecord) -> str:
    """The record's line with its arguments, of which only plain ones are shown."""
    template = str(record.msg)
    if isinstance(record.msg, BaseException):
        template = describe(record.msg)
    if not record.args:
        return template
    try:
        arguments = record.args
        if isinstance(arguments, Mapping):
            return template % {name: _plain(str(name), value) for name, value in arguments.items()}
        return template % tuple(_plain("", value) for value in arguments)
    except (TypeError, ValueError, KeyError):
        return template


def configure_logs(service: str, log_format: str = "auto", level: str = "INFO", stream: TextIO | None = None) -> None:
    """Set up logs for this process. `log_format`: json, console or auto (console on a terminal)."""
    target = stream or sys.stderr
    console = log_format == "console" or (log_format == "auto" and target.isatty())

    def name_service(_logger: Any, _method: str, event: Event) -> Event:
        event.setdefault("service", service)  # not as a context variable: a thread does not inherit those
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        name_service,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _trace_errors,
        _refuse_personal,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=target.isatty())
        if console
        else structlog.processors.JSONRenderer(serializer=lambda data, **_: _json(data))
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=True,
    )
    _take_libraries()
    _take_what_nobody_caught()


def _json(data: Any) -> str:
    # A lone surrogate in a library's text must not cost the line.
    try:
        return orjson.dumps(data).decode()
    except TypeError:
        return orjson.dumps({"event": "unloggable", "level": data.get("level", "error")}).decode()


def _take_libraries() -> None:
    """One handler for everything that uses `logging`; handlers that libraries brought along are taken away."""
    logging.raiseExceptions = False  # else a broken log call prints its arguments
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True
    logging.basicConfig(level=logging.WARNING, handlers=[_Library()], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def _take_what_nobody_caught() -> None:
    log = get_logger("process")

    def uncaught(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            log.critical("uncaught", exc_info=error)

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            log.critical("uncaught-in-thread", exc_info=args.exc_value)

    def unraisable(args: "sys.UnraisableHookArgs") -> None:
        if args.exc_value is not None:
            log.error("uncaught-at-the-end", exc_info=args.exc_value)

    def warned(
        message: Warning | str,  # noqa: ARG001 - it may repeat a value
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,  # noqa: ARG001
        line: str | None = None,  # noqa: ARG001
    ) -> None:
        log.warning("python-warning", category=category.__name__, at=f"{filename}:{lineno}")

    sys.excepthook = uncaught
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
    warnings.showwarning = warned


def get_logger(part: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry `part`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=part)
    return logger
