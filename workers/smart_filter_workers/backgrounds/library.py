"""All backgrounds that one tenant can request by name, and how each is drawn.

The same name, seed and size give the same pixels. A name is a preset's, or two joined by a plus,
such as `rainbow+linen`: the first is printed on the surface of the second. Designs with a light of
their own are mirrored to match the side light of the people. An uploaded background is cropped so
that it fills the photo's frame in its own proportions.
"""

import functools
import importlib
import pkgutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeAlias, cast

import numpy as np

from smart_filter_shared.errors import InputsExpired, UnusablePhoto
from smart_filter_shared.presets import PRESETS, BackgroundSource, Preset, Style, find_preset
from smart_filter_workers import images
from smart_filter_workers.backgrounds import designs
from smart_filter_workers.backgrounds.sheet import DEFAULT_CAMERA, Camera, Sheet
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8
from smart_filter_workers.srgb import LUMA_WEIGHTS

# Albums have one size and often one seed. Larger drawings are expensive to keep (36 MB at 12 MP),
# and drawing them again is cheap compared to the rest of such a picture's work.
MAX_CACHED_PIXELS: Final = 2_000_000
MAX_CACHED_DRAWINGS: Final = 8

# Least certainty, of -1..1, that light comes from a side before a design is mirrored; half of 159
# training photos exceed it.
CERTAIN_FROM: Final = 0.4
# Least difference of mean luma between halves, in levels; less is texture.
_MIN_LUMA_DIFFERENCE: Final = 1.5
_SAMPLES_PER_SIDE: Final = 64


Design: TypeAlias = Callable[[Preset, Sheet], Srgb8]
Texture: TypeAlias = Callable[[Preset, Sheet], Floats]

# Position of the crop, as a share of the excess: near the middle, so that the subject stays in view
# (by taste). Pictures are not mirrored or enlarged for variety: they may contain text.
_MIN_CROP_SHARE: Final = 0.3
_MAX_CROP_SHARE: Final = 0.7


def draw(
    name: str, *, seed: int, width: int, height: int, camera: Camera = DEFAULT_CAMERA
) -> Srgb8:
    """Return the background `name`, free to be drawn on; (height, width, 3) uint8 sRGB.

    seed: 0 or more; it decides all random choices of the design.  camera: the photo's.
    Raises KeyError for an unknown preset or family; names are checked on submission.
    """
    if width * height > MAX_CACHED_PIXELS:
        return draw_uncached(name, seed=seed, width=width, height=height, camera=camera)
    return _draw_cached(name, seed, width, height, camera).copy()


def draw_uncached(
    name: str, *, seed: int, width: int, height: int, camera: Camera = DEFAULT_CAMERA
) -> Srgb8:
    """Return the background `name`, always drawn again from the design; otherwise as `draw`."""
    preset, surface = find_preset(name)
    empty = new_sheet(preset.name, seed=seed, width=width, height=height, camera=camera)
    drawing = load_design(preset.family)(preset, empty)
    return drawing if surface is None else print_on(drawing, surface, seed=seed)


def print_on(drawing: Srgb8, surface: Preset, *, seed: int) -> Srgb8:
    """Return a drawing, (H, W, 3) uint8 sRGB, printed on a surface; changes it in place.

    surface: a preset of SURFACE_FAMILIES.
    """
    height, width = drawing.shape[:2]
    below = new_sheet(surface.name, seed=seed, width=width, height=height)
    texture = cast("Texture", _find_functions("texture_")[surface.family])
    return below.shade(drawing, texture(surface, below))


def new_sheet(
    name: str, *, seed: int, width: int, height: int, camera: Camera = DEFAULT_CAMERA
) -> Sheet:
    """Return an empty sheet for the background `name`, with random generators by the seed."""
    # Include the name, or designs with one seed would share their random choices.
    random, grain = np.random.default_rng([seed, zlib.crc32(name.encode())]).spawn(2)
    return Sheet(width, height, random, grain, camera)


