"""Check a document's photo: each check has a measured value, a limit, and what to do.

A value a little beyond its limit, or one that was not seen, is `unsure`: the measurements have
errors of their own, which docs/documents.md states.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from coloraide import Color

from smart_filter_shared.best_shot import MIN_FACE_SHARE
from smart_filter_shared.errors import DocumentRefused
from smart_filter_shared.recipe import DocumentPhoto, Require
from smart_filter_shared.results import Face, Frame, Head, Smile, Smiles
from smart_filter_wire.document_report import CheckVerdict, DocumentCheck, DocumentReport
from smart_filter_wire.findings import Eyes
from smart_filter_workers.measurements import measure_face
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import EncodedFile, Matte8, Srgb8, Srgba8
from smart_filter_workers.stages.composite.cleanup import is_covered
from smart_filter_workers.stages.composite.document.head_frame import (
    HeadSpan,
    compute_frame,
    measure_span,
)
from smart_filter_workers.stages.composite.framing import FramingSubject
from smart_filter_workers.stages.composite.printability import (
    BLURRED_ABOVE_PX,
    BURNT_ABOVE,
    DARK_BELOW,
    DIM_BELOW,
    GLARE_ABOVE,
    SOFT_ABOVE_PX,
)

PASS, FAIL, UNSURE, ASK = CheckVerdict
# Degrees that pass, and those from which they fail; between both the measurement may be wrong.
# ISO/IEC 19794-5, 7.2.2 asks for 8, 5 and 5 degrees. Chosen by the labels of benchmarks.documents.
ROLL, YAW, PITCH = (5.0, 8.0), (6.0, 15.0), (8.0, 18.0)
# Distance of the lips in distances of the eyes.
MOUTH_OPEN: Final = (0.05, 0.10)
# How much darker one half of the face may be, as a share of the lighter half's luma.
DARKER_HALF: Final = (0.15, 0.35)
# Pixels of the file for a pixel of the photo.
ENLARGED: Final = (1.0, 1.3)
# Steps at the borders of a JPEG's blocks, in steps elsewhere.
BLOCKS: Final = (1.3, 1.8)
# Differences of color in ΔE 2000: from the nearest allowed color, and within the background.
BACKGROUND_COLOR: Final = (4.0, 8.0)
BACKGROUND_SPREAD: Final = (2.0, 5.0)
_TOLERANCE_MM: Final = 0.05


@dataclass(frozen=True, slots=True)
class Taken:
    """A document's photo as it was taken and composed.

    photo_srgb: (h, w, 3) uint8; subject: the people in it; frame: where it is on the picture.
    picture: (H, W, 3) uint8, or (H, W, 4) with transparency; file: the same, encoded; None if it
    was not asked for.
    """

    photo_srgb: Srgb8
    subject: FramingSubject
    frame: Frame
    picture: Srgb8 | Srgba8
    file: EncodedFile | None


@dataclass(frozen=True, slots=True)
class Portrait:
    """The person of a document's photo: the one with the largest face of those who are kept.

    faces: of all who are kept.  span: None if the points of the face were not found.
    require: what the checks must say.
    """

    document: DocumentPhoto
    faces: Sequence[Face] = ()
    face: Face | None = None
    span: HeadSpan | None = None
    head: Head | None = None
    eyes: Eyes | None = None
    smile: Smile | None = None
    require: Require = Require.NONE

    def frame(self) -> Frame | None:
        """Return the placement of the photo; None if the head's place is not known."""
        return None if self.span is None else compute_frame(self.document, self.span)

    def check(self, taken: Taken, *, matte: Matte8 | None) -> DocumentReport:
        """Return the report on a picture.

        matte: (H, W) uint8, the people in the picture; None where it was not made.
        Raises DocumentRefused when a pass is required, and it is none.
        """
        checks = [
            _check_faces(self.faces),
            *_check_places(self, taken),
            *_check_pose(self),
            *_check_light(self.face, taken.photo_srgb),
            *_check_background(self.document, taken.picture[..., :3], matte),
            DocumentCheck(
                *("headwear", ASK, None, "none, but for religion or health"),
                "Look whether the head is bare.",
            ),
        ]
        if taken.file is not None and self.document.bytes is not None:
            checks.append(_check_bytes(len(taken.file.content), self.document.bytes))
        verdicts = {each.verdict for each in checks}
        verdict = next((worst for worst in (FAIL, UNSURE) if worst in verdicts), PASS)
        report = DocumentReport(self.document.name, self.document.title, verdict, tuple(checks))
        if self.require == Require.PASS:
            _require_pass(report)
        return report


