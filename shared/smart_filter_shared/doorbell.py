"""The doorbell: a Celery message that a capability has work, and announcements of ended jobs.

Only this module talks to Celery's broker from outside the workers. A ring is a hint: a lost ring
costs a second until the sweeper rings again, and a superfluous ring has no effect. Ringing must
therefore never delay the caller: timeouts are short, nothing is retried, and after a failure a
circuit breaker skips all rings for a second.

An announcement is a hint too: API processes wake the clients that wait for a job at once. A lost
one costs them the time until the next poll of the events.
"""

import time
from collections.abc import Callable, Collection, Iterable

import kombu.exceptions
import redis
import redis.exceptions
from celery import Celery
from kombu.entity import Queue
from redis.backoff import NoBackoff
from redis.retry import Retry

from smart_filter_shared.config.settings import BrokerSettings
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.ids import Capability, JobId

RING_TASK = "smart_filter.ring"
# Redis channel on which ended jobs are announced; a message holds their ids, separated by spaces.
ENDS_CHANNEL = "smart-filter:ends"
_SOCKET_SECONDS = 0.2
_BREAK_SECONDS = 1.0


def verify_login(settings: BrokerSettings) -> None:
    """Raise SetupFailed when the broker rejects the user or the password.

    A broker that is down may come back, and accepted jobs wait for it.
    """
    client = redis.Redis.from_url(
        settings.url.get_secret_value(),
        socket_timeout=_SOCKET_SECONDS,
        socket_connect_timeout=_SOCKET_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        client.ping()
    except redis.exceptions.AuthenticationError as error:
        raise SetupFailed(
            f"the broker rejects this process ({error}); correct SMART_FILTER_BROKER_URL"
        ) from error
    except (redis.exceptions.RedisError, OSError):
        return
    finally:
        client.close()


class Doorbell:
    """Rings capabilities; thread-safe.

    clock: monotonic seconds, for the circuit breaker.
    """

    def __init__(
        self, settings: BrokerSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._celery = Celery("smart-filter-doorbell", set_as_current=False)
        self._celery.conf.update(
            broker_url=settings.url.get_secret_value(),
            task_ignore_result=True,
            task_publish_retry=False,
            task_serializer="json",
            task_send_sent_event=False,
            broker_transport_options={
                "socket_timeout": _SOCKET_SECONDS,
                "socket_connect_timeout": _SOCKET_SECONDS,
                # Else a dead broker blocks a publisher for 6 s, even without retry.
                "max_retries": 0,
                "interval_start": 0,
                "interval_step": 0,
                "interval_max": 0,
            },
        )
        self._redis = redis.Redis.from_url(
            settings.url.get_secret_value(),
            socket_timeout=_SOCKET_SECONDS,
            socket_connect_timeout=_SOCKET_SECONDS,
        )
        self._clock = clock
        self._quiet_until = -_BREAK_SECONDS

    def ring(self, capabilities: Iterable[Capability]) -> bool:
        """Ring once for each entry; return whether the broker accepted every ring."""
        return all(self._ring(capability) for capability in capabilities)

    def announce_ends(self, job_ids: Collection[JobId]) -> None:
        """Announce to all API processes that jobs have ended."""
        if not job_ids or self._clock() < self._quiet_until:
            return
        try:
            self._redis.publish(ENDS_CHANNEL, " ".join(map(str, job_ids)))
        except redis.exceptions.ResponseError:
            return  # such as a user without permission for channels, whose rings arrive
        except (redis.exceptions.RedisError, OSError):
            self._quiet_until = self._clock() + _BREAK_SECONDS

    def answers(self) -> bool:
        """Return whether the broker answers."""
        try:
            return bool(self._redis.ping())
        except (redis.exceptions.RedisError, OSError):
            return False

    def waiting(self, capability: Capability) -> int | None:
        """Return the number of rings of a capability in the broker; None when unknown."""
        try:
            return int(self._redis.llen(queue_name(capability)))
        except (redis.exceptions.RedisError, OSError):
            return None

    def close(self) -> None:
        """Close the connections."""
        self._celery.close()
        self._redis.close()

    def _ring(self, capability: Capability) -> bool:
        if self._clock() < self._quiet_until:
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
