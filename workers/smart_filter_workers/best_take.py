"""Compose one picture of a group from a burst, with the best face of each person.

The best shot is the base. Every other shot is aligned to it by the background, and the region of a
head is replaced where the same person looks visibly better in another shot.

Align the shots of a burst to its base by what does not move.

Show a region of one picture in another one without a seam.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.best_shot import AlbumFace, Term
from smart_filter_shared.results import Face
from smart_filter_wire.findings import Eyes, TakePerson, TakeReport, TakeSwap
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

# How far, in widths of the face, a head may be from its place in the base: farther, the neck would
# not fit.
MAX_SHIFT: Final = 0.4
# How much larger or smaller a face may be.
MAX_SCALE: Final = 1.2
# A head's region, in widths of the face: half its width, and its ends above and below the middle of
# the face. It ends at the neck.
HEAD_WIDTH, HEAD_TOP, HEAD_BOTTOM = 0.85, 1.05, 0.95
# The part of a head that is never mixed with another picture.
CORE_WIDTH, CORE_TOP, CORE_BOTTOM = 0.5, 0.55, 0.6
# Widths of the face around the region that blending sees.
MARGIN: Final = 0.3
# How much more open eyes have to be, and by how much a smile has to be better.
MIN_OPENING, MIN_SMILE = 0.5, 0.3
# Faces of one person that are tried before the base's stays: each takes up to a second;
# and how many people of a crowd can get another face.
MAX_TRIES, MAX_PEOPLE = 3, 40
TOO_CLOSE: Final = "another head is too close"
ONE_SHOT: Final = "Only one photo could be used: a take needs two of the same people."
CHOSEN_BASE: Final = "Each face was chosen from this photo, or is best in it."
ALREADY_BEST: Final = "No other photo shows a face that is visibly better than in this one."
MOVED_PEOPLE: Final = "The people moved too far between the photos for a face to fit."
_WORDS: Final = {
    Term.SHARPNESS: "the face is sharper",
    Term.LIGHT: "the light is better",
    Term.CROP: "the head is whole",
    Term.EXPRESSION: "the smile is better",
}
_EYES_OPEN, _CHOSEN = "the eyes are open", "it was chosen"

Doubles = NDArray[np.float64]
Box: TypeAlias = tuple[float, float, float, float]

# Longest side on which features are found: a hand moves a camera by many pixels, so a third of a
# pixel here is enough to begin with.
FEATURES_PX: Final = 1280
FEATURES: Final = 4000
# Source: Lowe 2004, section 7.1, the ratio of the two nearest distances.
RATIO: Final = 0.75
# In pixels of the shrunk shot.
INLIER_PX: Final = 2.0
MIN_INLIERS, MIN_INLIER_SHARE = 30, 0.35
# Shares of the shot's diagonal by which a corner may move, and by which lengths may change.
MAX_CORNER_SHIFT, MAX_STRETCH = 0.12, 1.12
# Why a shot cannot be aligned, as the rest of a sentence on it.
OTHER_SIZE: Final = "it has another size"
OTHER_SCENE: Final = "it shows another scene, or too few details to align it"
MOVED_CAMERA: Final = "the camera moved too far"
MOVED_SCENE: Final = "too much moved between the photos"

Mask = NDArray[np.uint8]
# Longest side on which the seam is found and judged.
SEAM_PX: Final = 400
# The coarsest level of the pyramid has about this number of pixels on its shorter side.
COARSEST_PX: Final = 16
SHOWN_ABOVE: Final = 127
# Mean difference along the seam, in levels of 255 after matching, from which it would be seen.
MAX_SEAM_LEVELS: Final = 24.0
# Mean distance of a gray face from neutral, in the plane of a* and b*; skin has 15 to 30.
GRAY_BELOW: Final = 4.0
_NEUTRAL: Final = 128
OTHER_COLORS: Final = "one photo is in color, the other is not"
UNFIT: Final = "what surrounds the head does not fit"


@dataclass(frozen=True, slots=True)
class Head:
    """One face of a shot: its place, its eyes and its faults."""

    face: Face
    eyes: Eyes
    faults: AlbumFace

    @property
    def openness(self) -> float:
        """How open the eyes are, 0 to 1; an unknown eye counts half."""
        eyes = (self.eyes.left_open, self.eyes.right_open)
        return sum(0.5 if is_open is None else float(is_open) for is_open in eyes) / 2


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo of a burst.

    item: its number in the batch, from 0.
    load: returns it upright, (H, W, 3) uint8 sRGB. It is called again when the pixels are needed
        again, so that only two shots are in memory.
    heads: its faces that count.
    """

    item: int
    load: Callable[[], Srgb8]
    heads: tuple[Head, ...]