def find_portrait(
    document: DocumentPhoto,
    faces: Sequence[Face],
    smiles: Smiles,
    *,
    matte: Matte8 | None,
    photo_width: int,
    require: Require,
) -> Portrait:
    """Return the person of a photo.  matte: (h, w) uint8 of those who are kept, None: all."""
    kept = {
        number: face
        for number, face in enumerate(faces)
        if matte is None or is_covered(face, matte, photo_width)
    }
    if not kept:
        return Portrait(document, require=require)
    number, face = max(kept.items(), key=lambda item: item[1].box[2])
    head = smiles.qualities[number].head if smiles.qualities else None
    return Portrait(
        document,
        tuple(kept.values()),
        face,
        span=None if head is None else measure_span(face, head, matte, photo_width),
        head=head,
        eyes=smiles.eyes[number],
        smile=smiles.smiles[number],
        require=require,
    )


def _require_pass(report: DocumentReport) -> None:
    """Raise DocumentRefused, with every reason, unless the report's verdict is `pass`."""
    if report.verdict == PASS:
        return
    reasons = [
        f"{each.name}: {each.measured or 'not seen'}, {each.limit} is asked; {each.remedy}"
        for each in report.checks
        if each.verdict in {FAIL, UNSURE}
    ]
    raise DocumentRefused(f"{report.title}: {' '.join(reasons)}")


def _grade(value: float, limits: tuple[float, float]) -> CheckVerdict:
    """Return the verdict on a value that should not exceed the first limit."""
    return PASS if value <= limits[0] else UNSURE if value <= limits[1] else FAIL


def _make(
    name: str, verdict: CheckVerdict, measured: str | None, limit: str, remedy: str
) -> DocumentCheck:
    return DocumentCheck(name, verdict, measured, limit, None if verdict == PASS else remedy)


def _check_faces(faces: Sequence[Face]) -> DocumentCheck:
    widest = max((face.box[2] for face in faces), default=0.0)
    count = sum(face.box[2] >= MIN_FACE_SHARE * widest for face in faces)
    remedy = "Be alone in the photo." if count else "Face the camera, with nothing before the face."
    return _make("one_face", PASS if count == 1 else FAIL, str(count), "1", remedy)


def _check_places(seen: Portrait, taken: Taken) -> Iterator[DocumentCheck]:
    """Yield the checks of the head's size and place on the picture."""
    document, span, frame, placed = seen.document, seen.span, taken.frame, taken.subject
    if span is None:
        yield _make("head_height", UNSURE, None, _span(document.head), "Face the camera.")
        return
    per_mm = frame.height / document.size[1]
    top, chin, eyes, hair = (
        frame.place((0, row))[1] / per_mm
        for row in (span.top(document), span.chin, span.eyes, span.hair)
    )
    for name, value, limits in (
        ("head_height", chin - top, document.head),
        ("eye_line", document.size[1] - eyes, document.eyes),
        ("room_above", top, document.above),
    ):
        if limits is not None:
            is_within = limits[0] - _TOLERANCE_MM <= value <= limits[1] + _TOLERANCE_MM
            verdict, remedy = PASS if is_within else FAIL, "Take the photo with more room around."
            yield _make(name, verdict, f"{value:.1f} mm", _span(limits), remedy)
    yield _make(
        "pixels",
        _grade(frame.scale, ENLARGED),
        f"enlarged {frame.scale:.2f} times",
        "not enlarged",
        "Use the camera's full resolution, or stand closer.",
    )
    left, top_reached, right, _ = placed.touches()
    start, _ = frame.place((0, 0))
    end, bottom = frame.place((placed.photo.right, placed.photo.bottom))
    is_cut = top_reached or hair < 0
    yield _make(
        "head_inside",
        FAIL if is_cut else PASS,
        "cut" if is_cut else "whole",
        "whole",
        "Leave room above the hair.",
    )
    missing = [
        side
        for side, lacks in (
            ("left", left and start > 0),
            ("right", right and end < frame.width),
            ("below", bottom < frame.height - 1),
        )
        if lacks
    ]
    yield _make(
        "shoulders_inside",
        FAIL if missing else PASS,
        f"the photo ends {', '.join(missing)}" if missing else "whole",
        "whole",
        "Stand farther away, so that both shoulders and the chest are in the photo.",
    )


