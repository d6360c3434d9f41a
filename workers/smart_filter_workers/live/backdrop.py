"""Backdrop: what stands behind the people of one connection, drawn once and kept."""

from dataclasses import dataclass, replace
from typing import Final

from smart_filter_shared.recipe import CHOSEN_BY_PEOPLE, Background, BackgroundKind, Recipe
from smart_filter_workers.live.sight import Seen
from smart_filter_workers.results import Chosen, Frame, Photo, Prepared, Segmented, Srgb8
from smart_filter_workers.stages.composite import choosing, ground
from smart_filter_workers.stages.composite.inputs import NOBODY_BELOW, Inputs

# Until people have chosen: their own background, so far out of focus that nothing is told.
_UNTIL_CHOSEN: Final = Background(BackgroundKind.BLUR, "0.8")
# A camera that has just begun is too dark, and people have not sat down.
_FRAMES_OF_PEOPLE: Final = 6


@dataclass(frozen=True, slots=True)
class Choice:
    """What people have chosen: a preset's name, and why."""

    name: str | None
    reason: str


class Backdrop:
    """What stands behind people; for one thread at a time."""

    def __init__(self, asked: Background, *, seed: int, picture: Srgb8 | None = None) -> None:
        """Begin anew.

        asked: as `smart_filter_shared.live.backgrounds` reads it, or a `file`, which is `picture`,
        (H, W, 3) uint8.  seed: of what a design leaves to chance.
        """
        self._asked = asked
        self._seed = seed
        self._picture = None if picture is None else Photo(picture, "jpg")
        self._chosen = None if asked.kind in CHOSEN_BY_PEOPLE else _asked_for(asked)
        self._drawn: Srgb8 | None = None
        self._frames_of_people = 0

    @property
    def asked(self) -> Background:
        """What was asked for."""
        return self._asked

    @property
    def keeps(self) -> bool:
        """Whether frames stay as they are."""
        return self._asked.kind == BackgroundKind.KEEP

    def choose(
        self, srgb: Srgb8, prepared: Prepared, segmented: Segmented, seen: Seen
    ) -> Choice | None:
        """Let the people of a frame choose, where they are to; return what they chose just now."""
        if self._chosen is not None or segmented.coverage < NOBODY_BELOW:
            return None
        self._frames_of_people += 1
        if self._frames_of_people < _FRAMES_OF_PEOPLE:
            return None
        inputs = self._inputs(srgb, prepared, segmented, self._asked)
        self._chosen = choosing.chosen(replace(inputs, faces=seen.faces, smiles=seen.smiles))
        return Choice(self._chosen.name, self._chosen.reason)

    def behind(self, srgb: Srgb8, prepared: Prepared, segmented: Segmented) -> Srgb8:
        """Return what stands behind the people of a frame, of its size; the caller's to use up."""
        chosen = self._chosen or _asked_for(_UNTIL_CHOSEN)
        asked = self._asked if self._chosen is not None else _UNTIL_CHOSEN
        if chosen.kind == BackgroundKind.BLUR:
            return self._draw(chosen, self._inputs(srgb, prepared, segmented, asked))
        if self._drawn is None or self._drawn.shape != srgb.shape:
            self._drawn = self._draw(chosen, self._inputs(srgb, prepared, segmented, asked))
        return self._drawn.copy()

    def _draw(self, chosen: Chosen, inputs: Inputs) -> Srgb8:
        height, width = inputs.photo.srgb.shape[:2]
        frame = Frame(width, height, scale=1, left=0, top=0)
        if ground.is_photo(chosen, inputs):
            return inputs.photo.srgb.copy()
        return ground.drawn(chosen, inputs, frame)

    def _inputs(
        self, srgb: Srgb8, prepared: Prepared, segmented: Segmented, asked: Background
    ) -> Inputs:
        return Inputs(
            photo=Photo(srgb, "jpg"),
            background=self._picture,
            prepared=prepared,
            segmented=segmented,
            faces=None,
            smiles=None,
            recipe=Recipe(background=asked),
            seed=self._seed,
        )


def _asked_for(asked: Background) -> Chosen:
    name = asked.value if asked.kind == BackgroundKind.PRESET else None
    return Chosen(asked.kind, name, (), "asked for")
