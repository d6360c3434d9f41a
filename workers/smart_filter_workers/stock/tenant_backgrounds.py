"""The backgrounds that a job may use, cached for a moment, and their pixels."""

import threading
import time
from collections.abc import Callable
from typing import Final

import numpy as np
from cachetools import LRUCache
from sqlalchemy import Engine

from smart_filter_shared import stock
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import (
    ImageTooLarge,
    ImageUnreadable,
    InputsExpired,
    ObjectMissing,
    Poison,
)
from smart_filter_shared.ids import Tenant
from smart_filter_shared.recipe import (
    SUBJECT_MATCHED_KINDS,
    Background,
    BackgroundKind,
    Logo,
)
from smart_filter_shared.stock import Picture
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers.backgrounds.library import Collection, DesignSource, StockSource
from smart_filter_workers.decoder.pool import Decoder
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import shrink
from smart_filter_workers.results import Bytes, Srgb8
from smart_filter_workers.system.lru_cache import LruCache

# Longest side of a decoded picture in the cache, 50 MB at most. It serves many jobs, whose photos
# need the memory. Behind larger photos it is enlarged.
_MAX_CACHED_PX: Final = 4096
# Longest side of a logo in the cache, 17 MB at most.
_MAX_LOGO_PX: Final = 2048
# The same as in the API: a new picture can be chosen after at most a second.
_REFRESH_SECONDS: Final = 1.0
# Tenants in the cache: a few kB each.
_MAX_TENANTS: Final = 1000


class TenantBackgrounds:
    """Reads the table of backgrounds, at most once a second per tenant; safe for threads.

    recent: the cache of decoded pictures.  clock: monotonic seconds.
    """

    def __init__(
        self,
        engine: Engine,
        store: ObjectStore,
        recent: LruCache,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._store = store
        self._recent = recent
        self._clock = clock
        self._cached: LRUCache[Tenant, tuple[float, dict[str, Picture]]] = LRUCache(_MAX_TENANTS)
        self._lock = threading.Lock()

    def collection(self, tenant: Tenant, asked: Background, decoder: Decoder) -> Collection:
        """Return the backgrounds that a job may use; a picture is loaded when it is drawn.

        asked: the background of the job's recipe; if it cannot be a picture, none is looked up.
        decoder: decodes the picture for the tenant.
        Raises DatabaseUnavailable.
        """
        name = (asked.value or "").partition("+")[0]
        names_a_picture = asked.kind == BackgroundKind.PRESET and "/" in name
        if asked.kind not in SUBJECT_MATCHED_KINDS and not names_a_picture:
            return Collection()
        pictures = self._seen_by(tenant)
        if names_a_picture and name not in pictures:
            # The API has accepted the name, so the picture is newer than the cache.
            pictures = self._look(tenant)
        presets = stock.presets_of(pictures.values())
        return Collection(
            (
                DesignSource(),
                StockSource(presets, lambda name: self._loaded(tenant, pictures[name], decoder)),
            )
        )

    def logo(self, tenant: Tenant, asked: Logo, decoder: Decoder) -> Bytes | None:
        """Return the logo of a job, (H, W, 4) uint8 premultiplied, not to be written to.

        asked: of the job's recipe; None without a logo.  decoder: decodes it for the tenant.
        Raises InputsExpired when it does not exist, ImageUnreadable, ImageTooLarge, Poison,
        StorageUnavailable and DatabaseUnavailable.
        """
        if asked.name is None:
            return None
        pictures = self._seen_by(tenant)
        if asked.name not in pictures:
            pictures = self._look(tenant)
        try:
            picture = pictures[asked.name]
            try:
                return self._decoded_logo(picture.key, decoder)
            except ObjectMissing:
                return self._decoded_logo(self._look(tenant)[asked.name].key, decoder)
        except (ObjectMissing, KeyError) as error:
            raise InputsExpired(f"the logo {asked.name} does not exist any more") from error
        except (ImageUnreadable, ImageTooLarge, Poison) as error:
            raise type(error)(f"the logo {asked.name}: {error}") from error

    def _decoded_logo(self, key: str, decoder: Decoder) -> Bytes:
        def fetch() -> tuple[Bytes, int]:
            photo = decoder.decode(self._store.get(key, most=stock.MAX_BYTES))
            srgb = photo.srgb
            alpha = photo.alpha
            if alpha is None:
                alpha = np.full(srgb.shape[:2], 255, np.uint8)
            # The decoder blends with white, so that the rest is the color times its alpha.
            colors = cv2.subtract(srgb, cv2.merge([cv2.bitwise_not(alpha)] * 3))
            whole = np.asarray(cv2.merge([*cv2.split(colors), alpha]), np.uint8)
            rgba = shrink(whole, longest_side=_MAX_LOGO_PX)
            rgba.flags.writeable = False
            return rgba, rgba.nbytes

        return self._recent.get(f"logo {key}", fetch)

    def _loaded(self, tenant: Tenant, picture: Picture, decoder: Decoder) -> Srgb8:
        name = picture.preset.name
        try:
            try:
                return self._decoded(picture.key, decoder)
            except ObjectMissing:
                # The picture was replaced, or removed and added again, since the last look.
                return self._decoded(self._look(tenant)[name].key, decoder)
        except (ObjectMissing, KeyError) as error:
            raise InputsExpired(f"the background {name} does not exist any more") from error
        except (ImageUnreadable, ImageTooLarge, Poison) as error:
            raise type(error)(f"the background {name}: {error}") from error

    def _decoded(self, key: str, decoder: Decoder) -> Srgb8:
        def fetch() -> tuple[Srgb8, int]:
            whole = decoder.decode(self._store.get(key, most=stock.MAX_BYTES)).srgb
            srgb = shrink(whole, longest_side=_MAX_CACHED_PX)
            srgb.flags.writeable = False
            return srgb, srgb.nbytes

        return self._recent.get(key, fetch)

    def _seen_by(self, tenant: Tenant) -> dict[str, Picture]:
        """Return the pictures that a tenant may use, by their presets' names."""
        with self._lock:
            cached = self._cached.get(tenant)
        if cached is not None and self._clock() - cached[0] < _REFRESH_SECONDS:
            return cached[1]
        return self._look(tenant)

    def _look(self, tenant: Tenant) -> dict[str, Picture]:
        now = self._clock()
        with sessions.transaction(self._engine) as connection:
            pictures = {
                picture.preset.name: picture for picture in stock.list_usable(connection, tenant)
            }
        with self._lock:
            self._cached[tenant] = (now, pictures)
        return pictures
