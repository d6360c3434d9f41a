"""A kombu Redis transport without acknowledgments: a message is gone once it is received.

A ring is a hint, and workers find work without it. Acknowledging rings to Redis
gained nothing, and it stopped workers for good: when Redis does not answer an acknowledgment in
time, kombu logs that and gives up, but the ring still counts against the prefetch limit of its
worker. A standstill of 20 s cost a worker all of its threads that way.

So an acknowledgment only forgets the ring in memory, which cannot fail. Rings that a worker
holds when it ends, or when it loses its connection, are not put back: that would be another
request to a broker that may not answer, and kombu writes messages that it cannot put back into
files.
"""

from typing import Any

from kombu.transport import redis

from smart_filter_shared.telemetry.logs import logger

# How Celery's settings name the transport. Celery shows its settings to `celery inspect`, as JSON.
TRANSPORT = f"{__name__}:NoAckTransport"
TRANSPORT_OPTIONS = {"ack_emulation": False}


# What kombu and Celery raise for a message that is no JSON, or lacks a part.
_NO_RING = (ValueError, LookupError, TypeError, AttributeError)
_log = logger("bells")


class _Channel(redis.Channel):
    do_restore = False

    def _brpop_read(self, **options: Any) -> Any:  # noqa: ANN401 - as kombu's
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except _NO_RING as error:
            # It has left the queue. Raised, it would end Celery's worker.
            _log.warning("message_dropped", reason=f"{type(error).__name__}: {error}")
            return True


class NoAckTransport(redis.Transport):
    """kombu's Redis transport for workers; needs `TRANSPORT_OPTIONS` as its options."""

    Channel = _Channel
