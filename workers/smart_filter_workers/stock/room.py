"""Which pictures a tenant may use, as a worker remembers it for a moment."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine

from smart_filter_shared import stock
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Tenant
from smart_filter_shared.stock import Picture

# As the API: a picture that was just added is used a second later at the most.
_SECONDS: Final = 1.0
# Tenants whose pictures are remembered: a few kB each.
_MOST_TENANTS: Final = 1000


class StockRoom:
    """Looks into the table of backgrounds, for each tenant once a second; safe for threads.

    clock: monotonic seconds.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._known: OrderedDict[Tenant, tuple[float, tuple[Picture, ...]]] = OrderedDict()
        self._lock = threading.Lock()

    def seen_by(self, tenant: Tenant) -> tuple[Picture, ...]:
        """Return the pictures that a tenant may use.  Raises DatabaseUnavailable."""
        now = self._clock()
        with self._lock:
            known = self._known.get(tenant)
        if known is not None and now - known[0] < _SECONDS:
            return known[1]
        with sessions.transaction(self._engine) as connection:
            pictures = tuple(stock.seen_by(connection, tenant))
        with self._lock:
            self._known[tenant] = (now, pictures)
            self._known.move_to_end(tenant)
            while len(self._known) > _MOST_TENANTS:
                self._known.popitem(last=False)
        return pictures
