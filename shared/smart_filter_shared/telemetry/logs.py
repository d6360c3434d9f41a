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
            _said_by(process),
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
    root = logging.getLogger()
    root.handlers = [one for one in root.handlers if not isinstance(one, _Theirs)]
    root.addHandler(_Theirs())


def logger(part: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger whose events name the part that says them."""
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=part)
    return log


def _said_by(process: str) -> structlog.typing.Processor:
    def name(
        _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        # Not bound as context, which no other thread would have.
        return {**event, "process": process}

    return name


class _Theirs(logging.Handler):
    """Says what libraries log as events of ours."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        log = logger(record.name)
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
