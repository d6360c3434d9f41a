"""Listen for the ends of jobs that workers announce, so that waiting clients get them at once."""

import uuid
from typing import Final

import anyio
import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from smart_filter_api.services.loops.event_poller import EventPoller
from smart_filter_shared.config.settings import BrokerSettings
from smart_filter_shared.doorbell import ENDS_CHANNEL
from smart_filter_shared.ids import JobId
from smart_filter_shared.supervision import SupervisedLoop

# Pause before the next try to connect. Until then the poller polls as if nothing were announced.
_RETRY_SECONDS: Final = 1.0
_CONNECT_SECONDS: Final = 0.5


class EndListener:
    """Passes announced ends on to the watches of the process; for one event loop."""

    def __init__(self, settings: BrokerSettings, watching: EventPoller) -> None:
        self._redis = redis.asyncio.Redis.from_url(
            settings.url.get_secret_value(),
            socket_connect_timeout=_CONNECT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._watching = watching

    async def run(self) -> None:
        """Listen until canceled, and connect again when the connection ends.

        Raises the last error when too many unexpected ones follow each other.
        """
        listening = SupervisedLoop("ends", every_seconds=_RETRY_SECONDS)
        while True:
            with listening.step():
                await self._listen()
            await anyio.sleep(listening.pause_seconds)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _listen(self) -> None:
        """Listen until the connection ends."""
        try:
            async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
                await channel.subscribe(ENDS_CHANNEL)
                self._watching.expect_announcements(True)
                async for message in channel.listen():
                    for job_id in message["data"].decode().split():
                        self._watching.announce(JobId(uuid.UUID(job_id)))
        except (redis.exceptions.RedisError, OSError):
            return  # ends are then found by frequent polls
        finally:
            self._watching.expect_announcements(False)
