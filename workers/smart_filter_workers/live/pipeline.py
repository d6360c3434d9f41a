"""The processing of one connection's frames, one after another.

Find regions to look at again: people whose faces were found but whose bodies were missed.

Small networks that see a whole frame at once miss people that are small, dark in front of a dark
background, or at the border. A second look at such a person alone finds most of them.

Smooth a matte over time: it is still where the picture is still, and moves where it moves.

Networks and color lines that see only single frames give slightly different edges from frame to
frame, with the camera's noise, and the edge flickers. Therefore each pixel's coverage is a mean
over time that forgets fast where the picture changes and slowly where it does not. Change is
measured against a picture that is averaged in the same way, so that a slow movement adds up until
it shows, and the averages of coverage and picture belong to the same moment. The finished matte is
smoothed: smoothing the output of the network took away 2 % of the flicker, this takes away seven
eighths (docs/measurements.md).

The background behind the people of one connection, drawn once and kept.

The models that analyze frames are the light ones of the pipeline, loaded once for all connections
of a process; the stages' own code runs them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.rating import Rating
from smart_filter_shared.recipe import (
    SUBJECT_MATCHED_KINDS,
    Background,
    BackgroundKind,
    Edge,
    Recipe,
)
from smart_filter_shared.results import (
    MIN_PEOPLE_SHARE,
    ChosenBackground,
    Face,
    Faces,
    Frame,
    Smiles,
    rate_faces,
)
from smart_filter_workers.backgrounds.library import Collection
from smart_filter_workers.decoder.pool import Decoder
from smart_filter_workers.live import frames
from smart_filter_workers.models import catalog
from smart_filter_workers.models.catalog import ModelCatalog
from smart_filter_workers.networks.coordinates import to_proxy
from smart_filter_workers.networks.coverage.selfie import SelfieNetworks
from smart_filter_workers.networks.faces import blazeface, centerface
from smart_filter_workers.networks.faces.blazeface import BlazeFace
from smart_filter_workers.networks.faces.centerface import CenterFace
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import shrink
from smart_filter_workers.results import (
    HALF_LEVEL,
    Floats,
    Matte8,
    PreparedPhoto,
    Segmentation,
    Srgb8,
)
from smart_filter_workers.stages.composite import background, choose_background
from smart_filter_workers.stages.composite.background import PeoplePhoto
from smart_filter_workers.stages.composite.choose_background import People
from smart_filter_workers.stages.composite.cleanup import clean_matte
from smart_filter_workers.stages.composite.models.base import Compositor
from smart_filter_workers.stages.face import stage as face_stage
from smart_filter_workers.stages.face.models import blazeface as blazeface_model
from smart_filter_workers.stages.face.models import centerface as centerface_model
from smart_filter_workers.stages.face.models.centerface import NearOrSearched
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.stages.segmentation.mattes.two_pass import segment_in_two_passes
from smart_filter_workers.stages.segmentation.models import selfie
from smart_filter_workers.stages.segmentation.regions import Region
from smart_filter_workers.stages.smile import stage as smile_stage
from smart_filter_workers.weights import files

# Mean coverage of a face's box; it is below 1 because the box's corners show the background.
MISSED_BELOW: Final = 0.7
# Limit per frame: each look takes 7 ms. Other missed people wait for later frames.
MAX_REGIONS: Final = 2
# In sides of a face's box: to either side of its middle, above and below its upper border.
REACH_ACROSS, REACH_UP, REACH_DOWN = 2.2, 0.8, 5.0

# Time constant of the mean for a still pixel.
REMEMBERED_SECONDS: Final = 0.4
# Side of the cells in which change is measured: their mean removes camera noise.
CELL_PX: Final = 4
# Levels of 255, for the most changed of red, green and blue: noise below, movement above.
STILL_BELOW: Final = 5.0
MOVES_ABOVE: Final = 12.0
# Cells around a moving cell that also count as moving: movement uncovers and covers them.
REACH_CELLS: Final = 2

# Before the choice: the client's own room, too blurred to recognize anything.
_INITIAL_BACKGROUND: Final = Background(BackgroundKind.BLUR, "0.8")
# Frames before the choice: a camera that has just started is too dark, and people still move.
_WARM_UP_FRAMES: Final = 6

# Faces are analyzed, and detected, in frames of at most this size. At 320 pixels the detector found
# 97 of the 99 faces that it finds at 640 pixels, at 256 pixels 96; that takes 12 ms instead of 63.
FACES_SIDE_PX: Final = 640
FINDING_SIDE_PX: Final = 256
# Each face takes 7 ms more: with a crowd, the answer would come too late.
MAX_FACES: Final = 8
# People are cut out of frames of at most this size, and the compositor learns the edge from them.
# On 48 photos of 640 pixels IoU is 0.953, the same as with all pixels, in half the time.
PEOPLE_SIDE_PX: Final = 320


@dataclass(frozen=True, slots=True)
class FrameFaces:
    """The faces of a frame, in its pixels from left to right, with their smiles and eyes."""

    faces: Faces
    smiles: Smiles


@dataclass(frozen=True, slots=True)
class LiveModels:
    """Finds people and faces in frames; safe for threads."""

    people: SelfieNetworks
    faces: face_stage.Models
    smiles: smile_stage.Models
    compositor: Compositor

    def coverage(self, small: Srgb8, large: Srgb8, faces: Sequence[Face]) -> Floats:
        """Return the probability of people for each pixel of a frame, (h, w) float32 0..1.

        small: (h, w, 3) uint8; large: (H, W, 3) uint8, the same frame.  faces: those of the
        previous frame, in pixels of `large`; missed people are searched for around them.
        """
        coverage = segment_in_two_passes(self.people, small)
        for region in find_regions(coverage, faces, scale=large.shape[1] / small.shape[1]):
            part = coverage[region.small]
            seen = self.people(large[region.large])
            size = (part.shape[1], part.shape[0])
            cv2.max(part, cv2.resize(seen, size, interpolation=cv2.INTER_AREA), dst=part)
        return coverage

    def look(self, prepared: PreparedPhoto) -> FrameFaces:
        """Return the largest faces of a frame, with their smiles and eyes."""
        (detected,) = face_stage.run(self.faces, [face_stage.Inputs(prepared)])
        faces = _largest(detected)
        (smiles,) = smile_stage.run(self.smiles, [smile_stage.Inputs(prepared, faces)])
        return FrameFaces(faces, smiles)


def _largest(faces: Faces) -> Faces:
    """Return the widest faces, still from left to right."""
    widths = sorted((face.box[2] for face in faces.faces), reverse=True)
    least = widths[:MAX_FACES][-1] if widths else 0.0
    return Faces(tuple(face for face in faces.faces if face.box[2] >= least)[:MAX_FACES])


def check_weights(folder: Path, *, research: bool) -> None:
    """Check that the weights folder has what is needed.  Raises SetupFailed."""
    for card in (selfie.CARD, centerface_model.CARD if research else blazeface_model.CARD):
        files.verify(folder, card.weights)


def load(folder: Path, *, research: bool, emotions: bool) -> LiveModels:
    """Load the models from the weights folder; this takes 0.3 s and 130 MB.

    research, emotions: whether models may run that are not for commercial use, and those that read
    emotions; the detector of faces and the default models for smiles and eyes depend on it.
    Raises SetupFailed.
    """
    check_weights(folder, research=research)
    discovered = catalog.discover_models(research=research, emotions=emotions)
    detector = (
        CenterFace(folder, longest_side_px=FINDING_SIDE_PX, threshold=centerface.THRESHOLD)
        if research
        else BlazeFace(folder, longest_side_px=FINDING_SIDE_PX, threshold=blazeface.THRESHOLD)
    )
    return LiveModels(
        people=SelfieNetworks(folder),
        faces=face_stage.Models(face=NearOrSearched(detector)),
        smiles=smile_stage.Models(
            smile=_default(TaskName.SMILE, discovered, folder),
            eyes=_default(TaskName.EYES, discovered, folder),
        ),
        compositor=_default(TaskName.COMPOSITE, discovered, folder),
    )


def _default(task: TaskName, models: ModelCatalog, folder: Path) -> Any:  # noqa: ANN401 - by task
    """Return a task's default model, which has the type of the task's Protocol."""
    card = next(card for card in models.cards if card.task == task and card.default)
    files.verify(folder, card.weights)
    model: Any = models.files[task, card.name].load(folder)  # the Protocol depends on the task
    return partial(model, parameters=card.completed({})) if card.parameters else model


@dataclass(frozen=True, slots=True)
class PreparedFrame:
    """A frame, and its smaller copies for the models.

    srgb: (H, W, 3) uint8.  for_faces, for_people: shrunk to the size at which faces and people
    are found.
    """

    srgb: Srgb8
    for_faces: PreparedPhoto
    for_people: PreparedPhoto


@dataclass(frozen=True, slots=True)
class BackgroundChoice:
    """A background chosen for the people: the name of a preset, and the reason."""

    name: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class RenderedFrame:
    """The result of a frame.

    content: a JPEG of the people in front of their new background.  width, height: of the
    frame.  people: whether there are any people.  rating: None without a face.  choice: the
    background, if it was chosen at this frame.
    """

    content: bytes
    width: int
    height: int
    people: bool
    seen: FrameFaces
    rating: Rating | None
    choice: BackgroundChoice | None


def prepare_frame(
    content: bytes, decoder: Decoder, *, max_side_px: int = frames.MAX_SIDE_PX
) -> PreparedFrame:
    """Decode a frame, a JPEG or WebP, and return it with its smaller copies.

    Raises ImageTooLarge, ImageUnreadable, and what `decoder` raises.
    """
    srgb = frames.decode_frame(content, decoder, max_side_px=max_side_px)
    return PreparedFrame(
        srgb, _shrink_frame(srgb, FACES_SIDE_PX), _shrink_frame(srgb, PEOPLE_SIDE_PX)
    )


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
        self._chosen = None if asked.kind in SUBJECT_MATCHED_KINDS else _use_requested(asked)
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
        chosen = self._chosen or _use_requested(_INITIAL_BACKGROUND)
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


class FramePipeline:
    """The frames of one connection; each is cut out and analyzed before it is rendered.

    `cut_out` and `look` of one frame may run at once in two threads.
    """

    def __init__(self, sight: LiveModels) -> None:
        self._sight = sight
        self._smoothing = MatteSmoother()
        # The faces of the previous frame, in pixels of its `for_faces`.
        self._faces: tuple[Face, ...] = ()

    def cut_out(self, frame: PreparedFrame) -> Matte8:
        """Return the matte of a frame's people, at the size of `for_people`."""
        small, large = frame.for_people.proxy_srgb, frame.for_faces.proxy_srgb
        return refine_edges(self._sight.coverage(small, large, self._faces), small)

    def look(self, frame: PreparedFrame) -> FrameFaces:
        """Return the frame's faces, with smiles and eyes."""
        return self._sight.look(frame.for_faces)

    def render_frame(
        self,
        frame: PreparedFrame,
        matte: Matte8,
        seen: FrameFaces,
        backdrop: Backdrop,
        *,
        seconds: float,
    ) -> RenderedFrame:
        """Return the frame with the people in front of their background.

        seconds: the time since the previous frame.
        """
        faces = seen.faces.faces
        segmented = Segmentation(
            matte=matte, coverage=float(np.mean(matte > HALF_LEVEL)), persons=None
        )
        segmented = clean_matte(segmented, frame.for_people, faces)
        self._faces = tuple(to_proxy(face, frame.for_faces) for face in faces)
        choice = backdrop.choose(frame.for_people, segmented, seen)
        made = self._composited(frame, segmented, seen, backdrop, seconds)
        return RenderedFrame(
            content=frames.encode_frame(made),
            width=frame.srgb.shape[1],
            height=frame.srgb.shape[0],
            people=segmented.coverage >= MIN_PEOPLE_SHARE,
            seen=seen,
            rating=rate_faces(seen.smiles),
            choice=choice,
        )

    def _composited(
        self,
        frame: PreparedFrame,
        segmented: Segmentation,
        seen: FrameFaces,
        backdrop: Backdrop,
        seconds: float,
    ) -> Srgb8:
        if backdrop.keeps_photo:
            self._smoothing = MatteSmoother()  # its state would be out of date later
            return frame.srgb
        cut = self._sight.compositor.cut(
            frame.srgb,
            proxy_srgb=frame.for_people.proxy_srgb,
            matte=segmented.matte,
            edge=Edge.FAST,
            faces=seen.faces.faces,
        )
        still = replace(cut, matte=self._smoothing.smooth(cut.matte, frame.srgb, seconds=seconds))
        behind = backdrop.draw_behind(frame.srgb, frame.for_people, segmented)
        return self._sight.compositor.over(still, behind)


