"""Logging: one chain for Hudhud's own lines (structlog) and the libraries' (stdlib).

Lines go to stderr, human-readable on a terminal and as JSON elsewhere. stdout is reserved for the
output of commands, the QR code, and what Go prints in a sender's process. Every line also goes as
JSON to `combined.log`, errors to `errors.log`, and uncaught exceptions to `exceptions.log`, all in
LOG_DIR. A process keeps running if it cannot write these files.
"""

import json
import logging
import sys
import threading
import time
from collections.abc import MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import structlog
from structlog.contextvars import merge_contextvars
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import format_exc_info

from hudhud.core.clock import iso, now_ms
from hudhud.core.log_files import LogFile
from hudhud.core.masking import mask_value
from hudhud.core.settings import Settings

COMPLAINT_SECONDS = 3600.0
# Below warning these log URLs with secrets, database rows or noise.
QUIET_LOGGERS = ("alembic", "httpcore", "httpx", "sqlalchemy", "urllib3")

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]

_encoder = msgspec.json.Encoder()


def configure(settings: Settings, process: str) -> None:
    """Configure the logging of this process, named `process` in each line.

    Call it once, before the libraries that log are imported. Their lines (uvicorn, SQLAlchemy,
    Alembic, apprise …) go the same way, but never at a finer level than info.
    """
    outputs = _Outputs(settings.log_dir, process)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[merge_contextvars, format_exc_info, _for_logger],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *names: _Logger(outputs, *names),
        cache_logger_on_first_use=True,
    )
    _take_over_stdlib(outputs, max(level, logging.INFO))
    _catch_unhandled(outputs)


class _Outputs:
    def __init__(self, folder: Path, process: str) -> None:
        self._process = process
        # sys.stderr is None if the process was started with it closed.
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._render = ConsoleRenderer(
            colors=self._terminal, exception_formatter=plain_traceback, sort_keys=False
        )
        self._combined = LogFile(folder / "combined.log", self._complain)
        self._errors = LogFile(folder / "errors.log", self._complain)
        self._exceptions = LogFile(folder / "exceptions.log", self._complain)
        self._complain_again_at = 0.0
        self._console_lock = threading.RLock()

    def write(self, level: str, name: str, event: MutableMapping[str, Any]) -> None:
        line = {
            "timestamp": iso(now_ms()),
            "level": level,
            "event": mask_value("event", event.pop("event", "")),
            "process": self._process,
            "logger": name,
        }
        for key, value in event.items():
            line[f"{key}_" if key in line else key] = mask_value(key, value)
        encoded = _encode(line)
        self._write_console(line, encoded)
        self._combined.write(encoded)
        if level in {"error", "critical"}:
            self._errors.write(encoded)
        if "unhandled" in line:
            self._exceptions.write(encoded)

    def _write_console(self, line: dict[str, Any], encoded: bytes) -> None:
        text = self._readable(line) if self._terminal else encoded.decode()
        with self._console_lock:
            try:
                if sys.stderr is not None:
                    sys.stderr.write(text)
                    sys.stderr.flush()
            except (OSError, ValueError):
                return  # the reader is gone; the files still get the line

    def _readable(self, line: dict[str, Any]) -> str:
        shown = {key: _printable(value) for key, value in line.items() if key != "logger"}
        shown["timestamp"] = line["timestamp"][11:19] + "Z"
        return f"{self._render(None, line['level'], shown)}\n"

    def _complain(self, error: OSError) -> None:
        if time.monotonic() < self._complain_again_at:
            return
        self._complain_again_at = time.monotonic() + COMPLAINT_SECONDS
        complaint = {
            "timestamp": iso(now_ms()),
            "level": "warning",
            "event": "Cannot write log files: check LOG_DIR; logging only to stderr",
            "error": str(error),
            "process": self._process,
            "logger": __name__,
        }
        self._write_console(complaint, _encode(complaint))


class _Logger:
    """The end of structlog's chain, called with the result of `_for_logger`."""

    def __init__(self, outputs: _Outputs, name: str = "") -> None:
        self._outputs = outputs
        self._name = name

    def write(self, level: str, event: MutableMapping[str, Any]) -> None:
        self._outputs.write(level, self._name, event)

    debug = info = warning = error = critical = write


class _FromStdlib(logging.Handler):
    def __init__(self, outputs: _Outputs) -> None:
        super().__init__()
        self._outputs = outputs

    def emit(self, record: logging.LogRecord) -> None:
        event: dict[str, Any] = {"event": _message(record)}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        if record.name == "asyncio" and record.levelno >= logging.ERROR:
            event["unhandled"] = True  # asyncio logs exceptions of tasks that are not awaited
        level = _level_name(record.levelno)
        merged = format_exc_info(None, level, merge_contextvars(None, level, event))
        self._outputs.write(level, record.name, merged)


def _take_over_stdlib(outputs: _Outputs, level: int) -> None:
    logging.raiseExceptions = False  # would print the arguments of a failing line
    root = logging.getLogger()
    root.handlers = [_FromStdlib(outputs)]
    root.setLevel(level)
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _catch_unhandled(outputs: _Outputs) -> None:
    def write(message: str, info: ExceptionInfo) -> None:
        event = {"event": message, "exc_info": info, "unhandled": True}
        outputs.write("critical", __name__, format_exc_info(None, "critical", event))

    def of_main_thread(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            write("Unhandled exception", (kind, error, trace))

    def of_thread(failure: threading.ExceptHookArgs) -> None:
        if failure.exc_value is None or issubclass(failure.exc_type, SystemExit):
            return
        name = failure.thread.name if failure.thread else "that has ended"
        info = (failure.exc_type, failure.exc_value, failure.exc_traceback)
        write(f"Unhandled exception in thread {name}", info)

    def of_destructor(failure: "sys.UnraisableHookArgs") -> None:
        if failure.exc_value is not None:
            info = (failure.exc_type, failure.exc_value, failure.exc_traceback)
            write(failure.err_msg or "Exception ignored", info)

    sys.excepthook = of_main_thread
    threading.excepthook = of_thread
    sys.unraisablehook = of_destructor


def _for_logger(
    _logger: object, method: str, event: MutableMapping[str, Any]
) -> tuple[tuple[str, MutableMapping[str, Any]], dict[str, Any]]:
    """End structlog's chain with the arguments of `_Logger.write`."""
    return (method, event), {}


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # do not lose a library's line to its wrong arguments
        return str(record.msg)


def _level_name(level: int) -> str:
    for limit in (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO):
        if level >= limit:
            return logging.getLevelName(limit).lower()
    return "debug"


def _encode(line: dict[str, Any]) -> bytes:
    try:
        return _encoder.encode(line) + b"\n"
    except (UnicodeEncodeError, OverflowError, TypeError, ValueError):
        return json.dumps(line, default=repr).encode() + b"\n"


def _printable(value: object) -> object:
    """Escape control characters, which could manipulate the terminal."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(
        letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1]
        for letter in value
    )