def compose_take(
    shots: Sequence[Shot], chosen: Mapping[int, int] | None = None
) -> tuple[Srgb8, TakeReport]:
    """Return the base with the best face of each person, (H, W, 3) uint8 sRGB, and the report.

    shots: the best first, at least one.
    chosen: the item from which a person's face is to be; the persons are numbered in the base.
    """
    base, *others = shots
    base_srgb = base.load()
    aligned, notes = _align_shots(base_srgb, others)
    picture, people, swaps, misfits = base_srgb.copy(), [], [], []
    for person, head in enumerate(_list_people(base.heads), start=1):
        candidates = {
            shot.shot.item: (shot, other)
            for shot in aligned
            if (other := shot.find(head.face)) is not None
        }
        wanted = (chosen or {}).get(person, base.item)
        if wanted != base.item and wanted not in candidates:
            misfits.append(f"Person {person} in photo {wanted + 1}: this face does not fit.")
        for item, why in _list_sources(head, candidates, (chosen or {}).get(person)):
            unfit = _replace_head(picture, base.heads, head, *candidates[item])
            if unfit is None:
                swaps.append(TakeSwap(person, item, why))
                break
            misfits.append(f"Person {person} in photo {item + 1}: {unfit}.")
        x, y, width, height = (round(length, 1) for length in head.face.box)
        box = x, y, width, height
        people.append(TakePerson(person, box, (base.item, *sorted(candidates))))
    fallback = None
    if not swaps:
        fallback = _explain_fallback(others, aligned, people, notes, misfits, chosen=bool(chosen))
    report = TakeReport(base.item, tuple(swaps), tuple(people), fallback, (*notes, *misfits))
    return picture, report


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of a picture, in whole pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


