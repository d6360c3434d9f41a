"""Logs: one line an event, as JSON, with ids and without photos' names, links or keys.

What libraries say by Python's own logging, from warnings on, comes out the same way.
"""

import logging
import sys

import structlog


def configure(process: str) -> None:
    """Write events of level info and above to standard error.

    process: what says it: api or worker.  Called once, by the process's own entry point.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Frames' local variables hold keys, recipes and metadata: they stay out.
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    root = logging.getLogger()
    root.handlers = [one for one in root.handlers if not isinstance(one, _Theirs)]
    root.addHandler(_Theirs(process))


def logger(part: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger whose events name the part that says them."""
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=part)
    return log


class _Theirs(logging.Handler):
    """Says what libraries log as events of ours."""

    def __init__(self, process: str) -> None:
        super().__init__(logging.WARNING)
        self._process = process

    def emit(self, record: logging.LogRecord) -> None:
        # Their threads have not our context.
        log = logger(record.name).bind(process=self._process)
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
