"""Draws any background by its name: the same name, seed and size give the same pixels."""

import importlib
import pkgutil
import zlib
from typing import Protocol, cast

import numpy as np

from smart_filter_shared.presets import PRESETS, Preset
from smart_filter_workers.backgrounds import designs
from smart_filter_workers.backgrounds.sheet import Sheet
from smart_filter_workers.results import Srgb8


class Design(Protocol):
    """A family of backgrounds: a module of `designs`."""

    def draw(self, preset: Preset, sheet: Sheet) -> Srgb8:
        """Draw a preset of this family; (height, width, 3) uint8 sRGB."""
        ...


def draw(name: str, *, seed: int, width: int, height: int) -> Srgb8:
    """Draw the preset `name`; (height, width, 3) uint8 sRGB.

    seed: 0 or more; it places whatever the design leaves to chance.
    Raises KeyError when there is no such preset or no such family: names are checked at the door.
    """
    preset = by_name(name)
    return design(preset.family).draw(preset, sheet(name, seed=seed, width=width, height=height))


def sheet(name: str, *, seed: int, width: int, height: int) -> Sheet:
    """Return an empty sheet for the background `name`, its accidents decided by the seed."""
    # The name too, or designs drawn with one seed would share their accidents.
    random, grain = np.random.default_rng([seed, zlib.crc32(name.encode())]).spawn(2)
    return Sheet(width, height, random, grain)


def by_name(name: str) -> Preset:
    """Return the preset `name`; raises KeyError when there is none."""
    return {preset.name: preset for preset in PRESETS}[name]


def families() -> frozenset[str]:
    """Return the families that can be drawn: the names of the files among the designs."""
    return frozenset(module.name for module in pkgutil.iter_modules(designs.__path__))


def design(family: str) -> Design:
    """Return the family's drawing; raises KeyError when no file is named so."""
    if family not in families():
        raise KeyError(family)
    # That each module keeps to Design is what its contract test says.
    return cast("Design", importlib.import_module(f"{designs.__name__}.{family}"))
