"""Which backgrounds a job may have, as a worker knows them for a moment, and their pixels."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine

from smart_filter_shared import stock
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import (
    ImageTooLarge,
    ImageUnreadable,
    InputsExpired,
    ObjectMissing,
)
from smart_filter_shared.ids import Tenant
from smart_filter_shared.recipe import CHOSEN_BY_PEOPLE, Background, BackgroundKind
from smart_filter_shared.stock import Picture
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers import images
from smart_filter_workers.backgrounds.collection import Collection
from smart_filter_workers.backgrounds.sources.generated import Generated
from smart_filter_workers.backgrounds.sources.stock import Stock
from smart_filter_workers.recent import Recent
from smart_filter_workers.results import Srgb8

# So much of a picture is kept decoded, 50 MB at the most: it serves many jobs, and the photos of
# those need the room. Behind larger photos it is enlarged.
_KEPT_PX: Final = 4096
# As the API: what was just added is chosen a second later at the most.
_SECONDS: Final = 1.0
# Tenants whose pictures are remembered: a few kB each.
_MOST_TENANTS: Final = 1000


class StockRoom:
    """Looks into the table of backgrounds, for each tenant once a second; safe for threads.

    recent: keeps what was lately decoded.  clock: monotonic seconds.
    """

    def __init__(
        self,
        engine: Engine,
        store: ObjectStore,
        recent: Recent,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._store = store
        self._recent = recent
        self._clock = clock
        self._known: OrderedDict[Tenant, tuple[float, dict[str, Picture]]] = OrderedDict()
        self._lock = threading.Lock()

    def collection(self, tenant: Tenant, asked: Background) -> Collection:
        """Return the backgrounds that a job may have; pictures are loaded when one is drawn.

        asked: what the job's recipe wants; where that can be no picture, none is looked for.
        Raises DatabaseUnavailable.
        """
        name = (asked.value or "").partition("+")[0]
        names_a_picture = asked.kind == BackgroundKind.PRESET and "/" in name
        if asked.kind not in CHOSEN_BY_PEOPLE and not names_a_picture:
            return Collection()
        pictures = self._seen_by(tenant)
        if names_a_picture and name not in pictures:
            # The API knew it: it has come since we looked.
            pictures = self._look(tenant)
        presets = [one.preset for one in pictures.values()]
        return Collection(
            (Generated(), Stock(presets, lambda name: self._loaded(tenant, pictures[name])))
        )

    def _loaded(self, tenant: Tenant, picture: Picture) -> Srgb8:
        name = picture.preset.name
        try:
            try:
                return self._decoded(picture.key)
            except ObjectMissing:
                # Replaced, or removed and added again, since we looked.
                return self._decoded(self._look(tenant)[name].key)
        except (ObjectMissing, KeyError) as error:
            raise InputsExpired(f"the background {name} is not there any more") from error
        except (ImageUnreadable, ImageTooLarge) as error:
            raise type(error)(f"the background {name}: {error}") from error

    def _decoded(self, key: str) -> Srgb8:
        def fetch() -> tuple[Srgb8, int]:
            whole = images.decode(self._store.get(key)).srgb
            srgb = images.shrink(whole, longest_side=_KEPT_PX)
            srgb.flags.writeable = False
            return srgb, srgb.nbytes

        return self._recent.get(key, fetch)

    def _seen_by(self, tenant: Tenant) -> dict[str, Picture]:
        """Return the pictures that a tenant may use, by their presets' names."""
        with self._lock:
            known = self._known.get(tenant)
        if known is not None and self._clock() - known[0] < _SECONDS:
            return known[1]
        return self._look(tenant)

    def _look(self, tenant: Tenant) -> dict[str, Picture]:
        now = self._clock()
        with sessions.transaction(self._engine) as connection:
            pictures = {one.preset.name: one for one in stock.seen_by(connection, tenant)}
        with self._lock:
            self._known[tenant] = (now, pictures)
            self._known.move_to_end(tenant)
            while len(self._known) > _MOST_TENANTS:
                self._known.popitem(last=False)
        return pictures
