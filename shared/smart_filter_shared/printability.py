"""How well a picture prints: what is measured, and what a person would say about it.

Values only; workers measure and judge, the API answers them as they are. Persons are numbered
as the faces of a job: 1 is the leftmost.
"""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What somebody who prints pictures would say."""

    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


@dataclass(frozen=True, slots=True)
class FacePrint:
    """What was measured on one face of the picture.

    blur_px: how wide its edges are, as the standard deviation of a Gaussian, in pixels of the
        face shown at most 160 px wide; None for a face that is too small.
    brightness: mean luma, 0 black to 1 white.  noise: in levels of 255, where blur_px is taken.
    blinks: both eyes closed, or one and the other not seen; None when no eye is seen.
    turned_away: whether the head is turned too far to look into the camera.
    counts: whether the verdicts rest on it: it is not far smaller than the largest one.
    """

    person: int
    blur_px: float | None
    brightness: float
    noise: float | None
    blinks: bool | None
    one_eye_closed: bool
    turned_away: bool
    counts: bool


@dataclass(frozen=True, slots=True)
class Sharpness:
    """How sharp the faces are; blur_px: of the most blurred one that counts."""

    verdict: Verdict
    text: str
    blur_px: float


@dataclass(frozen=True, slots=True)
class Exposure:
    """How the faces are lit; without faces, the photo.

    brightness: mean luma of the faces; brightest: the luma that a twentieth of their pixels
        exceeds, of the darkest face. Both 0 to 1; of the photo when there is no face.
    faces_dark, faces_bright: the share of their pixels that is black or burnt out, of the face
        that has most of it; None without faces.  photo_dark, photo_bright: that of the photo.
    faces_clipped: the share of which red, green or blue is cut off, of the face that has most.
    """

    verdict: Verdict
    text: str
    brightness: float
    brightest: float
    faces_dark: float | None
    faces_bright: float | None
    photo_dark: float
    photo_bright: float
    faces_clipped: float | None = None


@dataclass(frozen=True, slots=True)
class Noise:
    """How much noise shows.

    sigma: its standard deviation in levels of 255, on faces at most 160 px wide, or, when none is
    64 px wide, on the photo at most 1024 px wide or high.
    """

    verdict: Verdict
    text: str
    sigma: float


@dataclass(frozen=True, slots=True)
class HeadRoom:
    """How far the topmost head is from the upper edge; share: of the picture's height."""

    verdict: Verdict
    text: str
    share: float


@dataclass(frozen=True, slots=True)
class Looks:
    """Who does not look into the camera; persons by number."""

    verdict: Verdict
    text: str
    blinking: tuple[int, ...]
    one_eye_closed: tuple[int, ...]
    turned_away: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Print:
    """How large the picture may be printed at so many dots per inch.

    width, height in inches and centimetres; paper: the largest usual size, in centimetres,
    that it fills, such as `10×15`, or `A4`; None when it fills none.
    """

    dpi: int
    width_cm: float
    height_cm: float
    width_in: float
    height_in: float
    paper: str | None


@dataclass(frozen=True, slots=True)
class PrintSize:
    """How large the picture may be printed.

    width, height: the pixels of the final picture that are the photo's own: enlarging adds none.
    detail: how much of them a side its edges need, above 0 to 1; prints are of so many.
    """

    verdict: Verdict
    text: str
    width: int
    height: int
    prints: tuple[Print, ...]
    detail: float = 1.0


@dataclass(frozen=True, slots=True)
class Printability:
    """How well a picture prints.

    verdict: the worst of its parts.  reasons: what they say that is not good, the worst first.
    sharpness, head_room and looks are None when no face is in the picture.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    size: PrintSize
    exposure: Exposure
    noise: Noise
    sharpness: Sharpness | None
    head_room: HeadRoom | None
    looks: Looks | None
    faces: tuple[FacePrint, ...]
