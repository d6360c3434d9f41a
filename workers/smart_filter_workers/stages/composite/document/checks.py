"""Check a document's photo: each check has a measured value, a limit, and what to do.

A value a little beyond its limit, or one that was not seen, is `unsure`: the measurements have
errors of their own, which docs/documents.md states.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.best_shot import MIN_FACE_SHARE
from smart_filter_shared.errors import DocumentRefused
from smart_filter_shared.recipe import DocumentPhoto, Require
from smart_filter_shared.recipe.declaration import MAX_BYTES_UPPER_BOUND
from smart_filter_shared.recipe.framing import TOUCHES_WITHIN
from smart_filter_shared.results import Face, Frame, Head, Smile, Smiles
from smart_filter_wire.findings import Eyes
from smart_filter_wire.printability import CheckVerdict, DocumentCheck, DocumentReport
from smart_filter_workers.measurements import (
    FACE_PX,
    measure_blocks,
    measure_crispness,
    measure_face,
)
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import SEEN_LEVEL, Bytes, EncodedFile, Matte8, Srgb8, Srgba8
from smart_filter_workers.stages.composite.cleanup import is_covered
from smart_filter_workers.stages.composite.document import head_frame
from smart_filter_workers.stages.composite.document.skin import Skin, measure_skin
from smart_filter_workers.stages.composite.printability import verdicts

PASS, FAIL, UNSURE, ASK = CheckVerdict
# Of values that should be small: what passes, what fails beyond, and their words; between both the
# measurement may be wrong. Chosen by the labels of benchmarks.documents.
# mouth: from lip to lip, in distances of the eyes.  sharpness: in pixels of the file, as what is
# soft in a small photo is softer when enlarged.  detail: how many times less than in a face of
# CRISP.  compression: steps at the borders of a JPEG's blocks, beyond those elsewhere.
LIMITS: Final = {
    "roll": (6.0, 10.0, "{:.1f}°"),
    "yaw": (10.0, 20.0, "{:.1f}°"),
    "pitch": (12.0, 20.0, "{:.1f}°"),
    "even_light": (0.28, 0.65, "{:.0%} darker in a part"),
    "sharpness": (2.5, 4.5, "{:.1f} px wide edges"),
    "detail": (1.0, 1.5, "{:.1f} times softer than a sharp photo"),
    "compression": (0.42, 1.0, "{:.0%} blocks"),
}
MOUTH_OPEN: Final = (0.035, 0.08)
# Pixels of the file for a pixel of the photo.
ENLARGED: Final = (1.01, 1.3)
# The same of a HeadSpan: what the photo's upper border cuts, straight parts, what the mask lacks.
HEAD_LIMITS: Final = {"cut": (0.0, 0.25), "straight": (0.23, 0.34), "missing": (0.02, 0.1)}
# The share of a shoulder's outline that is in one column.
UPRIGHT: Final = 0.5
# Error of a skull's height, as a share of it, for nine of ten heads of benchmarks.documents.
HEAD_ERROR: Final = 0.031
# Mean luma of the face, from which it may be too dark.
DARK_FACE: Final = 0.25
# The fine detail of a sharp face by its coarse one: of 53 training portraits two have less, and of
# the same enlarged twice before, nine of ten.
CRISP: Final = 0.17
_LEAST_DETAIL_PX: Final = 48
# Differences of color in ΔE 2000: from the nearest allowed color, and within the background.
BACKGROUND_COLOR: Final = (4.0, 8.0)
BACKGROUND_SPREAD: Final = (2.0, 5.0)
# Mean of red, green and blue's range in a face, in levels, of a photo in black and white.
GRAY_FACE: Final = 4.0
# A smaller face shows nothing to measure; its enlarging fails.
_LEAST_FACE_PX: Final = 16
_TOLERANCE_MM: Final = 0.05
_FACE_THE_CAMERA: Final = "Face the camera, with nothing before the face."
# A person sees where the skull is under the hair.
_HIDDEN_CROWN: Final = "Measure in the print from the {} to the skull's top under the hair: {}."
# What to do about each check that does not pass.
_REMEDIES: Final = {
    **dict.fromkeys(("head_height", "eye_line", "room_above"), "Measure it in the print."),
    "head_width": "Measure the head in the print.",
    "glasses": "Look whether there are none.",
    "pixels": "Use the camera's full resolution, or stand closer.",
    "head_inside": "Send the whole head, with room above the hair; flatten high hair.",
    "shoulders_inside": "Stand farther away, so that both shoulders are in the photo.",
    "roll": "Hold the head upright.",
    "yaw": "Look straight ahead, not aside.",
    "pitch": "Hold the chin neither up nor down; the camera belongs at eye level.",
    "eyes": "Open both, and take off glasses, or turn the light so that they do not shine.",
    "mouth": "Close the mouth, do not smile, and leave nothing before it.",
    "even_light": "Light the face evenly from the front.",
    "exposure": "Take the photo in more light, without a flash on the skin.",
    "sharpness": "Hold the camera still, and focus on the eyes.",
    "detail": "Send the camera's own file, neither enlarged, smoothed nor of a screen.",
    "compression": "Send the camera's own file, not one from a messenger.",
    "color": "Take the photo in color, in daylight, with nothing before the face.",
    "outline": "Look whether it is the person's, with nothing left of the background.",
    "headwear": "Look whether the head is bare.",
    "file_size": "Leave `max_bytes` and `format` out.",
}


@dataclass(frozen=True, slots=True)
class Portrait:
    """The person of a document's photo: the one with the largest face of those who are kept.

    faces: of all who are kept; others: of further people, who may be meant.
    span: None if the points of the face were not found.
    doubt: what is in doubt about the outline, if anything.
    """

    document: DocumentPhoto
    faces: Sequence[Face] = ()
    others: Sequence[Face] = ()
    face: Face | None = None
    span: head_frame.HeadSpan | None = None
    head: Head | None = None
    eyes: Eyes | None = None
    smile: Smile | None = None
    doubt: str = ""

    def frame(self) -> Frame | None:
        """Return the placement of the photo; None if the head's place is not known."""
        return None if self.span is None else head_frame.compute_frame(self.document, self.span)

    def check(
        self,
        picture: Srgb8 | Srgba8,
        file: EncodedFile | None,
        *,
        photo_srgb: Srgb8,
        frame: Frame,
        matte: Matte8 | None,
        require: Require,
    ) -> DocumentReport:
        """Return the report on a picture.

        picture: (H, W, 3) uint8, or (H, W, 4) with transparency; file: the same, if asked for.
        photo_srgb: (h, w, 3) uint8; frame: where it is on the picture.
        matte: (H, W) uint8, the people in the picture; None where it was not made.
        require: what the checks must say.
        Raises DocumentRefused when a pass is required, and it is none.
        """
        skin = None if self.face is None else measure_skin(photo_srgb, self.face)
        checks = [
            _check_faces(self.faces, self.others),
            *_check_places(self, frame),
            *_check_shoulders(self.span, frame, photo_srgb, matte),
            *_check_pose(self, skin),
            *_check_light(self, skin, photo_srgb, frame),
            *_ask(self.document),
        ]
        if self.span is not None:
            checks += _check_background(self.document, picture, matte)
            checks += _check_file(self.document, file)
        verdict = _worst(*(each.verdict for each in checks))
        report = DocumentReport(self.document.name, self.document.title, verdict, tuple(checks))
        if require == Require.PASS and verdict != PASS:
            names = ", ".join(each.name for each in checks if each.verdict in {FAIL, UNSURE})
            raise DocumentRefused(f"{report.title}: these checks do not pass: {names}", report)
        return report


