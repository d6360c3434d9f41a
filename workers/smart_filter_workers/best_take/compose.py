"""Compose one picture of a group from a burst, with the best face of each person.

The best shot is the base. Every other shot is aligned to it by the background, and the region of a
head is replaced where the same person looks visibly better in another shot.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from smart_filter_shared.best_shot import AlbumFace, Term
from smart_filter_shared.results import Face
from smart_filter_wire.findings import Eyes, TakePerson, TakeReport, TakeSwap
from smart_filter_workers.best_take.alignment import Aligner, Alignment, Window
from smart_filter_workers.best_take.seams import replace_region
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bytes, Srgb8

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
) -> tuple[Bytes, Bytes] | None:
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


def _draw(mask: Bytes, window: Window, face: Face, reach: tuple[float, float, float]) -> None:
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
