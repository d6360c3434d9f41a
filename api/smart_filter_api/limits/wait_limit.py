"""Bound the streams, waiting requests and downloads that callers have open in a process."""

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from smart_filter_api.auth.api_keys import Caller
from smart_filter_shared.errors import RateLimited, ServiceFull
from smart_filter_shared.ids import Tenant

# Each wait reads its job or batch when it changes, over the database connections of all tenants. A
# server's key waits for all of its users; a process serves 2000 waiters (docs/measurements.md).
_MOST_OF_DEVICE: Final = 20
_MOST_OF_KEY: Final = 250
_MOST_OF_TENANT: Final = 1000
# An open download holds a connection to the store, and up to 0.5 MB of an object.
_MOST_DOWNLOADS_OF_DEVICE: Final = 20
_MOST_DOWNLOADS_OF_KEY: Final = 100
_MOST_DOWNLOADS_OF_TENANT: Final = 200
_MOST_DOWNLOADS: Final = 400
_RETRY_SECONDS: Final = 5


class WaitLimit:
    """The open streams and waits of each key and tenant, and their downloads, in this process.

    Streams and waits of a tenant without a limit of requests are not limited. Its downloads are.
    """

    def __init__(self) -> None:
        self._open: Counter[Tenant | uuid.UUID] = Counter()
        # By key, or None for the signed links of a tenant, which anyone may open.
        self._downloads: Counter[tuple[Tenant, uuid.UUID | None]] = Counter()

    def has_room(self, caller: Caller) -> bool:
        """Whether the caller may open another one."""
        return not caller.limits.requests_per_minute or (
            self._open[caller.key_id] < _most_of(caller)
            and self._open[caller.tenant] < _MOST_OF_TENANT
        )

    @contextmanager
    def hold(self, caller: Caller) -> Iterator[None]:
        """Count a stream or wait until the block ends.  Raises RateLimited beyond the bounds."""
        if not self.has_room(caller):
            raise RateLimited(
                f"at most {_most_of(caller)} streams and waits of this key and {_MOST_OF_TENANT} of"
                f" its tenant are open at a time; retry in {_RETRY_SECONDS} s",
                retry_after_seconds=_RETRY_SECONDS,
            )
        names = (caller.key_id, caller.tenant)
        self._open.update(names)
        try:
            yield
        finally:
            for name in names:
                self._open[name] -= 1
                if not self._open[name]:
                    del self._open[name]

    @contextmanager
    def hold_download(self, tenant: Tenant, caller: Caller | None) -> Iterator[None]:
        """Count a download of a tenant until the block ends.

        caller: None for a signed link.
        Raises RateLimited beyond the limit of the key or tenant, ServiceFull beyond the limit of
        the process.
        """
        name = (tenant, None if caller is None else caller.key_id)
        is_device = caller is not None and caller.is_device
        most = _MOST_DOWNLOADS_OF_DEVICE if is_device else _MOST_DOWNLOADS_OF_KEY
        of_tenant = sum(count for (holder, _), count in self._downloads.items() if holder == tenant)
        if self._downloads[name] >= most or of_tenant >= _MOST_DOWNLOADS_OF_TENANT:
            raise RateLimited(
                f"at most {most} downloads of this key, or by signed links, and"
                f" {_MOST_DOWNLOADS_OF_TENANT} of the tenant are open at a time;"
                f" retry in {_RETRY_SECONDS} s",
                retry_after_seconds=_RETRY_SECONDS,
            )
        if self._downloads.total() >= _MOST_DOWNLOADS:
            raise ServiceFull(
                f"at most {_MOST_DOWNLOADS} downloads are open at a time;"
                f" retry in {_RETRY_SECONDS} s",
                retry_after_seconds=_RETRY_SECONDS,
            )
        self._downloads[name] += 1
        try:
            yield
        finally:
            self._downloads[name] -= 1
            if not self._downloads[name]:
                del self._downloads[name]


def _most_of(caller: Caller) -> int:
    return _MOST_OF_DEVICE if caller.is_device else _MOST_OF_KEY