def _check_pose(seen: Portrait) -> Iterator[DocumentCheck]:
    """Yield the checks of the head's turn, the eyes and the mouth."""
    head = seen.head
    for name, limits, remedy in (
        ("roll", ROLL, "Hold the head upright."),
        ("yaw", YAW, "Look straight ahead, not aside."),
        ("pitch", PITCH, "Hold the chin neither up nor down; the camera belongs at eye level."),
    ):
        degrees = None if head is None else abs(float(getattr(head, name)))
        verdict = UNSURE if degrees is None else _grade(degrees, limits)
        measured = None if degrees is None else f"{degrees:.0f}°"
        yield _make(name, verdict, measured, f"at most {limits[0]:.0f}°", remedy)
    states = () if seen.eyes is None else (seen.eyes.left_open, seen.eyes.right_open)
    if False in states:
        eyes = _make("eyes", FAIL, "closed", "open", "Open both eyes.")
    elif states == (True, True):
        eyes = _make("eyes", PASS, "open", "open", "")
    else:
        remedy = "Take off glasses, or turn the light so that they do not shine."
        eyes = _make("eyes", UNSURE, "not seen", "open", remedy)
    yield eyes
    if seen.document.neutral:
        yield _check_mouth(seen.smile, head)


def _check_mouth(smile: Smile | None, head: Head | None) -> DocumentCheck:
    limit, remedy = "closed, no smile", "Close the mouth, and do not smile."
    if smile is None or head is None:
        return _make("mouth", UNSURE, None, limit, remedy)
    by_level = {"none": PASS, "mild": UNSURE}.get(smile.level, FAIL)
    order = (PASS, UNSURE, FAIL)
    verdict = max(by_level, _grade(head.mouth_open, MOUTH_OPEN), key=order.index)
    opened = "open" if head.mouth_open > MOUTH_OPEN[0] else "closed"
    smiles = "no smile" if smile.level == "none" else f"{smile.level} smile"
    return _make("mouth", verdict, f"{opened}, {smiles}", limit, remedy)


def _check_light(face: Face | None, photo_srgb: Srgb8) -> Iterator[DocumentCheck]:
    """Yield the checks of light, exposure, sharpness and compression of the face."""
    measured = None if face is None else measure_face(photo_srgb, photo_srgb, face)
    if face is None or measured is None:
        return
    gray = _crop_gray(photo_srgb, face)
    middle = gray.shape[1] // 2
    halves = sorted((float(gray[:, :middle].mean()), float(gray[:, middle:].mean())))
    darker = 1 - halves[0] / max(1.0, halves[1])
    yield _make(
        "even_light",
        _grade(darker, DARKER_HALF),
        f"one half {darker:.0%} darker",
        f"at most {DARKER_HALF[0]:.0%}",
        "Light the face evenly from the front.",
    )
    levels = measured.levels
    is_dark, is_burnt = levels.brightest < DIM_BELOW, levels.bright > GLARE_ABOVE
    much = levels.brightest < DARK_BELOW or levels.bright > BURNT_ABOVE
    word = "dark" if is_dark else "burnt out in parts" if is_burnt else "well lit"
    yield _make(
        "exposure",
        (FAIL if much else UNSURE) if is_dark or is_burnt else PASS,
        word,
        "well lit",
        "Take the photo in more light, without a flash on the skin.",
    )
    blur = measured.blur_px
    limits = (SOFT_ABOVE_PX, BLURRED_ABOVE_PX)
    yield _make(
        "sharpness",
        UNSURE if blur is None else _grade(blur, limits),
        None if blur is None else f"edges {blur:.1f} px wide",
        f"at most {SOFT_ABOVE_PX:.1f} px",
        "Hold the camera still, and focus on the eyes.",
    )
    blocks = measure_blocks(gray)
    yield _make(
        "compression",
        _grade(blocks, BLOCKS),
        f"blocks {blocks:.2f}",
        f"at most {BLOCKS[0]:.1f}",
        "Send the camera's own file, not one from a messenger.",
    )


