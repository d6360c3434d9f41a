"""Order the photos of one scene, and photos with the same rating, by what people see in them."""

import datetime as dt
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from smart_filter_shared import copies
from smart_filter_shared.results import CopyTraces, Face, FaceQuality, Smile, Smiles
from smart_filter_wire.findings import Eyes

# Ratings (0 to 1) are rounded to this step: smaller differences are not visible in a face.
RATING_STEP: Final = 0.05
# Sideways shift of the nose, in units of the eyes' distance: from about 40 degrees on. A
# three-quarter view is a portrait.
TURNED_AWAY_ABOVE: Final = 0.45
# Share of the widest face's width below which a face is in the background, and does not count. A
# face counts as missing only where none of the second share takes its place.
MIN_FACE_SHARE, MIN_SEEN_SHARE = 0.5, 0.35
# From the middle of the eyes to the crown and to the chin, in distances of eyes and mouth: the eyes
# are halfway up a head.
_CROWN, _CHIN = -1.7, 1.8
# Highlights of a face, 0 to 1, from which on more light is no gain; the share of clipped pixels of
# a well-lit face, and how much more clipping counts, compared with darkness.
_LIT_FROM, _CLIPPED_UP_TO, _CLIPPED_WEIGHT = 0.7, 0.1, 0.6
# Sadness of a face below which it smiles: the score of its smile is in the upper half.
_SMILES_BELOW = 0.5


class Term(Enum):
    """The faults of a face, the first to decide first.

    unseen: up to which a fault is not seen.  fine: the step that breaks ties.
    visible: the difference that is seen at once, and outweighs a smile in photos of one scene: a
        blurred or cut face is often rated higher.
    """

    EYES = "eyes", 0.0, 0.5, 0.5
    GAZE = "gaze", 0.0, 1.0, math.inf
    SHARPNESS = "sharpness", 1.1, 0.3, 0.65
    NOISE = "noise", 3.0, 1.0, 2.0
    LIGHT = "light", 0.0, 0.08, 0.12
    EXPRESSION = "expression", 0.0, 0.2, math.inf
    CROP = "crop", 0.0, 0.05, 0.1

    def __init__(self, title: str, unseen: float, fine: float, visible: float) -> None:
        self.title = title
        self.unseen = unseen
        self.fine = fine
        self.visible = visible


@dataclass(frozen=True, slots=True)
class AlbumFace:
    """One face of a photo, by its faults: 0 is none, and nothing is lost by what is unknown.

    closed_eyes: the share of both, of a person who does not look away.  turned_away: 0 or 1.
    blur_px, grain: as in `smart_filter_shared.results.FaceQuality`.
    dark, burnt: how much light is missing, and too much, 0 to 1.
    sadness: 1 minus the score of the smile.  cut: share of the head outside the photo.
    """

    closed_eyes: float = 0.0
    turned_away: int = 0
    blur_px: float = 0.0
    grain: float = 0.0
    dark: float = 0.0
    burnt: float = 0.0
    sadness: float = 0.0
    cut: float = 0.0

    def fault(self, term: Term) -> float:
        """Return how bad the face is in one respect, not less than what is seen."""
        return max(term.unseen, self.measure(term))

    def measure(self, term: Term) -> float:
        """Return the measured fault of the face in one respect."""
        return {
            Term.EYES: self.closed_eyes,
            Term.GAZE: self.turned_away,
            Term.SHARPNESS: self.blur_px,
            Term.NOISE: self.grain,
            Term.LIGHT: max(self.dark, self.burnt),
            Term.EXPRESSION: self.sadness,
            Term.CROP: self.cut,
        }[term]


@dataclass(frozen=True, slots=True)
class AlbumPhoto:
    """One photo of an album, with the known inputs of its ranking.

    fingerprint: 64 bits; None for a photo that is in no group.
    taken_at: by the camera's clock.
    rating: 0..1, None when no face is rated.
    faces: those that count, from left to right.  seen: the number of faces that may count.
    traces: by which copies come after their original.
    """

    id: str
    fingerprint: int | None = None
    taken_at: dt.datetime | None = None
    rating: float | None = None
    people: int | None = None
    faces: tuple[AlbumFace, ...] = ()
    seen: int = 0
    traces: CopyTraces | None = None

    def fault(self, term: Term) -> float:
        """Return the number of averted faces or of those with closed eyes; else the mean fault.

        The mean is that of all faces and of the worst one, so that one blurred face counts more
        than its share, and a crowd does not hide what all its other faces show.
        """
        faults = [face.fault(term) for face in self.faces]
        if term in (Term.EYES, Term.GAZE) or not faults:
            return sum(faults, term.unseen)
        return (max(faults) + sum(faults) / len(faults)) / 2

    @property
    def points(self) -> int:
        """The rating as people see it, 0 to 100; -1 without one."""
        return -1 if self.rating is None else round(100 * self.rating)

    @property
    def rating_steps(self) -> int:
        """The rating in visible steps; -1 without one."""
        return -1 if self.rating is None else round(self.rating / RATING_STEP)


