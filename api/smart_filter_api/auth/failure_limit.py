"""Limit failed attempts to authenticate by the network of the client.

Guessing a key is hopeless; the limit bounds the cost of unknown keys: each one is a query.
Only failures count, so that many people behind one address can sign in. Secrets that were valid
before are not limited: failures of others in the same network do not lock them out.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from cachetools import LRUCache

from smart_filter_api.auth.rate_limit import WINDOW_SECONDS, Bucket, take_token
from smart_filter_shared.errors import RateLimited, Unauthorized

# Networks and secrets that are remembered, about 200 bytes each.
_MAX_KNOWN: Final = 10_000


class FailureLimit:
    """The failures of each network in one process; for one event loop.

    per_minute: failures that a network may have.  clock: monotonic seconds.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: LRUCache[str, Bucket] = LRUCache(_MAX_KNOWN)
        self._valid: LRUCache[bytes, bool] = LRUCache(_MAX_KNOWN)

    @contextmanager
    def attempt(self, network: str, digest: bytes) -> Iterator[None]:
        """Count the block as a failure if it raises Unauthorized.

        digest: the SHA-256 of the secret that is checked.
        Raises RateLimited when the network has used up its failures, unless the secret was valid.
        """
        if self._valid.get(digest):
            try:
                yield
            except Unauthorized:
                self._valid.pop(digest, None)
                raise
            return
        # Taken before the check, so that simultaneous attempts count too.
        bucket, is_granted = take_token(self._buckets.get(network), self._clock(), self._per_minute)
        self._buckets[network] = bucket
        if not is_granted:
            seconds = WINDOW_SECONDS / self._per_minute
            raise RateLimited(
                f"{self._per_minute} failed attempts per minute are allowed from your network",
                retry_after_seconds=seconds,
            )
        try:
            yield
        except Unauthorized:
            raise
        except BaseException:
            self._give_back(network)
            raise
        self._give_back(network)
        self._valid[digest] = True

    def _give_back(self, network: str) -> None:
        bucket = self._buckets.get(network)
        if bucket is not None:
            tokens = min(float(self._per_minute), bucket.tokens + 1)
            self._buckets[network] = Bucket(tokens, bucket.at)
