"""All backgrounds that one tenant can request by name, from all sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from smart_filter_shared.errors import InputsExpired
from smart_filter_shared.presets import Preset, find_preset
from smart_filter_workers.backgrounds import library
from smart_filter_workers.backgrounds.sheet import DEFAULT_CAMERA, Camera
from smart_filter_workers.backgrounds.sources.generated import DesignSource
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

    def draw(self, preset: Preset, *, seed: int, width: int, height: int, camera: Camera) -> Srgb8:
        """Return a preset as a new (height, width, 3) uint8 sRGB, free to be drawn on.

        seed: 0 or more; it decides all random choices.  camera: the photo's, for designs.
        Raises UnusablePhoto when the picture no longer exists, and StorageUnavailable.
        """
        ...


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
