"""Logs: one JSON line per event, with ids and without photos' names, URLs or keys.

Library messages of level warning and above, from Python's logging, have the same format.
An event that cannot be written, or not be formatted, is lost: it never raises into the work.

So the standard streams of a server process are replaced: a full disk, a closed pipe or a read-only
file system does not raise.
"""

import io
import logging
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from typing_extensions import Buffer


_STREAMS: Final = ("stdout", "stderr")


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


def replace_standard_streams(*names: str) -> None:
    """Make `sys.stdout`, `sys.stderr` or both drop what cannot be written.

    names: `stdout`, `stderr`; both when empty.  A stream in memory stays.
    """
    for name in names or _STREAMS:
        stream = getattr(sys, name)
        try:
            file = _LossyFile(
                os.open(os.devnull, os.O_WRONLY) if stream is None else stream.fileno()
            )
        except io.UnsupportedOperation:
            continue
        except OSError:  # it is closed, and another file may get its number
            file = _LossyFile(os.open(os.devnull, os.O_WRONLY))
        setattr(sys, name, io.TextIOWrapper(file, "utf-8", "backslashreplace", write_through=True))


class _LossyFile(io.FileIO):
    """A file descriptor that is written without a buffer; what it does not take is lost.

    After a write that was cut, the next one begins with a line end, so that only one line is cut.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._lock = threading.Lock()
        self._is_cut = False

    def write(self, content: "Buffer", /) -> int:
        """Write bytes as far as possible, and return their number."""
        length = len(memoryview(content))
        with self._lock:
            written: int | None = 0
            try:
                if self._is_cut:
                    self._is_cut = not super().write(b"\n")
                written = super().write(content)  # None: a full pipe that does not block
            except OSError:
                written = 0
            if written and written < length:
                self._is_cut = True
        return length
