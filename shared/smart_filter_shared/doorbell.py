"""The doorbell: a Celery message that a capability has work, and announcements of ended jobs.

Only this module talks to Celery's broker from outside the workers. It writes the messages itself:
Celery's producer took ten times as long as Redis' client. A ring is a hint: a lost ring
costs a second until the sweeper rings again, and a superfluous ring has no effect. Ringing must
therefore never delay the caller: timeouts are short, nothing is retried, and after a failure a
circuit breaker skips all rings for a second.

An announcement is a hint too: API processes wake the clients that wait for a job at once. A lost
one costs them the time until the next poll of the events.
"""

import base64
import json
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from smart_filter_shared.config.settings import BrokerSettings
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.ids import Capability, JobId

RING_TASK = "smart_filter.ring"
# Redis channel on which ended jobs are announced; a message holds their ids, separated by spaces.
ENDS_CHANNEL = "smart-filter:ends"
_NO_CALLBACKS: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
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
        self._redis = redis.Redis.from_url(
            settings.url.get_secret_value(),
            socket_timeout=_SOCKET_SECONDS,
            socket_connect_timeout=_SOCKET_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._clock = clock
        self._quiet_until = -_BREAK_SECONDS

    def ring(self, capabilities: Iterable[Capability]) -> bool:
        """Ring once for each entry; return whether the broker accepted every ring."""
        if self._clock() < self._quiet_until:
            return False
        try:
            for queue, rings in _encode_rings(capabilities).items():
                self._redis.lpush(queue, *rings)
        except (redis.exceptions.RedisError, OSError):
            self._quiet_until = self._clock() + _BREAK_SECONDS
            return False
        return True

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
        self._redis.close()


class AsyncDoorbell:
    """Rings capabilities as `Doorbell` does, for one event loop.

    clock: as in `Doorbell`.
    """

    def __init__(
        self, settings: BrokerSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis.asyncio.Redis.from_url(
            settings.url.get_secret_value(),
            socket_timeout=_SOCKET_SECONDS,
            socket_connect_timeout=_SOCKET_SECONDS,
            retry=AsyncRetry(NoBackoff(), 0),
        )
        self._clock = clock
        self._quiet_until = -_BREAK_SECONDS

    async def ring(self, capabilities: Iterable[Capability]) -> bool:
        """Ring once for each entry; return whether the broker accepted every ring."""
        if self._clock() < self._quiet_until:
            return False
        try:
            for queue, rings in _encode_rings(capabilities).items():
                await self._redis.lpush(queue, *rings)
        except (redis.exceptions.RedisError, OSError):
            self._quiet_until = self._clock() + _BREAK_SECONDS
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


def queue_name(capability: Capability) -> str:
    """Return the name of a capability's Celery queue."""
    return f"smart_filter.{capability}"


def _encode_rings(capabilities: Iterable[Capability]) -> Mapping[str, Sequence[str]]:
    """Return the messages of rings by their queue, as Celery's workers read them from Redis.

    Source: Celery, Message Protocol, version 2; kombu 5.6, transport/redis.py, `Channel._put`.
    """
    rings: defaultdict[str, list[str]] = defaultdict(list)
    for capability in capabilities:
        ring_id, queue = str(uuid.uuid4()), queue_name(capability)
        arguments = json.dumps([[capability], {}, _NO_CALLBACKS]).encode()
        message = {
            "body": base64.b64encode(arguments).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": RING_TASK, "id": ring_id, "root_id": ring_id},
            "properties": {
                "body_encoding": "base64",
                "correlation_id": ring_id,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "delivery_mode": 2,
                "delivery_tag": ring_id,
                "priority": 0,
            },
        }
        rings[queue].append(json.dumps(message))
    return rings
