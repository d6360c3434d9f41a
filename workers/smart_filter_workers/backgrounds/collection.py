"""All backgrounds that one tenant can ask for by name, whichever source provides them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from smart_filter_shared.errors import InputsExpired
from smart_filter_shared.presets import Preset, named
from smart_filter_workers.backgrounds import library
from smart_filter_workers.backgrounds.sources.base import Source
from smart_filter_workers.backgrounds.sources.generated import Generated
from smart_filter_workers.results import Srgb8


@dataclass(frozen=True, slots=True)
class Collection:
    """Backgrounds of several sources, no name twice; without other sources all designs.

    missing: names that are left out, because what they mean was found to be gone.
    """

    sources: tuple[Source, ...] = (Generated(),)
    missing: frozenset[str] = frozenset()
    _by_name: Mapping[str, tuple[Preset, Source]] = field(init=False, repr=False, hash=False)

    def __post_init__(self) -> None:
        found = {
            one.name: (one, source)
            for source in self.sources
            for one in source.presets
            if one.name not in self.missing
        }
        object.__setattr__(self, "_by_name", found)  # the way of frozen dataclasses

    @property
    def presets(self) -> tuple[Preset, ...]:
        """All of them, in the order of their sources."""
        return tuple(preset for preset, _ in self._by_name.values())

    def named(self, name: str) -> tuple[Preset, Preset | None]:
        """Return the preset of a name, and the one it is printed on in `rainbow+linen`.

        Raises InputsExpired: names are checked at the door, so there was one.
        """
        try:
            return named(name, self.presets)
        except KeyError as error:
            raise InputsExpired(f"the background {name} is not there any more") from error

    def has(self, name: str) -> bool:
        """Whether a background can be drawn now; raises StorageUnavailable."""
        preset, _ = self.named(name)
        _, source = self._by_name[preset.name]
        return source.has(preset)

    def without(self, name: str) -> "Collection":
        """Return the others."""
        preset, _ = self.named(name)
        return replace(self, missing=self.missing | {preset.name})

    def draw(self, name: str, *, seed: int, width: int, height: int) -> Srgb8:
        """Return a background, printed on another one or not, as `Source.draw` says."""
        preset, surface = self.named(name)
        _, source = self._by_name[preset.name]
        drawing = source.draw(preset, seed=seed, width=width, height=height)
        return drawing if surface is None else library.printed(drawing, surface, seed=seed)