def find_portrait(
    document: DocumentPhoto,
    faces: Sequence[Face],
    smiles: Smiles,
    *,
    matte: Matte8 | None,
    doubt: str,
    proxy_srgb: Srgb8,
    photo_width: int,
) -> Portrait:
    """Return the person of a photo.

    matte: (h, w) uint8 of those who are kept, None: all.  doubt: as in Portrait.
    proxy_srgb: (h, w, 3) uint8, the photo.
    """
    kept = {
        number: face
        for number, face in enumerate(faces)
        if matte is None or is_covered(face, matte, photo_width)
    }
    if not kept:
        return Portrait(document)
    number, face = max(kept.items(), key=lambda item: item[1].box[2])
    head = smiles.qualities[number].head if smiles.qualities else None
    return Portrait(
        document,
        tuple(kept.values()),
        others=tuple(
            other
            for index, other in enumerate(faces)
            if index not in kept and other.box[2] >= MIN_FACE_SHARE * face.box[2]
        ),
        face=face,
        span=None
        if head is None
        else head_frame.measure_span(face, head, matte, photo_width, proxy_srgb=proxy_srgb),
        head=head,
        eyes=smiles.eyes[number],
        smile=smiles.smiles[number],
        doubt=doubt,
    )


def _grade(value: float | None, limits: tuple[float, float]) -> CheckVerdict:
    """Return the verdict on a value that should not exceed the first limit; None was not seen."""
    value = limits[1] if value is None else value
    return PASS if value <= limits[0] else UNSURE if value <= limits[1] else FAIL


