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
# After so long without a message the broker is asked whether it is there, and after as long again
# without an answer the connection counts as dead. A Redis that swallows packets sends nothing.
_SILENT_SECONDS: Final = 5.0


class EndListener:
    """Passes announced ends on to the watches of the process; for one event loop.

    silent_seconds: the time without a message after which the broker is asked for one.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        watching: EventPoller,
        *,
        silent_seconds: float = _SILENT_SECONDS,
    ) -> None:
        self._is_needed = bool(settings.address)
        # Of any address without a broker: no connection is opened then.
        self._redis = redis.asyncio.Redis.from_url(
            settings.address or "redis://",
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=silent_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        self._watching = watching
        self._silent_seconds = silent_seconds

    async def run(self) -> None:
        """Listen until canceled, and connect again when the connection ends.

        Returns at once without a broker: ends are then found by frequent polls.
        Raises the last error when too many unexpected ones follow each other.
        """
        listening = SupervisedLoop("ends", every_seconds=_RETRY_SECONDS)
        while self._is_needed:
            with listening.step():
                await self._listen()
            await anyio.sleep(listening.pause_seconds)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _listen(self) -> None:
        """Listen until the connection ends, or is silent."""
        try:
            async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
                await channel.subscribe(ENDS_CHANNEL)
                self._watching.expect_announcements(True)
                is_asked = False
                while True:
                    message = await channel.get_message(timeout=self._silent_seconds)
                    if message is None:
                        if is_asked:
                            return
                        await channel.ping()
                    elif message["type"] == "message":
                        for job_id in message["data"].decode().split():
                            self._watching.announce(JobId(uuid.UUID(job_id)))
                    is_asked = message is None
        except (redis.exceptions.RedisError, OSError):
            return  # ends are then found by frequent polls
        finally:
            self._watching.expect_announcements(False)