@dataclass(frozen=True, slots=True)
class Alignment:
    """The homography, (3, 3) float64, from pixels of a shot to pixels of the base."""

    matrix: Doubles

    def move(self, face: Face) -> Face:
        """Return a face at its place in the base."""
        x, y, width, height = face.box
        points = np.array(
            [(x, y), (x + width, y), (x, y + height), (x + width, y + height), *face.landmarks],
            np.float64,
        )
        moved = cv2.perspectiveTransform(points[np.newaxis], self.matrix)[0]
        left, top = moved[:4].min(axis=0)
        right, bottom = moved[:4].max(axis=0)
        marks = [(float(a), float(b)) for a, b in moved[4:]]
        return Face(
            (float(left), float(top), float(right - left), float(bottom - top)),
            face.score,
            (marks[0], marks[1], marks[2], marks[3], marks[4]),
        )

    def warp(self, srgb: Srgb8, window: Window) -> Srgb8:
        """Return a window of the base as the shot shows it, (H, W, 3) uint8."""
        shift = np.array([[1.0, 0.0, -window.left], [0.0, 1.0, -window.top], [0.0, 0.0, 1.0]])
        moved = cv2.warpPerspective(
            srgb,
            shift @ self.matrix,
            (window.width, window.height),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(moved, np.uint8)


@dataclass(frozen=True, slots=True)
class _AlignedShot:
    """A shot, and its heads at their places in the base."""

    shot: Shot
    alignment: Alignment
    heads: tuple[Head, ...]

    def find(self, face: Face) -> Head | None:
        """Return the head of the person who has this face in the base."""
        near = [head for head in self.heads if _is_same_place(face, head.face)]
        return near[0] if len(near) == 1 else None


def _align_shots(base_srgb: Srgb8, others: Sequence[Shot]) -> tuple[list[_AlignedShot], list[str]]:
    """Return the shots that can be aligned, and why the others cannot."""
    aligner = Aligner(base_srgb)
    aligned: list[_AlignedShot] = []
    notes: list[str] = []
    for shot in others:
        alignment = aligner.align(shot.load(), [head.face.box for head in shot.heads])
        if isinstance(alignment, str):
            notes.append(f"Photo {shot.item + 1} was not used: {alignment}.")
            continue
        heads = tuple(replace(head, face=alignment.move(head.face)) for head in shot.heads)
        aligned.append(_AlignedShot(shot, alignment, heads))
    return aligned, notes


def _list_people(heads: Sequence[Head]) -> list[Head]:
    """Return the heads from left to right, of a crowd the largest."""
    largest = sorted(heads, key=lambda head: -head.face.box[2])[:MAX_PEOPLE]
    return sorted(largest, key=lambda head: head.face.box[0])


def _list_sources(
    head: Head, candidates: Mapping[int, tuple[_AlignedShot, Head]], chosen: int | None
) -> list[tuple[int, str]]:
    """Return the items in which a person looks visibly better, and why, the best first.

    chosen: the item to use in place of them; the base's is never among `candidates`.
    """
    if chosen is not None:
        return [(chosen, _CHOSEN)] if chosen in candidates else []
    better = [
        (_badness(other), item, why)
        for item, (_, other) in candidates.items()
        if (why := _reason(other, head)) is not None
    ]
    return [(item, why) for _, item, why in sorted(better)[:MAX_TRIES]]


def _replace_head(
    picture: Srgb8, heads: Sequence[Head], head: Head, source: _AlignedShot, other: Head
) -> str | None:
    """Draw a person's head of another shot into the picture, or return why it does not fit.

    heads: all heads of the base.  other: the head of the other shot.
    """
    neighbors = [
        neighbor.face
        for neighbor in (*heads, *source.heads)
        if neighbor is not head and neighbor is not other
    ]
    window = _surround((head.face, other.face), picture.shape)
    region = _head_region(window, (head.face, other.face), neighbors)
    if region is None:
        return TOO_CLOSE
    under = picture[window.slices]
    over = source.alignment.warp(source.shot.load(), window)
    replaced = replace_region(under, over, *region)
    if isinstance(replaced, str):
        return replaced
    picture[window.slices] = replaced
    return None


def _explain_fallback(
    others: Sequence[Shot],
    aligned: Sequence[_AlignedShot],
    people: Sequence[TakePerson],
    notes: Sequence[str],
    misfits: Sequence[str],
    *,
    chosen: bool,
) -> str:
    """Return why no face was replaced, as a sentence for people."""
    if not others:
        return ONE_SHOT
    if not aligned:
        reasons = dict.fromkeys(note.partition(": ")[2] for note in notes)
        return f"No other photo could be used: {'; '.join(reasons).replace('.;', ';')}"
    if misfits:
        return f"No better face fits: {misfits[0][0].lower()}{misfits[0][1:]}"
    if chosen:
        return CHOSEN_BASE
    is_alone = [len(person.items) == 1 for person in people]
    return MOVED_PEOPLE if any(is_alone) and any(shot.heads for shot in aligned) else ALREADY_BEST


def _is_same_place(face: Face, other: Face) -> bool:
    """Return whether a face of another shot is the same person's: near, and as large."""
    (x, y, width, height), (left, top, across, down) = face.box, other.box
    shift = np.hypot(x + width / 2 - left - across / 2, y + height / 2 - top - down / 2)
    scale = max(width / across, across / width)
    return bool(shift <= MAX_SHIFT * width and scale <= MAX_SCALE)


def _badness(head: Head) -> tuple[float, ...]:
    return -head.openness, *(round(head.faults.fault(term) / term.fine) for term in Term)


def _reason(other: Head, head: Head) -> str | None:
    """Return what is visibly better about another head, in words; None if something is worse."""
    if other.openness != head.openness:
        return _EYES_OPEN if other.openness - head.openness >= MIN_OPENING else None
    for term, words in _WORDS.items():
        lead = head.faults.fault(term) - other.faults.fault(term)
        if abs(lead) > min(term.visible, MIN_SMILE if term is Term.EXPRESSION else math.inf):
            return words if lead > 0 else None
    return None


def _surround(faces: Sequence[Face], size: tuple[int, ...]) -> Window:
    """Return the window around heads, within the picture."""
    ends = []
    for face in faces:
        x, y, width, height = face.box
        middle = x + width / 2, y + height / 2
        # A tilted head reaches as far in every direction.
        reach = (max(HEAD_WIDTH, HEAD_TOP, HEAD_BOTTOM) + MARGIN) * width
        ends += [(middle[0] - reach, middle[1] - reach), (middle[0] + reach, middle[1] + reach)]
    corners = np.array(ends)
    left, top = np.floor(corners.min(axis=0)).astype(int).clip(0)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int).clip(None, (size[1], size[0]))
    return Window(int(left), int(top), int(right - left), int(bottom - top))


