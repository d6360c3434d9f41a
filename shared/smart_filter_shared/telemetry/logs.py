"""Logs: one JSON line per event, with ids and without photos' names, URLs or keys.

Library messages of level warning and above, from Python's logging, have the same format.
An event that cannot be written, or not be formatted, is lost: it never raises into the work.
"""

import logging
import sys
from contextlib import suppress
from typing import Any

import structlog

from smart_filter_shared.telemetry.streams import replace_standard_streams


def configure(process: str) -> None:
    """Write events of level info and above to standard error; printing cannot fail any more.

    process: name of this process, such as api or worker.  The process's entry point calls this
    once.
    """
    replace_standard_streams()
    processors = structlog.get_config()["processors"]
    # In place, because loggers that have been used hold this list.
    processors[:] = [
        structlog.contextvars.merge_contextvars,
        _add_process(process),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Local variables of frames contain keys, recipes and metadata, so they are left out.
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        ),
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=_UnfailingLogger,
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [
        handler for handler in root.handlers if not isinstance(handler, _LibraryLogHandler)
    ]
    root.addHandler(_LibraryLogHandler())


def logger(part: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger whose events carry the name of a part of the code."""
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=part)
    return log


def _add_process(process: str) -> structlog.typing.Processor:
    def name(
        _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        # Added here, because a context variable would be missing in other threads.
        return {**event, "process": process}

    return name


class _UnfailingLogger(structlog.make_filtering_bound_logger(logging.INFO)):  # type: ignore[misc]  # made at run time
    """Drops an event that a processor or the stream rejects."""

    def _proxy_to_logger(self, method_name: str, event: str | None = None, **fields: Any) -> Any:  # noqa: ANN401 - as structlog's
        with suppress(Exception):
            return super()._proxy_to_logger(method_name, event, **fields)


class _LibraryLogHandler(logging.Handler):
    """Turns library log records into structlog events."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):  # the arguments may not fit the message
            log = logger(record.name)
            log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
