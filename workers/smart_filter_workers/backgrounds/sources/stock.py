"""Stored pictures: the operator's, for every tenant, and a tenant's own."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.errors import UnusablePhoto
from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import cover_crop
from smart_filter_workers.backgrounds.sheet import Camera
from smart_filter_workers.results import Srgb8

# Position of the crop, as a share of the excess: near the middle, so that the subject stays in view
# (by taste). Pictures are not mirrored or enlarged for variety: they may contain text.
_MIN_CROP_SHARE: Final = 0.3
_MAX_CROP_SHARE: Final = 0.7


@dataclass(frozen=True, slots=True)
class StockSource:
    """Provides pictures of one tenant and of the operator; a `Source`.

    load: returns the pixels of a picture by name, (H, W, 3) uint8 sRGB, not to be written to;
        raises as `Source.draw` does.
    """

    presets: Sequence[Preset]
    load: Callable[[str], Srgb8]

    def has(self, preset: Preset) -> bool:
        """Return whether a picture can be loaded; see `Source.has`."""
        try:
            self.load(preset.name)
        except UnusablePhoto:
            return False
        return True

    def draw(self, preset: Preset, *, seed: int, width: int, height: int, camera: Camera) -> Srgb8:
        """Return a picture scaled to fill the size; see `Source.draw`.

        The excess is cropped, with a little more from one side than from the other, by the seed.
        """
        del camera  # the picture was taken by its own
        random = np.random.default_rng([seed, zlib.crc32(preset.name.encode())])
        across, down = random.uniform(_MIN_CROP_SHARE, _MAX_CROP_SHARE, 2)
        srgb = self.load(preset.name)
        return cover_crop.crop_to_cover(srgb, width=width, height=height, at=(across, down))
