"""Bound the event streams and waiting requests that one caller has open in a process."""

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from smart_filter_api.auth.api_keys import Caller
from smart_filter_shared.errors import RateLimited
from smart_filter_shared.ids import Tenant

# Each wait reads its job or batch when it changes, over the database connections of all tenants. A
# server's key waits for all of its users; a process serves 2000 waiters (docs/measurements.md).
_MOST_OF_DEVICE: Final = 20
_MOST_OF_KEY: Final = 250
_MOST_OF_TENANT: Final = 1000
_RETRY_SECONDS: Final = 5


class WaitBudget:
    """The open streams and waits of each key and tenant, in this process.

    A tenant without a limit of requests has none of waits either.
    """

    def __init__(self) -> None:
        self._open: Counter[Tenant | uuid.UUID] = Counter()

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


def _most_of(caller: Caller) -> int:
    return _MOST_OF_DEVICE if caller.is_device else _MOST_OF_KEY