def _worst(*verdicts: CheckVerdict) -> CheckVerdict:
    """Return the worst verdict; what a person must answer does not count."""
    return max(verdicts, key=(ASK, PASS, UNSURE, FAIL).index)


def _make(
    name: str, verdict: CheckVerdict, measured: str | None, limit: str, remedy: str | None = None
) -> DocumentCheck:
    remedy = remedy or _REMEDIES[name]
    return DocumentCheck(name, verdict, measured, limit, None if verdict == PASS else remedy)


def _measure(name: str, value: float | None) -> DocumentCheck:
    least, most, words = LIMITS[name]
    measured = None if value is None else words.format(value)
    return _make(name, _grade(value, (least, most)), measured, f"at most {words.format(least)}")


def _check_faces(faces: Sequence[Face], others: Sequence[Face]) -> DocumentCheck:
    widest = max((face.box[2] for face in faces), default=0.0)
    count = sum(face.box[2] >= MIN_FACE_SHARE * widest for face in faces)
    remedy = "Be alone in the photo." if count else _FACE_THE_CAMERA
    verdict = FAIL if count != 1 else UNSURE if others else PASS
    measured = f"{count} of {count + len(others)}: which person?" if others else str(count)
    return _make("one_face", verdict, measured, "1", remedy)


def _check_places(seen: Portrait, frame: Frame) -> Iterator[DocumentCheck]:
    """Yield the checks of the head's size and place on the picture."""
    document, span = seen.document, seen.span
    if span is None:
        yield _make("head_height", FAIL, "no head to place", _span(document.head), _FACE_THE_CAMERA)
        return
    per_mm = frame.height / document.size[1]
    top, chin, eyes, hair = (
        frame.place((0, row))[1] / per_mm
        for row in (span.top(document), span.chin, span.eyes, span.hair)
    )
    is_hidden = not document.hair and span.thickness > head_frame.HIDDEN_FROM
    error = 0.0 if document.hair else HEAD_ERROR * (chin - top)
    for name, value, limits in (
        ("head_height", chin - top, document.head),
        ("eye_line", document.size[1] - eyes, document.eyes),
        ("room_above", top, document.above),
    ):
        if limits is None:
            continue
        less = 0.0 if name == "eye_line" else error
        inside = min(value - limits[0], limits[1] - value) + _TOLERANCE_MM
        verdict = FAIL if inside + less < 0 else UNSURE if inside < less else PASS
        measured, remedy = f"{value:.1f} mm" + (f" ± {less:.1f}" if less else ""), None
        if is_hidden and name != "eye_line" and verdict != FAIL:
            verdict, measured = ASK, f"{measured} by proportion, the hair hides the crown"
            start = "chin" if name == "head_height" else "upper border"
            remedy = _HIDDEN_CROWN.format(start, _span(limits))
        yield _make(name, verdict, measured, _span(limits), remedy)
    if document.width is not None and seen.face is not None:
        wide = seen.face.box[2] * frame.scale / per_mm
        verdict = PASS if document.width[0] <= wide <= document.width[1] else UNSURE
        yield _make("head_width", verdict, f"{wide:.1f} mm", _span(document.width))
    verdict = _grade(frame.scale, ENLARGED)
    enlarged = f"enlarged {frame.scale:.2f} times" if frame.scale > 1 else "not enlarged"
    yield _make("pixels", verdict, enlarged, "not enlarged")
    verdict = _worst(
        FAIL if hair < 0 else UNSURE if span.thickness < head_frame.CUT_BELOW else PASS,
        *(_grade(getattr(span, name), limits) for name, limits in HEAD_LIMITS.items()),
    )
    head_is = {PASS: "whole", UNSURE: "near the border, straight or incomplete"}.get(verdict, "cut")
    yield _make("head_inside", verdict, head_is, "whole")
    if seen.doubt:
        yield _make("outline", UNSURE, seen.doubt, "the person's, unchanged")


