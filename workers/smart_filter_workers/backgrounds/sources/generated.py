"""The generated designs, drawn by their families."""

from collections.abc import Sequence
from dataclasses import dataclass

from smart_filter_shared.presets import PRESETS, Preset
from smart_filter_workers.backgrounds import library
from smart_filter_workers.backgrounds.sheet import Camera
from smart_filter_workers.results import Srgb8


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