def list_families() -> frozenset[str]:
    """Return the families that can be drawn: the functions `draw_FAMILY` of the designs."""
    return frozenset(_find_functions("draw_"))


def load_design(family: str) -> Design:
    """Return the function that draws a family.  Raises KeyError when there is none."""
    # A contract test checks that each function is a Design.
    return cast("Design", _find_functions("draw_")[family])


@functools.cache
def _find_functions(prefix: str) -> dict[str, object]:
    """Return the designs' functions whose names begin with a prefix, by the rest of the name."""
    return {
        name.removeprefix(prefix): function
        for module in pkgutil.iter_modules(designs.__path__, f"{designs.__name__}.")
        for name, function in vars(importlib.import_module(module.name)).items()
        if name.startswith(prefix)
    }


@functools.lru_cache(maxsize=MAX_CACHED_DRAWINGS)
def _draw_cached(name: str, seed: int, width: int, height: int, camera: Camera) -> Srgb8:
    drawing = draw_uncached(name, seed=seed, width=width, height=height, camera=camera)
    drawing.flags.writeable = False
    return drawing


def is_certain(light: float) -> bool:
    """Return whether light, -1 from the left to 1 from the right, surely comes from a side."""
    return abs(light) >= CERTAIN_FROM


def mirror_to_match(drawing: Srgb8, *, light: float) -> Srgb8:
    """Return a drawing of SIDE_LIT_FAMILIES, mirrored if its light comes from the other side.

    drawing: (H, W, 3) uint8 sRGB.  light: direction of the people's light, -1 left to 1 right.
    """
    if not is_certain(light) or light * _measure_side_light(drawing) >= 0:
        return drawing
    return cv2.flip(drawing, 1).astype(np.uint8, copy=False)


def _measure_side_light(drawing: Srgb8) -> float:
    """Return how much lighter the right half is, in levels of luma; 0 if hardly at all."""
    height, width = drawing.shape[:2]
    step = max(1, min(height, width) // _SAMPLES_PER_SIDE)
    luma = drawing[step // 2 :: step, step // 2 :: step] @ LUMA_WEIGHTS
    half = luma.shape[1] // 2
    if not half:
        return 0.0
    lighter = float(luma[:, -half:].mean() - luma[:, :half].mean())
    return lighter if abs(lighter) >= _MIN_LUMA_DIFFERENCE else 0.0


def crop_to_cover(
    srgb: Srgb8, *, width: int, height: int, at: tuple[float, float] = (0.5, 0.5)
) -> Srgb8:
    """Return a picture scaled evenly to cover width × height px, with the rest cropped.

    srgb: (H, W, 3) uint8, not written to.  Returns a new (height, width, 3) uint8.
    at: share of the cropped part that is cut off on the left, and above; 0..1.
    Smaller: every pixel is the mean of the area it covers.  Larger: cubic.
    """
    down, across = srgb.shape[:2]
    scale = max(width / across, height / down)
    # Crop whole pixels, which stretches the picture by at most half a pixel.
    kept_x = min(across, max(1, round(width / scale)))
    kept_y = min(down, max(1, round(height / scale)))
    left, top = int((across - kept_x) * at[0]), int((down - kept_y) * at[1])
    middle = srgb[top : top + kept_y, left : left + kept_x]
    if scale > 1:
        larger = cv2.resize(middle, (width, height), interpolation=cv2.INTER_CUBIC)
        return larger.astype(np.uint8, copy=False)
    fitted = images.downscale_by_area(middle, width=width, height=height)
    return fitted.copy() if fitted is middle else fitted  # the caller draws on it


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
        return draw(preset.name, seed=seed, width=width, height=height, camera=camera)


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
        return drawing if surface is None else print_on(drawing, surface, seed=seed)


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
        return crop_to_cover(srgb, width=width, height=height, at=(across, down))


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
