"""Draws any background by its name: the same name, seed and size give the same pixels.

A name is a preset's, or two joined by a plus, such as `rainbow+linen`: what the first shows,
on what the second is made of.
"""

import functools
import importlib
import pkgutil
import zlib
from typing import Final, Protocol, cast

import numpy as np

from smart_filter_shared.presets import Preset, named
from smart_filter_workers.backgrounds import designs
from smart_filter_workers.backgrounds.sheet import Field, Sheet
from smart_filter_workers.results import Srgb8


class Design(Protocol):
    """A family of backgrounds: a module of `designs`."""

    def draw(self, preset: Preset, sheet: Sheet) -> Srgb8:
        """Draw a preset of this family; (height, width, 3) uint8 sRGB."""
        ...


class Surface(Protocol):
    """A family that others can be printed on, too."""

    def texture(self, preset: Preset, sheet: Sheet) -> Field:
        """Return the light that the surface leaves on a print; a small sheet, about 1."""
        ...


# Albums come with one size and often one seed. Larger drawings are dear to keep (36 MB at
# 12 MP) and cheap to repeat beside the rest of such a picture's work.
KEPT_PIXELS: Final = 2_000_000
KEPT_DRAWINGS: Final = 8


def draw(name: str, *, seed: int, width: int, height: int) -> Srgb8:
    """Return the background `name`, which may be drawn on; (height, width, 3) uint8 sRGB.

    seed: 0 or more; it places whatever the design leaves to chance.
    Raises KeyError when there is no such preset or no such family: names are checked at the door.
    """
    if width * height > KEPT_PIXELS:
        return draw_anew(name, seed=seed, width=width, height=height)
    return _drawn_lately(name, seed, width, height).copy()


def draw_anew(name: str, *, seed: int, width: int, height: int) -> Srgb8:
    """Draw the background `name`, whether or not it was drawn lately; else as `draw`."""
    preset, surface = named(name)
    empty = sheet(preset.name, seed=seed, width=width, height=height)
    drawing = design(preset.family).draw(preset, empty)
    return drawing if surface is None else printed(drawing, surface, seed=seed)


def printed(drawing: Srgb8, surface: Preset, *, seed: int) -> Srgb8:
    """Print a drawing, (H, W, 3) uint8 sRGB, on a surface; changes it in place.

    surface: a preset of SURFACE_FAMILIES.
    """
    height, width = drawing.shape[:2]
    below = sheet(surface.name, seed=seed, width=width, height=height)
    family = cast("Surface", design(surface.family))
    return below.shade(drawing, family.texture(surface, below))


def sheet(name: str, *, seed: int, width: int, height: int) -> Sheet:
    """Return an empty sheet for the background `name`, its accidents decided by the seed."""
    # The name too, or designs drawn with one seed would share their accidents.
    random, grain = np.random.default_rng([seed, zlib.crc32(name.encode())]).spawn(2)
    return Sheet(width, height, random, grain)


def families() -> frozenset[str]:
    """Return the families that can be drawn: the names of the files among the designs."""
    return frozenset(module.name for module in pkgutil.iter_modules(designs.__path__))


def design(family: str) -> Design:
    """Return the family's drawing; raises KeyError when no file is named so."""
    if family not in families():
        raise KeyError(family)
    # That each module keeps to Design is what its contract test says.
    return cast("Design", importlib.import_module(f"{designs.__name__}.{family}"))


@functools.lru_cache(maxsize=KEPT_DRAWINGS)
def _drawn_lately(name: str, seed: int, width: int, height: int) -> Srgb8:
    drawing = draw_anew(name, seed=seed, width=width, height=height)
    drawing.flags.writeable = False
    return drawing