def _check_shoulders(
    span: head_frame.HeadSpan | None, frame: Frame, photo_srgb: Srgb8, matte: Matte8 | None
) -> Iterator[DocumentCheck]:
    """Yield the check whether the person goes on where the photo ends within the picture.

    matte: (H, W) uint8, the person in the picture.
    """
    if span is None or matte is None:
        return
    body, (height, width) = matte > SEEN_LEVEL, photo_srgb.shape[:2]
    (left, chin), (right, bottom) = frame.place((0, span.chin)), frame.place((width, height))
    near = 2 + round(2 * TOUCHES_WITHIN * frame.width)
    below = body[max(0, min(frame.height - 2, round(chin))) :]
    lacks = {
        "left": left > 0 and body[:, : round(left) + near].any(),
        "right": right < frame.width and body[:, max(0, round(right) - near) :].any(),
        "below": bottom < frame.height - 1 or not body[-1].any(),
    }
    missing = ", ".join(side for side, is_missing in lacks.items() if is_missing)
    verdict, measured = (FAIL, f"the photo ends {missing}") if missing else (PASS, "whole")
    for side in (below.argmax(axis=1), below[:, ::-1].argmax(axis=1)):
        inside = side[below.any(axis=1) & (side > 0)]
        if inside.size and np.bincount(inside).max() > UPRIGHT * len(below):
            verdict, measured = _worst(verdict, UNSURE), "the outline is a straight line"
    yield _make("shoulders_inside", verdict, measured, "whole")


def _check_pose(seen: Portrait, skin: Skin | None) -> Iterator[DocumentCheck]:
    """Yield the checks of the head's turn, the eyes and the mouth."""
    head = seen.head
    for name in ("roll", "yaw", "pitch"):
        yield _measure(name, None if head is None else abs(getattr(head, name)))
    states = () if seen.eyes is None else (seen.eyes.left_open, seen.eyes.right_open)
    verdict, measured = UNSURE, "not seen"
    if False in states:
        verdict, measured = FAIL, "closed"
    elif states == (True, True) and skin is not None and not skin.hides_eyes:
        verdict, measured = PASS, "open"
    yield _make("eyes", verdict, measured, "open")
    is_hidden, smile = skin is not None and skin.hides_mouth, seen.smile
    verdict, measured = UNSURE, "not seen"
    if head is not None and smile is not None and not is_hidden:
        opened = _grade(head.mouth_open, MOUTH_OPEN)
        verdict = _worst(opened, {"none": PASS, "mild": UNSURE}.get(smile.level, FAIL))
        measured = f"{'closed' if opened == PASS else 'open'}, smile: {smile.level}"
    if seen.document.neutral or is_hidden:
        yield _make("mouth", verdict, measured, "closed, no smile")


def _check_light(
    seen: Portrait, of_skin: Skin | None, photo_srgb: Srgb8, frame: Frame
) -> Iterator[DocumentCheck]:
    """Yield the checks of light, exposure, sharpness, compression and color of the face."""
    face = seen.face
    measured = None if face is None else measure_face(photo_srgb, photo_srgb, face)
    if face is None or measured is None or of_skin is None:
        return
    x, y, width, height = (max(0, int(side)) for side in face.box)
    skin = photo_srgb[y : y + height + 1, x : x + width + 1]
    gray = np.asarray(cv2.cvtColor(skin, cv2.COLOR_RGB2GRAY), np.uint8)
    if min(gray.shape) < _LEAST_FACE_PX:
        return
    yield _measure("even_light", of_skin.darker)
    levels = measured.levels
    is_dark = levels.brightest < verdicts.DIM_BELOW or levels.brightness < DARK_FACE
    is_burnt = levels.bright > verdicts.GLARE_ABOVE
    much = levels.brightest < verdicts.DARK_BELOW or levels.bright > verdicts.BURNT_ABOVE
    word = "dark" if is_dark else "burnt out in parts" if is_burnt else "well lit"
    verdict = FAIL if much else UNSURE if is_dark or is_burnt else PASS
    yield _make("exposure", verdict, word, "well lit")
    enlarged = frame.scale * max(1.0, face.box[2] / FACE_PX)
    edges = None if measured.blur_px is None else measured.blur_px * enlarged
    yield _measure("sharpness", edges)
    yield _measure("detail", _measure_softness(gray, frame.scale))
    yield _measure("compression", measure_blocks(gray))
    if not seen.document.gray and float(np.ptp(skin, axis=2).mean()) < GRAY_FACE:
        yield _make("color", FAIL, "black and white", "in color")
    if of_skin.is_tinted:
        yield _make("color", UNSURE, "the cheeks have no skin's color", "in color")