def _head_region(
    window: Window, heads: tuple[Face, Face], neighbors: Sequence[Face]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
    """Return where another shot may be shown, and where it must, (H, W) uint8 0 or 255.

    None when another head is in the way.
    """
    allowed, core, forbidden = np.zeros((3, window.height, window.width), np.uint8)
    for head in heads:
        _draw(allowed, window, head, (HEAD_WIDTH, HEAD_TOP, HEAD_BOTTOM))
        _draw(core, window, head, (CORE_WIDTH, CORE_TOP, CORE_BOTTOM))
    for neighbor in neighbors:
        reach = (CORE_WIDTH * 1.1, CORE_TOP * 1.5, CORE_BOTTOM * 1.2)
        _draw(forbidden, window, neighbor, reach)
    if (core & forbidden).any():
        return None
    return allowed & ~forbidden, core


def _draw(
    mask: NDArray[np.uint8], window: Window, face: Face, reach: tuple[float, float, float]
) -> None:
    """Draw an ellipse around a face with these reaches to its sides, up and down, in widths."""
    x, y, width, height = face.box
    wide, up, down = reach
    middle = (
        x + width / 2 - window.left,
        y + height / 2 + (down - up) / 2 * width - window.top,
    )
    axes = wide * width, (up + down) / 2 * width
    right_eye, left_eye = face.landmarks[:2]
    angle = np.degrees(np.arctan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0]))
    cv2.ellipse(mask, (middle, (2 * axes[0], 2 * axes[1]), float(angle)), 255, -1)


class Aligner:
    """Aligns shots to a base, (H, W, 3) uint8 sRGB."""

    def __init__(self, base_srgb: Srgb8) -> None:
        self._shape = base_srgb.shape
        self._scale = min(1.0, FEATURES_PX / max(self._shape[:2]))
        self._sift = cv2.SIFT.create(FEATURES)
        self._points, self._marks = self._sift.detectAndCompute(self._shrink(base_srgb), None)

    def align(self, srgb: Srgb8, faces: Sequence[Box]) -> Alignment | str:
        """Return the alignment of a shot, or the reason for which there is none.

        srgb: (H, W, 3) uint8.  faces: boxes of the shot, in which features may move.
        """
        if srgb.shape != self._shape:
            return OTHER_SIZE
        shot = self._shrink(srgb)
        points, marks = self._sift.detectAndCompute(shot, self._mask_still(shot.shape, faces))
        if marks is None or self._marks is None or len(self._marks) < 2:  # noqa: PLR2004 - nearest
            return OTHER_SCENE
        nearest = cv2.BFMatcher().knnMatch(marks, self._marks, k=2)
        good = [first for first, second in nearest if first.distance < RATIO * second.distance]
        if len(good) < MIN_INLIERS:
            return OTHER_SCENE
        start = np.array([points[match.queryIdx].pt for match in good])
        end = np.array([self._points[match.trainIdx].pt for match in good])
        matrix, inliers = cv2.findHomography(start, end, cv2.USAC_MAGSAC, INLIER_PX)
        if matrix is None or inliers.sum() < max(MIN_INLIERS, MIN_INLIER_SHARE * len(good)):
            return MOVED_SCENE
        grow = np.diag([self._scale, self._scale, 1.0])
        alignment = Alignment(np.linalg.inv(grow) @ matrix @ grow)
        return alignment if _is_small(alignment.matrix, self._shape) else MOVED_CAMERA

    def _shrink(self, srgb: Srgb8) -> NDArray[np.uint8]:
        gray = cv2.cvtColor(srgb, cv2.COLOR_RGB2GRAY)
        size = {"fx": self._scale, "fy": self._scale}
        return np.asarray(cv2.resize(gray, None, **size, interpolation=cv2.INTER_AREA), np.uint8)

    def _mask_still(self, size: tuple[int, ...], faces: Sequence[Box]) -> NDArray[np.uint8]:
        still = np.full(size, 255, np.uint8)
        for x, y, width, height in faces:
            corners = [(x - width / 4) * self._scale, (y - height / 4) * self._scale]
            ends = [(x + width * 5 / 4) * self._scale, (y + height * 5 / 4) * self._scale]
            cv2.rectangle(still, tuple(map(int, corners)), tuple(map(int, ends)), 0, -1)
        return still


