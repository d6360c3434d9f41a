"""What every source of backgrounds keeps to."""

from collections.abc import Sequence
from typing import Protocol

from smart_filter_shared.presets import Preset
from smart_filter_workers.results import Srgb8


class Source(Protocol):
    """Some of the backgrounds that a tenant can ask for by name."""

    @property
    def presets(self) -> Sequence[Preset]:
        """Those that it provides, no name twice."""
        ...

    def has(self, preset: Preset) -> bool:
        """Whether one of them can be drawn now; raises StorageUnavailable."""
        ...

    def draw(self, preset: Preset, *, seed: int, width: int, height: int) -> Srgb8:
        """Return one of them as a new (height, width, 3) uint8 sRGB, which may be drawn on.

        seed: 0 or more; it decides whatever is left to chance.
        Raises Unusable when it is not there any more, and StorageUnavailable.
        """
        ...
