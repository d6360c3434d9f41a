"""Pictures that are kept: the operator's for everybody, and a tenant's own."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.errors import Unusable
from smart_filter_shared.presets import Preset
from smart_filter_workers.backgrounds import uploaded
from smart_filter_workers.results import Srgb8

# Where a picture is cut, as shares of what is too much: about its middle, so that what it shows
# stays in view (by taste). Nothing is mirrored or enlarged for variety's sake: it may hold words.
_LEAST: Final = 0.3
_MOST: Final = 0.7


@dataclass(frozen=True, slots=True)
class Stock:
    """Pictures of one tenant and of everybody; a `Source`.

    load: returns the pixels of one of them by its name, (H, W, 3) uint8 sRGB, not written to;
        raises as `Source.draw` does.
    """

    presets: Sequence[Preset]
    load: Callable[[str], Srgb8]

    def has(self, preset: Preset) -> bool:
        """Whether a picture can be loaded, as `Source.has` says."""
        try:
            self.load(preset.name)
        except Unusable:
            return False
        return True

    def draw(self, preset: Preset, *, seed: int, width: int, height: int) -> Srgb8:
        """Return a picture scaled to fill the size, as `Source.draw` says.

        What its shape has too much is cut off, a little more on one side than on the other as
        the seed decides.
        """
        random = np.random.default_rng([seed, zlib.crc32(preset.name.encode())])
        across, down = random.uniform(_LEAST, _MOST, 2)
        srgb = self.load(preset.name)
        return uploaded.cover(srgb, width=width, height=height, at=(across, down))