def _shrink_frame(srgb: Srgb8, longest_side_px: int) -> PreparedPhoto:
    height, width = srgb.shape[:2]
    small = shrink(srgb, longest_side=longest_side_px)
    return PreparedPhoto(width, height, "jpg", proxy_srgb=small)


@dataclass(frozen=True, slots=True)
class FocusRegion:
    """The region of one person, in a small picture and in a large one of the same frame."""

    small: Region
    large: Region


def find_regions(coverage: Floats, faces: Sequence[Face], *, scale: float) -> Iterator[FocusRegion]:
    """Yield the regions of the people with the least coverage.

    coverage: (h, w) float32, 0..1.  faces: in pixels of a picture that is `scale` times as large.
    """
    height, width = coverage.shape
    missed = []
    for face in faces:
        left, top, across, down = (side / scale for side in face.box)
        box = coverage[_span(top, top + down, height), _span(left, left + across, width)]
        mean = float(box.mean()) if box.size else 1.0
        if mean < MISSED_BELOW:
            missed.append((mean, face))
    missed.sort(key=lambda region: region[0])
    for _, face in missed[:MAX_REGIONS]:
        left, top, across, down = face.box
        middle = left + across / 2
        start, end = middle - REACH_ACROSS * across, middle + REACH_ACROSS * across
        upper, lower = top - REACH_UP * down, top + REACH_DOWN * down
        small = (
            _span(upper / scale, lower / scale, height),
            _span(start / scale, end / scale, width),
        )
        yield FocusRegion(small, (_scale_span(small[0], scale), _scale_span(small[1], scale)))