def measure_blocks(gray: np.ndarray) -> float:
    """Return the mean step across the borders of 8 × 8 blocks, in the mean step elsewhere.

    gray: (h, w) uint8 from a photo at its own size; the columns of the grid with the largest steps
    count, as a cropped photo's blocks may begin anywhere.
    """
    steps = [np.abs(np.diff(gray.astype(np.int16), axis=axis)) for axis in (0, 1)]
    means = []
    for axis, step in enumerate(steps):
        lines = step.mean(axis=1 - axis)
        phases = [float(lines[start::8].mean()) for start in range(8) if len(lines[start::8])]
        others = (sum(phases) - max(phases)) / max(1, len(phases) - 1)
        means.append(max(phases) / max(0.25, others))
    return min(means)


def _check_background(
    document: DocumentPhoto, picture: Srgb8, matte: Matte8 | None
) -> Iterator[DocumentCheck]:
    """Yield the checks of the background's color and evenness."""
    is_background = None if matte is None else cv2.dilate(matte, np.ones((9, 9), np.uint8)) == 0
    limit = f"plain, {' or '.join(document.backgrounds)}"
    remedy = f"Leave `background` out, and {document.backgrounds[0]} is drawn."
    if is_background is None or not is_background.any():
        yield _make("background", UNSURE, None, limit, remedy)
        return
    pixels = picture[is_background]
    color = Color("srgb", [float(value) / 255 for value in np.median(pixels, axis=0)])
    away = min(color.delta_e(allowed, method="2000") for allowed in document.backgrounds)
    lab = cv2.cvtColor(pixels[np.newaxis], cv2.COLOR_RGB2LAB)[0].astype(np.float32)
    spread = float(lab.std(axis=0).max()) * 100 / 255
    order = (PASS, UNSURE, FAIL)
    verdict = max(
        _grade(away, BACKGROUND_COLOR), _grade(spread, BACKGROUND_SPREAD), key=order.index
    )
    yield _make(
        "background", verdict, f"{color.to_string(hex=True)}, spread {spread:.1f}", limit, remedy
    )


def _check_bytes(size: int, limits: tuple[int, int]) -> DocumentCheck:
    verdict = PASS if limits[0] <= size <= limits[1] else FAIL
    limit = f"{limits[0]:,} to {limits[1]:,} bytes"
    return _make("file_size", verdict, f"{size:,} bytes", limit, "Set `quality` or `max_bytes`.")


def _crop_gray(photo_srgb: Srgb8, face: Face) -> np.ndarray:
    """Return the face's box of the photo as luma, (h, w) uint8, at the photo's own size."""
    x, y, width, height = face.box
    rows = slice(max(0, int(y)), max(1, int(y + height)))
    columns = slice(max(0, int(x)), max(1, int(x + width)))
    return np.asarray(cv2.cvtColor(photo_srgb[rows, columns], cv2.COLOR_RGB2GRAY), np.uint8)


def _span(limits: tuple[float, float]) -> str:
    return f"{limits[0]:g} to {limits[1]:g} mm"
