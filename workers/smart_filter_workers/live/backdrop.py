"""The background behind the people of one connection, chosen for them, drawn once and kept."""

from dataclasses import dataclass
from typing import Final

from smart_filter_shared.recipe import SUBJECT_MATCHED_KINDS, Background, BackgroundKind, Recipe
from smart_filter_shared.results import MIN_PEOPLE_SHARE, ChosenBackground, Frame
from smart_filter_workers.backgrounds.library import Collection
from smart_filter_workers.live.models import FrameFaces
from smart_filter_workers.results import PreparedPhoto, Segmentation, Srgb8
from smart_filter_workers.stages.composite import background, choose_background
from smart_filter_workers.stages.composite.background import PeoplePhoto
from smart_filter_workers.stages.composite.choose_background import People

# Before the choice: the client's own room, too blurred to recognize anything.
_INITIAL_BACKGROUND: Final = Background(BackgroundKind.BLUR, "0.8")
# Frames before the choice: a camera that has just started is too dark, and people still move.
_WARM_UP_FRAMES: Final = 6


@dataclass(frozen=True, slots=True)
class BackgroundChoice:
    """A background chosen for the people: the name of a preset, and the reason."""

    name: str | None
    reason: str


class Backdrop:
    """The background behind the people; for one thread at a time."""

    def __init__(self, asked: Background, *, seed: int, picture: Srgb8 | None = None) -> None:
        """Create a background that is not chosen or drawn yet.

        asked: the requested background, as `smart_filter_shared.live` reads it, or a
        `file`, which is `picture`, (H, W, 3) uint8.  seed: for the random parts of a design.
        """
        self._asked = asked
        self._seed = seed
        self._picture = picture
        self._chosen = (
            None
            if asked.kind in SUBJECT_MATCHED_KINDS
            else choose_background.use_requested(asked, Collection())
        )
        self._drawn: Srgb8 | None = None
        self._frames_of_people = 0

    @property
    def asked(self) -> Background:
        """The requested background."""
        return self._asked

    @property
    def keeps_photo(self) -> bool:
        """Whether frames keep their own background."""
        return self._asked.kind == BackgroundKind.KEEP

    def choose(
        self, prepared: PreparedPhoto, segmented: Segmentation, seen: FrameFaces
    ) -> BackgroundChoice | None:
        """Choose a background for the people of a frame, if due; return a choice made just now."""
        if self._chosen is not None or segmented.coverage < MIN_PEOPLE_SHARE:
            return None
        self._frames_of_people += 1
        if self._frames_of_people < _WARM_UP_FRAMES:
            return None
        people = People(prepared, segmented, seen.faces.faces, seen.smiles)
        self._chosen = choose_background.resolve(
            Recipe(background=self._asked),
            people,
            seed=self._seed,
            collection=Collection(),
            may_keep=False,
        )
        return BackgroundChoice(self._chosen.name, self._chosen.reason)

    def draw_behind(self, srgb: Srgb8, prepared: PreparedPhoto, segmented: Segmentation) -> Srgb8:
        """Return the background of a frame, of the frame's size; the caller may overwrite it."""
        chosen = self._chosen or choose_background.use_requested(_INITIAL_BACKGROUND, Collection())
        asked = self._asked if self._chosen is not None else _INITIAL_BACKGROUND
        photo = PeoplePhoto(
            srgb,
            prepared.proxy_srgb,
            faces=prepared.proposals,
            matte=segmented.matte,
            evidence=segmented.evidence,
        )
        if chosen.kind == BackgroundKind.BLUR:
            return self._draw(chosen, asked, photo)
        if self._drawn is None or self._drawn.shape != srgb.shape:
            self._drawn = self._draw(chosen, asked, photo)
        return self._drawn.copy()

    def _draw(self, chosen: ChosenBackground, asked: Background, photo: PeoplePhoto) -> Srgb8:
        height, width = photo.srgb.shape[:2]
        if background.is_photo(chosen):
            return photo.srgb.copy()
        return background.draw(
            chosen,
            Frame(width, height, scale=1, left=0, top=0),
            photo,
            recipe=Recipe(background=asked),
            seed=self._seed,
            collection=Collection(),
            picture=self._picture,
        )
