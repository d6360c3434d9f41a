"""All backgrounds that one tenant can request by name, from all sources."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import numpy as np

from smart_filter_shared.errors import InputsExpired, UnusablePhoto
from smart_filter_shared.presets import PRESETS, BackgroundSource, Preset, Style, find_preset
from smart_filter_workers.backgrounds import library
from smart_filter_workers.backgrounds.sheet import DEFAULT_CAMERA, Camera
from smart_filter_workers.results import Srgb8

# Position of the crop, as a share of the excess: near the middle, so that the subject stays in view
# (by taste). Pictures are not mirrored or enlarged for variety: they may contain text.
_MIN_CROP_SHARE: Final = 0.3
_MAX_CROP_SHARE: Final = 0.7


class Source(Protocol):
    """Provides some of the backgrounds that a tenant can request by name."""

    @property
    def presets(self) -> Sequence[Preset]:
        """The provided presets, with unique names."""
        ...

    def has(self, preset: Preset) -> bool:
        """Return whether a preset can be drawn now.  Raises StorageUnavailable."""
        ...

    def draw(self, preset: Preset, *, seed: int, width: int, height: int, camera: Camera) -> Srgb8:
        """Return a preset as a new (height, width, 3) uint8 sRGB, free to be drawn on.

        seed: 0 or more; it decides all random choices.  camera: the photo's, for designs.
        Raises UnusablePhoto when the picture no longer exists, and StorageUnavailable.
        """
        ...


@dataclass(frozen=True, slots=True)
class DesignSource:
    """Provides every design to every tenant; a `Source`."""

    @property
    def presets(self) -> Sequence[Preset]:
        """All designs."""
        return PRESETS

    def has(self, preset: Preset) -> bool:
        """Return True: a design is code."""
        del preset
        return True

    def draw(self, preset: Preset, *, seed: int, width: int, height: int, camera: Camera) -> Srgb8:
        """Return a design; see `Source.draw`."""
        return library.draw(preset.name, seed=seed, width=width, height=height, camera=camera)


@dataclass(frozen=True, slots=True)
class Collection:
    """Backgrounds of several sources, with unique names; by default all designs.

    missing: names that are left out, because their pictures have been deleted.
    """

    sources: tuple[Source, ...] = (DesignSource(),)
    missing: frozenset[str] = frozenset()
    _by_name: Mapping[str, tuple[Preset, Source]] = field(init=False, repr=False, hash=False)

    def __post_init__(self) -> None:
        by_name = {
            preset.name: (preset, source)
            for source in self.sources
            for preset in source.presets
            if preset.name not in self.missing
        }
        object.__setattr__(self, "_by_name", by_name)  # dataclasses are frozen

    @property
    def presets(self) -> tuple[Preset, ...]:
        """All presets, in the order of their sources."""
        return tuple(preset for preset, _ in self._by_name.values())

    def get(self, name: str) -> tuple[Preset, Preset | None]:
        """Return the preset of a name, and the surface it is printed on in `rainbow+linen`.

        Raises InputsExpired: names are checked on submission, so the preset existed then.
        """
        try:
            return find_preset(name, self.presets)
        except KeyError as error:
            raise InputsExpired(f"the background {name} does not exist any more") from error

    def has(self, name: str) -> bool:
        """Return whether a background can be drawn now.  Raises StorageUnavailable."""
        preset, _ = self.get(name)
        _, source = self._by_name[preset.name]
        return source.has(preset)

    def excluding(self, name: str) -> "Collection":
        """Return the collection without a background."""
        preset, _ = self.get(name)
        return replace(self, missing=self.missing | {preset.name})

    def draw(
        self, name: str, *, seed: int, width: int, height: int, camera: Camera = DEFAULT_CAMERA
    ) -> Srgb8:
        """Return a background, printed on its surface if it has one; see `Source.draw`."""
        preset, surface = self.get(name)
        _, source = self._by_name[preset.name]
        drawing = source.draw(preset, seed=seed, width=width, height=height, camera=camera)
        return drawing if surface is None else library.print_on(drawing, surface, seed=seed)


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
        return library.crop_to_cover(srgb, width=width, height=height, at=(across, down))


def filter_by_style(presets: Sequence[Preset], style: Style) -> tuple[Preset, ...]:
    """Return the designs of a style, and all pictures, which operators and tenants have chosen.

    `brand` has pictures alone; if they are gone, the designs of `clean`.
    """
    pictures = tuple(preset for preset in presets if preset.source != BackgroundSource.GENERATED)
    if style == Style.BRAND:
        if pictures:
            return pictures
        style = Style.CLEAN
    return (*(preset for preset in presets if preset.style == style), *pictures)
