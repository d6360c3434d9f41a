"""How a picture prints, and whether it suits the document that it is for.

Values only: workers measure and judge, the API returns the values unchanged. Persons are numbered
like the faces of a job: 1 is the leftmost.
"""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How well an image suits printing in one respect."""

    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


@dataclass(frozen=True, slots=True)
class FacePrint:
    """The measurements of one face of the image.

    blur_px: width of its edges, as the standard deviation of a Gaussian, in pixels of the face
        scaled to at most 160 px wide; None for a face that is too small.
    brightness: mean luma, 0 black to 1 white.  noise: in levels of 255, at the same scale.
    blinks: both eyes closed, or one closed and the other not seen; None when no eye is seen.
    turned_away: whether the head is turned too far to look into the camera.
    counts: whether the verdicts use this face: it is not far smaller than the largest one.
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
    """The sharpness of the faces.  blur_px: of the most blurred face that counts."""

    verdict: Verdict
    text: str
    blur_px: float


@dataclass(frozen=True, slots=True)
class Exposure:
    """The exposure of the faces; without faces, of the photo.

    brightness: mean luma of the faces.  brightest: the luma that a twentieth of the pixels of the
        darkest face exceeds.  Both 0 to 1; of the photo when there is no face.
    faces_dark, faces_bright: the largest share of black, and of burnt-out, pixels of any face;
        None without faces.  photo_dark, photo_bright: these shares of the photo.
    faces_clipped: the largest share of pixels with clipped red, green or blue of any face.
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
    """The visible noise.

    sigma: standard deviation in levels of 255, on faces scaled to at most 160 px wide; when no face
    is 64 px wide, on the photo scaled to at most 1024 px wide or high.
    """

    verdict: Verdict
    text: str
    sigma: float


@dataclass(frozen=True, slots=True)
class HeadRoom:
    """The space above the topmost head.  share: of the image's height."""

    verdict: Verdict
    text: str
    share: float


@dataclass(frozen=True, slots=True)
class Looks:
    """The persons who do not look into the camera, by number."""

    verdict: Verdict
    text: str
    blinking: tuple[int, ...]
    one_eye_closed: tuple[int, ...]
    turned_away: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Print:
    """The largest good print at one resolution.

    dpi: dots per inch.  width, height in inches and centimeters.  paper: the largest common paper
    size that it fills, in centimeters, such as `10×15`, or `A4`; None when it fills none.
    """

    dpi: int
    width_cm: float
    height_cm: float
    width_in: float
    height_in: float
    paper: str | None


@dataclass(frozen=True, slots=True)
class PrintSize:
    """The largest good prints of the image.

    width, height: pixels of the final image that come from the photo; enlarging adds none, and
        neither does a background beyond the photo.
    detail: share of these pixels a side that the image's edges need, above 0 to 1; `prints` are of
        the whole image, as fine as that share.
    """

    verdict: Verdict
    text: str
    width: int
    height: int
    prints: tuple[Print, ...]
    detail: float = 1.0


@dataclass(frozen=True, slots=True)
class Printability:
    """The printability of an image.

    verdict: the worst of its parts.  reasons: the texts of the parts that are not good, the worst
    first.  sharpness, head_room and looks are None when no face is in the image.
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


class CheckVerdict(StrEnum):
    """The verdict of a check.

    UNSURE: the measurement is too rough, or what it needs is not seen.  ASK: a person must look,
    as no measurement answers it; it does not count.
    """

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    UNSURE = "unsure"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class DocumentCheck:
    """One thing that the document asks of its photo.

    measured: None for what was not seen.  limit: what is allowed, in the same unit.
    remedy: what to do about it; None when it passes.
    """

    name: str
    verdict: CheckVerdict
    measured: str | None
    limit: str
    remedy: str | None


@dataclass(frozen=True, slots=True)
class DocumentReport:
    """What was checked for a document.

    verdict: `fail` when a check fails, else `unsure` when one is unsure.
    """

    document: str
    title: str
    verdict: CheckVerdict
    checks: tuple[DocumentCheck, ...]
