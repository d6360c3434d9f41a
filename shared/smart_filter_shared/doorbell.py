"""The doorbell: a Celery message that a capability has work, and announcements of ended jobs.

Only this module talks to Celery's broker from outside the workers. A ring is a hint: workers look
into the database once a second, so a lost ring costs a second, and a superfluous ring has no
effect. Ringing must therefore never delay the caller: timeouts are short, nothing is retried, and
after a failure a circuit breaker skips all rings for a second. Without a broker nothing rings.

An announcement is a hint too: API processes wake the clients that wait for a job at once. A lost
one costs them the time until the next poll of the events.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable

import kombu.exceptions
import redis
import redis.exceptions
from celery import Celery
from kombu.entity import Queue
from redis.backoff import NoBackoff
from redis.connection import ConnectionInterface
from redis.retry import Retry

from smart_filter_shared.config.settings import BrokerSettings
from smart_filter_shared.ids import Capability, JobId
from smart_filter_shared.telemetry.logs import logger

RING_TASK = "smart_filter.ring"
# Redis channel on which ended jobs are announced; a message holds their ids, separated by spaces.
ENDS_CHANNEL = "smart-filter:ends"
# The key that the probe writes, and its time to live.
_PROBE_KEY = "smart-filter:probe"
_PROBE_SECONDS = 60
_SOCKET_SECONDS = 0.2
_BREAK_SECONDS = 1.0


def warn_of_refusal(settings: BrokerSettings) -> None:
    """Log when the broker rejects the user or the password.

    Processes do without a broker: one that starts while a password changes must not end.
    """
    if not settings.address:
        return
    client = redis.Redis.from_url(
        settings.address,
        socket_timeout=_SOCKET_SECONDS,
        socket_connect_timeout=_SOCKET_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        client.ping()
    except redis.exceptions.AuthenticationError as error:
        logger("bells").error(
            "broker_rejects_process", reason=str(error), remedy="correct SMART_FILTER_BROKER_URL"
        )
    except (redis.exceptions.RedisError, OSError):
        return
    finally:
        client.close()


def find_write_fault(client: redis.Redis) -> str | None:
    """Return why a broker accepts no writes, which rings are; None: it accepts them.

    An answer to PING would not tell: a replica and a full server answer it too.
    """
    try:
        client.set(_PROBE_KEY, "", ex=_PROBE_SECONDS)
    except redis.exceptions.NoPermissionError:
        return None  # a user that may write other keys, but not this one
    except (redis.exceptions.RedisError, OSError) as error:
        return str(error)
    return None


def open_celery(settings: BrokerSettings, *, wait_seconds: float = _SOCKET_SECONDS) -> Celery:
    """Return a Celery application that sends, and gives up at once when the broker does not answer.

    No connection is opened yet.
    """
    celery = Celery("smart-filter-doorbell", set_as_current=False)
    celery.conf.update(
        broker_url=settings.address,
        task_ignore_result=True,
        task_publish_retry=False,
        task_serializer="json",
        task_send_sent_event=False,
        broker_transport_options={
            "socket_timeout": wait_seconds,
            "socket_connect_timeout": wait_seconds,
            # Else a dead broker blocks a publisher for 6 s, even without retry.
            "max_retries": 0,
            "interval_start": 0,
            "interval_step": 0,
            "interval_max": 0,
        },
    )
    return celery


class Doorbell:
    """Rings capabilities; thread-safe.  Without a broker it does nothing.

    clock: monotonic seconds, for the circuit breaker.  wait_seconds: how long a call waits for the
    broker.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait_seconds: float = _SOCKET_SECONDS,
    ) -> None:
        self._is_silent = not settings.address
        self._celery = open_celery(settings, wait_seconds=wait_seconds)
        # Of any address without a broker: no connection is opened then.
        self._redis = redis.Redis.from_url(
            settings.address or "redis://",
            socket_timeout=wait_seconds,
            socket_connect_timeout=wait_seconds,
        )
        self._announcer = self._redis.connection_pool.make_connection()
        self._announcing = threading.Lock()
        self._clock = clock
        self._quiet_until = -_BREAK_SECONDS

    def ring(self, capabilities: Iterable[Capability]) -> bool:
        """Ring once for each entry; return whether the broker accepted every ring."""
        return all(self._ring(capability) for capability in capabilities)

    def announce_ends(self, job_ids: Collection[JobId]) -> None:
        """Announce to all API processes that jobs have ended."""
        if self._is_silent or not job_ids or self._clock() < self._quiet_until:
            return
        try:
            with self._announcing:
                announcer = self._connect_announcer()
                announcer.send_command("PUBLISH", ENDS_CHANNEL, " ".join(map(str, job_ids)))
        except (redis.exceptions.RedisError, OSError):
            self._quiet_until = self._clock() + _BREAK_SECONDS

    def _connect_announcer(self) -> ConnectionInterface:
        """Return the connection of announcements, on which the server sends no replies.

        A reply would cost a worker as much as the announcement. A user without permission for
        channels thus announces nothing.
        """
        if not self._announcer.is_connected:
            self._announcer.connect()
            self._announcer.send_command("CLIENT", "REPLY", "OFF")
        return self._announcer

    def find_fault(self) -> str | None:
        """Return why the broker accepts no rings; None: it does, or there is none."""
        return None if self._is_silent else find_write_fault(self._redis)

    def close(self) -> None:
        """Close the connections."""
        self._celery.close()
        self._redis.close()
        self._announcer.disconnect()

    def _ring(self, capability: Capability) -> bool:
        if self._is_silent or self._clock() < self._quiet_until:
            return False
        try:
            self._celery.send_task(
                RING_TASK,
                args=[capability],
                queue=Queue(queue_name(capability), routing_key=queue_name(capability)),
                retry=False,
            )
        except (kombu.exceptions.KombuError, redis.exceptions.RedisError, OSError):
            self._quiet_until = self._clock() + _BREAK_SECONDS
            return False
        return True


def queue_name(capability: Capability) -> str:
    """Return the name of a capability's Celery queue."""
    return f"smart_filter.{capability}"