def _measure_softness(gray: Bytes, scale: float) -> float:
    """Return how much less fine detail a face has than one in a sharp photo.

    gray: (h, w) uint8; scale: of the file.  A photo that was enlarged
    twice or more lacks detail also at half its size, where noise and blocks do not hide it.
    """
    # Shrinking by halves keeps the detail, others blur it.
    scale, least = 2.0 ** min(0, round(math.log2(scale))), math.inf
    scale = max(scale, 1 / min(gray.shape))
    while math.isinf(least) or scale * min(gray.shape) >= _LEAST_DETAIL_PX:
        face = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        least, scale = min(least, measure_crispness(np.asarray(face, np.uint8))), scale / 2
    return CRISP / max(least, CRISP / 10)


def _ask(document: DocumentPhoto) -> Iterator[DocumentCheck]:
    """Yield the checks that only a person can make."""
    yield _make("headwear", ASK, "not measured", "none but for religion or health")
    if not document.glasses:
        yield _make("glasses", ASK, "not measured", "none")


def _check_background(
    document: DocumentPhoto, picture: Srgb8 | Srgba8, matte: Matte8 | None
) -> Iterator[DocumentCheck]:
    """Yield the checks of the background's color and evenness."""
    is_background = None if matte is None else cv2.dilate(matte, np.ones((9, 9), np.uint8)) == 0
    limit = f"plain, {' or '.join(document.backgrounds)}"
    remedy = f"Leave `background` out, and {document.backgrounds[0]} is drawn."
    is_clear = picture.shape[2:] == (4,)
    if is_clear or is_background is None or not is_background.any():
        verdict, measured = (FAIL, "transparent") if is_clear else (UNSURE, None)
        yield _make("background", verdict, measured, limit, remedy)
        return
    pixels = picture[is_background]
    from coloraide import Color  # noqa: PLC0415 - takes 0.1 s and 6 MB, and few jobs need it

    color = Color("srgb", [float(value) / 255 for value in np.median(pixels, axis=0)])
    away = min(color.delta_e(allowed, method="2000") for allowed in document.backgrounds)
    lab = cv2.cvtColor(pixels[np.newaxis], cv2.COLOR_RGB2LAB)[0].astype(np.float32)
    spread = float(lab.std(axis=0).max()) * 100 / 255
    verdict = _worst(_grade(away, BACKGROUND_COLOR), _grade(spread, BACKGROUND_SPREAD))
    measured = f"{color.to_string(hex=True)}, spread {spread:.1f}"
    yield _make("background", verdict, measured, limit, remedy)


def _check_file(document: DocumentPhoto, file: EncodedFile | None) -> Iterator[DocumentCheck]:
    """Yield the check of the file's pixels and bytes, which a limit of bytes may reduce."""
    if file is None:
        return
    (low, high), (_, most) = document.heights, document.bytes or (0, MAX_BYTES_UPPER_BOUND)
    size = len(file.content)
    least = document.least_bytes(file.width, file.height)
    verdict = PASS if low <= file.height <= high and least <= size <= most else FAIL
    limit = f"{low} to {high} px" + (f", {least:,} to {most:,} bytes" if document.bytes else "")
    remedy = None if size >= least or file.height < low else "Send a larger photo with more detail."
    yield _make("file_size", verdict, f"{file.height} px high, {size:,} bytes", limit, remedy)


def _span(limits: tuple[float, float]) -> str:
    return f"{limits[0]:g} to {limits[1]:g} mm"