def _span(start: float, end: float, length: int) -> slice:
    return slice(min(length, max(0, int(start))), max(0, min(length, int(end) + 1)))


def _scale_span(span: slice, scale: float) -> slice:
    return slice(round(span.start * scale), round(span.stop * scale))


class MatteSmoother:
    """The matte of one connection over time; for one thread at a time."""

    def __init__(self) -> None:
        self._coverage: Floats | None = None
        self._picture: Floats | None = None

    def smooth(self, matte: Matte8, srgb: Srgb8, *, seconds: float) -> Matte8:
        """Return the smoothed matte of a frame, (H, W) uint8.

        matte: (H, W) uint8, of this frame alone; srgb: (H, W, 3) uint8, the frame.
        seconds: the time since the previous frame.
        """
        picture = _small(srgb)
        coverage, before = self._coverage, self._picture
        if coverage is None or before is None or coverage.shape != matte.shape:
            self._coverage, self._picture = matte.astype(np.float32), picture
            return matte
        share = _share(picture, before, seconds=seconds)
        before += share[..., np.newaxis] * (picture - before)
        size = (matte.shape[1], matte.shape[0])
        coverage += cv2.resize(share, size, interpolation=cv2.INTER_LINEAR) * (matte - coverage)
        return np.asarray(cv2.convertScaleAbs(coverage), np.uint8)


def _share(picture: Floats, before: Floats, *, seconds: float) -> Floats:
    """Return the weight of the new frame in each cell, (h, w) float32, 0..1."""
    change = cv2.absdiff(picture, before).max(axis=2)
    moves = np.clip((change - STILL_BELOW) / (MOVES_ABOVE - STILL_BELOW), 0, 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH_CELLS + 1,) * 2)
    moves = cv2.dilate(moves, disc)
    least = -np.expm1(-seconds / REMEMBERED_SECONDS)
    return np.asarray(least + (1 - least) * moves, np.float32)


def _small(srgb: Srgb8) -> Floats:
    height, width = srgb.shape[:2]
    size = (max(1, width // CELL_PX), max(1, height // CELL_PX))
    return cv2.resize(srgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def _use_requested(asked: Background) -> ChosenBackground:
    name = asked.value if asked.kind == BackgroundKind.PRESET else None
    blur = float(asked.value or 0) if asked.kind == BackgroundKind.BLUR else 0.0
    return ChosenBackground(asked.kind, name, (), "asked for", blur=blur)
