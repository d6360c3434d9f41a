"""What a filter is: a module of `plugins` that draws on a finished picture."""

from dataclasses import dataclass
from typing import Protocol

from smart_filter_shared.parameters import Parameters
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.composite.filters.scene import Scene
from smart_filter_workers.stages.composite.models.base import Srgba8


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a filter drew anything, and what, or why not, in words for people."""

    applied: bool
    reason: str


class Filter(Protocol):
    """A filter, named as its file and its card are; pure, and the same for the same seed."""

    def draw(self, picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> Verdict:
        """Draw on a picture in place.

        picture: (H, W, 3), or (H, W, 4) with straight alpha, where what is wholly transparent
        stays (0, 0, 0, 0) unless something is drawn there.  parameters: complete.
        """
        ...