def _is_small(matrix: Doubles, size: tuple[int, ...]) -> bool:
    height, width = size[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    moved = cv2.perspectiveTransform(corners[np.newaxis], matrix)[0]
    shift = np.linalg.norm(moved - corners, axis=1).max() / np.hypot(width, height)
    sides = np.linalg.norm(np.roll(moved, 1, axis=0) - moved, axis=1)
    stretch = sides / np.linalg.norm(np.roll(corners, 1, axis=0) - corners, axis=1)
    return bool(shift <= MAX_CORNER_SHIFT and max(stretch.max(), 1 / stretch.min()) <= MAX_STRETCH)


def replace_region(under: Srgb8, over: Srgb8, allowed: Mask, core: Mask) -> Srgb8 | str:
    """Return a picture with a region of another one, or the reason for which it does not fit.

    under, over: (H, W, 3) uint8, aligned.  allowed, core: (H, W) uint8, 255 where the other
    picture may be shown, and where it must.
    """
    if _is_gray(under, core) != _is_gray(over, core):
        return OTHER_COLORS
    over = _match_colors(over, under, allowed & ~core)
    seam = _find_seam(under, over, allowed, core)
    return UNFIT if seam is None else _blend(under, over, seam)


def _match_colors(over: Srgb8, under: Srgb8, ring: Mask) -> Srgb8:
    """Return a picture with the brightness of each channel around a head as in another."""
    around = ring > 0
    gains = [
        (np.median(under[..., channel][around]) + 1) / (np.median(over[..., channel][around]) + 1)
        for channel in range(3)
    ]
    # A table, because pixels of type float take four times the memory.
    levels = np.arange(256)[:, np.newaxis] * np.clip(gains, 0.8, 1.25)
    table = np.clip(np.round(levels), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(over, table[np.newaxis]), np.uint8)


def _is_gray(picture: Srgb8, core: Mask) -> bool:
    """Return whether a face has no color."""
    _, a, b, _ = cv2.mean(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), core)
    return bool(np.hypot(a - _NEUTRAL, b - _NEUTRAL) < GRAY_BELOW)


def _find_seam(under: Srgb8, over: Srgb8, may: Mask, must: Mask) -> Mask | None:
    """Return the region to show, 255, between `must` and `may`, cut where the pictures agree.

    None where they do not.
    Source: Kwatra et al. 2003, "Graphcut textures"; OpenCV's seam finder.
    """
    scale = min(1.0, SEAM_PX / max(may.shape))
    small = [
        cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for part in (under, over)
    ]
    inner = cv2.resize(must, small[0].shape[1::-1], interpolation=cv2.INTER_NEAREST)
    outer = cv2.resize(may, small[0].shape[1::-1], interpolation=cv2.INTER_NEAREST)
    below, above = cv2.bitwise_not(inner), outer.copy()
    finder = cv2.detail.GraphCutSeamFinder("COST_COLOR_GRAD")
    # The stubs of OpenCV lack the conversion of an array.
    pictures = [cv2.UMat(part.astype(np.float32)) for part in small]  # type: ignore[call-overload]
    masks = [cv2.UMat(below), cv2.UMat(above)]  # type: ignore[call-overload]
    _, seams = finder.find(pictures, [(0, 0), (0, 0)], masks)
    small_seam = np.asarray(seams.get(), np.uint8)
    edge = cv2.morphologyEx(small_seam, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    # Grain is no seam.
    blurred = [cv2.GaussianBlur(part, (0, 0), 1 + scale).astype(np.float32) for part in small]
    if edge.any() and float(np.abs(blurred[0] - blurred[1])[edge].mean()) > MAX_SEAM_LEVELS:
        return None
    seam = np.asarray(cv2.resize(small_seam, may.shape[::-1], interpolation=cv2.INTER_LINEAR))
    return np.asarray(((seam > SHOWN_ABOVE) & (may > 0) | (must > 0)) * 255, np.uint8)


def _blend(under: Srgb8, over: Srgb8, seam: Mask) -> Srgb8:
    """Return two pictures blended by frequency along a seam, one channel after another.

    Source: Burt & Adelson 1983, "A multiresolution spline with application to image mosaics".
    """
    bands = max(1, int(np.log2(max(1, min(seam.shape) / COARSEST_PX))))
    result = np.empty_like(under)
    for channel in range(under.shape[2]):
        result[..., channel] = _blend_channel(
            under[..., channel].astype(np.float32),
            over[..., channel].astype(np.float32),
            np.asarray(seam / np.float32(255), np.float32),
            bands,
        )
    return result


def _blend_channel(below: Floats, above: Floats, share: Floats, bands: int) -> Mask:
    levels: list[Floats] = []
    for _ in range(bands):
        size = below.shape[1::-1]
        low_below, low_above, low_share = (
            np.asarray(cv2.pyrDown(part), np.float32) for part in (below, above, share)
        )
        fine_below = below - cv2.pyrUp(low_below, dstsize=size)
        fine_above = above - cv2.pyrUp(low_above, dstsize=size)
        levels.append(np.asarray(fine_below + (fine_above - fine_below) * share, np.float32))
        below, above, share = low_below, low_above, low_share
    blended = np.asarray(below + (above - below) * share, np.float32)
    for fine in reversed(levels):
        blended = np.asarray(cv2.pyrUp(blended, dstsize=fine.shape[1::-1]) + fine, np.float32)
    return np.asarray(np.clip(np.round(blended), 0, 255), np.uint8)
