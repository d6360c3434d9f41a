"""Interface of a filter: a module of `plugins` that draws on a finished picture."""

from dataclasses import dataclass
from typing import Protocol

from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_workers.results import Srgb8, Srgba8
from smart_filter_workers.stages.composite.filters.scene import Scene


@dataclass(frozen=True, slots=True)
class FilterVerdict:
    """Whether a filter drew something, and what or why not, in words for users."""

    applied: bool
    reason: str


class Filter(Protocol):
    """A filter, named like its file and its card; deterministic for one seed."""

    def draw(self, picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> FilterVerdict:
        """Draw on a picture in place, and return the verdict.

        picture: (H, W, 3), or (H, W, 4) with straight alpha, where fully transparent pixels stay
        (0, 0, 0, 0) unless the filter draws on them.  parameters: complete.
        """
        ...