def measure_faces(
    faces: Sequence[Face], smiled: Smiles, *, size: tuple[int, int]
) -> tuple[AlbumFace, ...]:
    """Return the faults of the faces that count.

    size: width and height of the photo, in pixels.
    """
    qualities = smiled.qualities or (FaceQuality(),) * len(faces)
    given = list(zip(faces, smiled.smiles, smiled.eyes, qualities, strict=True))
    return tuple(_measure_face(*given[index], size) for index in list_counted(faces))


def list_counted(faces: Sequence[Face]) -> list[int]:
    """Return the indices of the faces that count."""
    least = MIN_FACE_SHARE * _widest(faces)
    return [index for index, face in enumerate(faces) if face.box[2] >= least]


def count_seen(faces: Sequence[Face]) -> int:
    """Return the number of faces that may count."""
    least = MIN_SEEN_SHARE * _widest(faces)
    return sum(face.box[2] >= least for face in faces)


def order_scene(photos: Sequence[AlbumPhoto]) -> list[AlbumPhoto]:
    """Return the photos of one scene, the best first.

    A photo that is visibly worse than another one of the scene comes after it, even if its rating
    is higher; then the order is that of `sort_key`. Copies of one photo come after their original.
    """
    # The median, because a detector now and then sees a face where none is.
    usual = statistics.median_high(len(photo.faces) for photo in photos)
    missing = {photo.id: usual - min(usual, max(photo.seen, len(photo.faces))) for photo in photos}
    # A photo without its most blurred face is not sharper.
    whole = [photo for photo in photos if not missing[photo.id]]
    # The first quartile, because a single measurement may be too good.
    usual_best = {
        term: sorted(photo.fault(term) for photo in whole)[len(whole) // 4] for term in Term
    }

    faults = {
        photo.id: missing[photo.id]
        + sum(photo.fault(term) - best > term.visible for term, best in usual_best.items())
        for photo in photos
    }
    ordered = sorted(photos, key=lambda photo: (faults[photo.id], sort_key(photo)))
    places = copies.order_copies(
        [photo.traces for photo in ordered], [photo.fault(Term.EYES) for photo in ordered]
    )
    return [ordered[place] for place in places]


def sort_key(photo: AlbumPhoto) -> tuple[object, ...]:
    """Return the sort key of a photo, smallest for the best; its last item breaks ties."""
    steps = [round(photo.fault(term) / term.fine) for term in Term]
    rest = sum(face.measure(term) / term.fine for face in photo.faces for term in Term)
    taken = math.inf if photo.taken_at is None else photo.taken_at.timestamp()
    side = 0 if photo.traces is None else photo.traces.shorter_px
    return (-photo.rating_steps, *steps, round(rest), taken, -side, photo.id)


def describe_lead(better: AlbumPhoto, other: AlbumPhoto) -> str:
    """Return why a photo comes before another one of its scene, as the rest of a sentence on it."""
    as_copy = copies.describe_copy(better.traces, other.traces)
    if as_copy is not None and better.fault(Term.EYES) == other.fault(Term.EYES):
        return as_copy
    leads = [
        _word_lead(term, better, other)
        for term in Term
        if other.fault(term) - better.fault(term) > term.visible
    ]
    if better.rating_steps > other.rating_steps >= 0:
        leads.insert(0, "is rated higher")
    missing = len(better.faces) - max(other.seen, len(other.faces))
    if missing > 0 and other.faces:
        leads.insert(0, f"shows {missing} more face{'s' if missing > 1 else ''}")
    *first, last = leads or [describe_tie_break(better, other)]
    return f"{', '.join(first)} and {last}" if first else last


def describe_tie_break(better: AlbumPhoto, other: AlbumPhoto) -> str:
    """Return why a photo comes before another one that counts as rated the same."""
    for term in Term:
        if round(other.fault(term) / term.fine) > round(better.fault(term) / term.fine):
            return _word_lead(term, better, other)
    return "was sent first" if better.taken_at == other.taken_at else "was taken first"


def describe_faces(photo: AlbumPhoto) -> str:
    """Return what a photo shows of its faces, which has some, as a sentence."""
    total = len(photo.faces)
    closed = sum(face.closed_eyes > 0 for face in photo.faces)
    smiling = sum(face.sadness < _SMILES_BELOW for face in photo.faces)
    smiles = f"{_count_people(smiling, total)} smile{'s' * (smiling == 1)}"
    if not smiling:
        smiles = "the person does not smile" if total == 1 else "no person smiles"
    eyes = "no eyes are closed"
    if closed:
        eyes = f"{closed} of {total} people {'has' if closed == 1 else 'have'} closed eyes"
    if total == 1:
        eyes = "the eyes are closed" if closed else "the eyes are not closed"
    return f"{smiles[0].upper()}{smiles[1:]}, and {eyes}."


def _count_people(some: int, total: int) -> str:
    if some < total:
        return f"{some} of {total} people"
    return {1: "the person", 2: "both people"}.get(total, f"all {total} people")


def _word_lead(term: Term, better: AlbumPhoto, other: AlbumPhoto) -> str:
    faces = _name_better_faces(term, better, other)
    is_dark = max((face.dark - face.burnt for face in other.faces), default=0.0) > 0
    return {
        Term.EYES: "shows fewer closed eyes" if better.fault(Term.EYES) else "shows no closed eyes",
        Term.GAZE: "has more faces turned to the camera",
        Term.SHARPNESS: f"is sharper on {faces}",
        Term.NOISE: f"is less noisy on {faces}",
        Term.LIGHT: f"is {'brighter' if is_dark else 'less overexposed'} on {faces}",
        Term.EXPRESSION: f"has a better smile on {faces}",
        Term.CROP: "cuts no head" if better.fault(Term.CROP) == 0 else "cuts less off a head",
    }[term]


def _name_better_faces(term: Term, better: AlbumPhoto, other: AlbumPhoto) -> str:
    """Return the faces that have less of a fault: `the face`, `both faces`, `2 of 3 faces`."""
    total = len(better.faces)
    if total != len(other.faces):
        return "the faces"
    lead = sum(
        theirs.fault(term) - ours.fault(term) >= term.fine
        for ours, theirs in zip(better.faces, other.faces, strict=True)
    )
    if total == 1:
        return "the face"
    if lead == total:
        return "both faces" if total == 2 else f"all {total} faces"  # noqa: PLR2004 - a pair
    return f"{lead} of {total} faces"


def _widest(faces: Sequence[Face]) -> float:
    return max((face.box[2] for face in faces), default=0.0)


def _measure_face(
    face: Face, smile: Smile, eyes: Eyes, quality: FaceQuality, size: tuple[int, int]
) -> AlbumFace:
    turned_away = quality.turn > TURNED_AWAY_ABOVE
    closed = ((eyes.left_open is False) + (eyes.right_open is False)) / 2
    brightest = 1.0 if quality.brightest is None else quality.brightest
    return AlbumFace(
        closed_eyes=0 if turned_away else closed,
        turned_away=int(turned_away),
        blur_px=quality.blur_px or 0.0,
        grain=quality.grain or 0.0,
        dark=max(0.0, _LIT_FROM - brightest),
        burnt=_CLIPPED_WEIGHT * max(0.0, (quality.clipped or 0.0) - _CLIPPED_UP_TO),
        sadness=1.0 - smile.score,
        cut=_measure_cut(face, size),
    )


def _measure_cut(face: Face, size: tuple[int, int]) -> float:
    """Return the share of the head's height that is outside the photo, at crown or chin."""
    (right_x, right_y), (left_x, left_y), _, (first_x, first_y), (second_x, second_y) = (
        face.landmarks
    )
    eyes = (right_x + left_x) / 2, (right_y + left_y) / 2
    down = (first_x + second_x) / 2 - eyes[0], (first_y + second_y) / 2 - eyes[1]
    head = (_CHIN - _CROWN) * math.hypot(*down)
    ends = [(eyes[0] + reach * down[0], eyes[1] + reach * down[1]) for reach in (_CROWN, _CHIN)]
    beyond = max(max(-x, x - size[0], -y, y - size[1]) for x, y in ends)
    return max(0.0, beyond / head) if head else 0.0
