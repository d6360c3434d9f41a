"""Interface of a source of backgrounds."""

from collections.abc import Sequence
from typing import Protocol

from smart_filter_shared.presets import Preset
from smart_filter_workers.results import Srgb8


class Source(Protocol):
    """Provides some of the backgrounds that a tenant can request by name."""

    @property
    def presets(self) -> Sequence[Preset]:
        """The provided presets, with unique names."""
        ...

    def has(self, preset: Preset) -> bool:
        """Return whether a preset can be drawn now.  Raises StorageUnavailable."""
        ...

    def draw(self, preset: Preset, *, seed: int, width: int, height: int) -> Srgb8:
        """Return a preset as a new (height, width, 3) uint8 sRGB, free to be drawn on.

        seed: 0 or more; it decides all random choices.
        Raises UnusablePhoto when the picture no longer exists, and StorageUnavailable.
        """
        ...
