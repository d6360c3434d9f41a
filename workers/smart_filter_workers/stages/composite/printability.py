"""Assess how well a picture prints: its faces, its light, its crop, its size, its detail.

A photo that was enlarged or is out of focus has more pixels than detail. Print sizes follow the
detail.

Turn measurements into verdicts, with one sentence for each part; sizes of paper.

The limits were chosen on faces of web photos, blurred, brightened, darkened and made noisy by known
amounts; docs/measurements.md has the results.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.best_shot import MIN_FACE_SHARE, TURNED_AWAY_ABOVE
from smart_filter_shared.results import Face, Frame
from smart_filter_wire.findings import Eyes
from smart_filter_wire.printability import (
    Exposure,
    FacePrint,
    HeadRoom,
    Looks,
    Noise,
    Print,
    Printability,
    PrintSize,
    Sharpness,
    Verdict,
)
from smart_filter_workers.measurements import (
    FaceMeasurements,
    Levels,
    measure_blur,
    measure_face,
    measure_levels,
    measure_noise,
    measure_turn,
)
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import HALF_LEVEL, Floats, Matte8, Srgb8
from smart_filter_workers.stages.composite.cleanup import is_covered

# Height of the hair above a face's box, as a share of the box's height, used without a matte.
HAIR_HEIGHT: Final = 0.25
# A row belongs to a head that covers more than this share of its face's width. By the hair of 28
# training portraits, marked by hand: of 2 to 20 %, the share with the least errors.
HEAD_FROM: Final = 0.15
PHOTO_NOISE_BLOCK_PX: Final = 16

TILE_PX: Final = 128
# Smaller tiles have too few edges.
MIN_TILE_PX: Final = 24
# Number of tiles with the strongest edges, and the rank used: noise makes one or two look sharper
# than they are.
TILES, RANK = 6, 2
# A small picture is enough to find those tiles.
OVERVIEW_PX: Final = 512
# Blur of edges in sharp web photos, and the blur added per enlargement: photos enlarged by 3, 4 and
# 6 have blurs of 1.5, 2.0 and 2.9, which this line reproduces.
SHARPEST_PX, PER_ENLARGEMENT_PX = 0.55, 0.4
# Edges half again as wide as necessary are invisible at arm's length, and lenses are no better.
TOLERATED_BLUR_RATIO: Final = 1.5

# Pixels of a face at most 160 wide: half of 682 faces of web photos are below 1.1, one in
# twenty-five is above 1.8, and one in a hundred above 2.5. The last ones look blurred.
SOFT_ABOVE_PX, BLURRED_ABOVE_PX = 1.8, 2.5
# Highlights of a face, for any skin: three in a hundred are below the first, one in two hundred
# below the second.
DIM_BELOW, DARK_BELOW = 0.45, 0.32
# Shares of a face that are burnt out.
GLARE_ABOVE, BURNT_ABOVE = 0.06, 0.3
# Shares of pixels with one clipped color: a twentieth of web portraits is above the first; half of
# them are above the second at twice the levels, which luma below white does not show.
PALE_SKIN_ABOVE, FLAT_SKIN_ABOVE = 0.25, 0.6
# A photo without faces and with a mean luma above this is almost white.
PALE_ABOVE: Final = 0.9
GRAIN_ABOVE, NOISY_ABOVE = 4.0, 9.0
# Shares of the picture's height: less room above the heads is a cut, more is empty.
CUT_BELOW, EMPTY_ABOVE = 0.01, 0.4
# A picture in which this share of the people blinks is not worth a print.
BLINKING_POOR_FROM: Final = 0.5
_WORST_FIRST: Final = (Verdict.POOR, Verdict.FAIR, Verdict.GOOD)

CM_PER_INCH: Final = 2.54
# Printers' practice: 300 dots per inch look sharp in the hand, 200 at arm's length.
FINE_DPI, COARSE_DPI = 300, 200
# Common sizes, the smallest first: name, short and long side in centimeters.
PAPERS: Final = (
    ("9×13", 9, 13),
    ("10×15", 10, 15),
    ("13×18", 13, 18),
    ("15×20", 15, 20),
    ("20×30", 20, 30),
    ("A4", 21, 29.7),
    ("30×40", 30, 40),
    ("30×45", 30, 45),
    ("40×60", 40, 60),
    ("50×75", 50, 75),
)
SMALLEST_PAPER: Final = PAPERS[0][0]
# The usual size of a print in an album: smaller ones at FINE_DPI are fair.
ALBUM_PAPER: Final = "10×15"
# Share of a picture's pixels along a side: with less real detail, its edges are called soft.
SOFT_BELOW: Final = 0.9


@dataclass(frozen=True, slots=True)
class _VisibleFace:
    """A face of the picture: its number, the face, its eyes, and its measurements."""

    person: int
    face: Face
    eyes: Eyes
    figures: FaceMeasurements


def assess(
    photo_srgb: Srgb8,
    *,
    proxy_srgb: Srgb8,
    matte: Matte8 | None,
    faces: Sequence[Face],
    eyes: Sequence[Eyes],
    frame: Frame,
) -> Printability:
    """Return how well the picture prints.

    photo_srgb: (H, W, 3) uint8; proxy_srgb: (h, w, 3) uint8, the same photo, no larger.
    matte: (m, n) uint8 of the persons who are kept, of any size; None when all are.
    faces, eyes: in the same order, from left to right. Faces of persons who are left out or not in
    the picture are skipped, and keep their numbers.
    frame: placement of the photo in the picture.
    """
    shown = _visible_faces(faces, matte=matte, photo_width=photo_srgb.shape[1], frame=frame)
    seen = [
        _VisibleFace(person, face, eyes[person - 1], visible)
        for person, face in shown.items()
        if (visible := measure_face(photo_srgb, proxy_srgb, face)) is not None
    ]
    measured = _face_prints(seen)
    counting = [face for face in measured if face.counts]
    counted = {face.person for face in counting}
    figures = {visible.person: visible.figures for visible in seen if visible.person in counted}
    head_room = _head_room(seen, matte, photo_srgb.shape[1], frame)
    gray = np.asarray(cv2.cvtColor(proxy_srgb, cv2.COLOR_RGB2GRAY), np.uint8)
    noises = [
        face_figures.noise for face_figures in figures.values() if face_figures.noise is not None
    ]
    noise = (
        float(np.median(noises)) if noises else measure_noise(gray, block_px=PHOTO_NOISE_BLOCK_PX)
    )
    enlarged = max(1.0, frame.scale)
    left, top = frame.place((0, 0))
    right, bottom = frame.place((photo_srgb.shape[1], photo_srgb.shape[0]))
    photo_width = min(right, frame.width) - max(left, 0)
    photo_height = min(bottom, frame.height) - max(top, 0)
    detail = measure_detail(photo_srgb, gray, Region(frame, matte))
    size = judge_size(
        round(frame.width / enlarged),
        round(frame.height / enlarged),
        photo=(round(photo_width / enlarged), round(photo_height / enlarged)),
        picture=(frame.width, frame.height),
        detail=detail,
    )
    paper = next((print_.paper for print_ in size.prints if print_.paper is not None), None)
    return combine(
        size=size,
        exposure=judge_exposure(
            {person: face_figures.levels for person, face_figures in figures.items()},
            photo=measure_levels(gray),
        ),
        noise=judge_noise(noise),
        sharpness=judge_sharpness(counting, paper=None if paper is None else format_paper(paper)),
        head_room=None if head_room is None else judge_head_room(head_room),
        looks=judge_eyes(counting),
        faces=tuple(measured),
    )


def _visible_faces(
    faces: Sequence[Face], *, matte: Matte8 | None, photo_width: int, frame: Frame
) -> dict[int, Face]:
    """Return the faces of kept persons that are in the picture, by the person's number."""
    return {
        person: face
        for person, face in enumerate(faces, start=1)
        if _is_visible(face, frame) and (matte is None or is_covered(face, matte, photo_width))
    }


def _is_visible(face: Face, frame: Frame) -> bool:
    """Return whether the middle of a face is in the picture."""
    x, y, width, height = face.box
    across, down = frame.place((x + width / 2, y + height / 2))
    return 0 <= across < frame.width and 0 <= down < frame.height


def _face_prints(seen: Sequence[_VisibleFace]) -> list[FacePrint]:
    widest = max((visible.face.box[2] for visible in seen), default=0.0)
    return [
        FacePrint(
            person=visible.person,
            blur_px=_round(visible.figures.blur_px),
            brightness=round(visible.figures.levels.brightness, 3),
            noise=_round(visible.figures.noise),
            blinks=_is_blinking(visible.eyes),
            one_eye_closed={visible.eyes.left_open, visible.eyes.right_open} == {True, False},
            turned_away=measure_turn(visible.face) > TURNED_AWAY_ABOVE,
            counts=visible.face.box[2] >= MIN_FACE_SHARE * widest,
        )
        for visible in seen
    ]


def _is_blinking(eyes: Eyes) -> bool | None:
    states = {eyes.left_open, eyes.right_open}
    if states == {None}:
        return None
    return True not in states


def _head_room(
    seen: Sequence[_VisibleFace], matte: Matte8 | None, photo_width: int, frame: Frame
) -> float | None:
    """Return the distance of the topmost head from the upper edge, as a share of the height."""
    if not seen:
        return None
    top = min(find_head_top(visible.face, matte, photo_width) for visible in seen)
    return min(1.0, max(0.0, frame.place((0, top))[1] / frame.height))


def find_head_top(face: Face, matte: Matte8 | None, photo_width: int) -> float:
    """Return the row of the photo where a head begins: the top of the matte above its face.

    Single hairs and stray pixels are narrower than a head.
    """
    x, y, width, height = face.box
    if matte is None:
        return max(0.0, y - HAIR_HEIGHT * height)
    scale = matte.shape[1] / photo_width
    columns = slice(max(0, int(x * scale)), max(1, int((x + width) * scale) + 1))
    middle = max(1, int((y + height / 2) * scale))
    covered = (matte[:middle, columns] > HALF_LEVEL).mean(axis=1)
    above = np.flatnonzero(covered <= HEAD_FROM)
    return float(above[-1] + 1) / scale if above.size else 0.0


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


@dataclass(frozen=True, slots=True)
class Region:
    """The region of a photo to measure: within a frame, and on people if there is a matte."""

    frame: Frame
    matte: Matte8 | None


def measure_detail(photo_srgb: Srgb8, proxy_gray: NDArray[np.uint8], region: Region) -> float:
    """Return the share of the pixels along a side that the edges resolve, above 0 to 1.

    photo_srgb: (H, W, 3) uint8; proxy_gray: (h, w) uint8, its luma, no larger.
    """
    blurs = sorted(
        measure_blur(tile, noise=measure_noise(tile))
        for tile in _tiles(photo_srgb, proxy_gray, region)
    )
    if not blurs:
        return 1.0
    # Shrinking a photo makes it sharper.
    blur = blurs[min(RANK, len(blurs) - 1)] * min(1.0, region.frame.scale)
    enlargement = (blur - SHARPEST_PX) / PER_ENLARGEMENT_PX
    return min(1.0, TOLERATED_BLUR_RATIO / max(enlargement, TOLERATED_BLUR_RATIO))


def _tiles(
    photo_srgb: Srgb8, proxy_gray: NDArray[np.uint8], region: Region
) -> list[NDArray[np.uint8]]:
    """Return the luma of the tiles with the strongest edges, (t, t) uint8 each."""
    step = -(-max(proxy_gray.shape) // OVERVIEW_PX)
    overview = np.ascontiguousarray(proxy_gray[::step, ::step])
    scale = overview.shape[1] / photo_srgb.shape[1]
    side = max(4, round(TILE_PX * scale))
    down, across = overview.shape[0] // side, overview.shape[1] // side
    if not down or not across:
        cells = [(0, 0)]
    else:
        strength = _strength(overview[: down * side, : across * side], across, down)
        strength[~_select_cells(region, overview.shape, side, scale)] = -1
        order = np.argsort(strength, axis=None)[::-1][:TILES]
        cells = [divmod(int(at), across) for at in order if strength.ravel()[at] >= 0]
    tiles = []
    for row, column in cells:
        top, left = round(row * side / scale), round(column * side / scale)
        tile = photo_srgb[top : top + TILE_PX, left : left + TILE_PX]
        if min(tile.shape[:2]) >= MIN_TILE_PX:
            tiles.append(np.asarray(cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY), np.uint8))
    return tiles


def _strength(gray: NDArray[np.uint8], across: int, down: int) -> Floats:
    """Return the strength of each cell's edges in the direction with weaker ones."""
    slopes = (cv2.Sobel(gray, cv2.CV_32F, 1 - axis, axis, ksize=1) for axis in (0, 1))
    means = [
        cv2.resize(cv2.multiply(slope, slope), (across, down), interpolation=cv2.INTER_AREA)
        for slope in slopes
    ]
    return np.minimum(*means).reshape(down, across).astype(np.float32)


def _select_cells(
    region: Region, shape: tuple[int, ...], side: int, scale: float
) -> NDArray[np.bool_]:
    """Return the cells, (down, across), on people in the frame; all in the frame if too few."""
    down, across = shape[0] // side, shape[1] // side
    frame = region.frame
    rows, columns = ((np.arange(count) + 0.5) * side / scale for count in (down, across))
    xs, ys = frame.left + frame.scale * columns, frame.top + frame.scale * rows
    inside = ((ys >= 0) & (ys < frame.height))[:, None] & ((xs >= 0) & (xs < frame.width))
    if region.matte is not None:
        height, width = region.matte.shape
        covered = region.matte[
            : max(1, round(height * down * side / shape[0])),
            : max(1, round(width * across * side / shape[1])),
        ]
        means = cv2.resize(covered, (across, down), interpolation=cv2.INTER_AREA)
        on_people = inside & (means.reshape(down, across) > HALF_LEVEL)
        if np.count_nonzero(on_people) > RANK:
            return on_people
    return inside


def combine(
    *,
    size: PrintSize,
    exposure: Exposure,
    noise: Noise,
    sharpness: Sharpness | None,
    head_room: HeadRoom | None,
    looks: Looks | None,
    faces: tuple[FacePrint, ...],
) -> Printability:
    """Return the parts together with the worst of their verdicts."""
    parts = [part for part in (looks, sharpness, exposure, noise, head_room, size) if part]
    parts.sort(key=lambda part: _WORST_FIRST.index(part.verdict))
    return Printability(
        verdict=parts[0].verdict,
        reasons=tuple(part.text for part in parts if part.verdict != Verdict.GOOD),
        size=size,
        exposure=exposure,
        noise=noise,
        sharpness=sharpness,
        head_room=head_room,
        looks=looks,
        faces=faces,
    )


def judge_sharpness(faces: Sequence[FacePrint], *, paper: str | None) -> Sharpness | None:
    """Return the verdict on the most blurred face; None when none is large enough.

    paper: the largest paper that the picture prints well on, with its unit.
    """
    blurs = {face.person: face.blur_px for face in faces if face.blur_px is not None}
    if not blurs:
        return None
    worst = max(blurs.values())
    blurred = [person for person, blur in blurs.items() if blur > BLURRED_ABOVE_PX]
    soft = [person for person, blur in blurs.items() if blur > SOFT_ABOVE_PX]
    if blurred:
        text = f"{_name_faces(blurred, faces)} blurred."
        return Sharpness(Verdict.POOR, text, worst)
    if soft:
        up_to = "" if paper is None else f"; fine up to {paper}"
        return Sharpness(Verdict.FAIR, f"{_name_faces(soft, faces)} a little soft{up_to}.", worst)
    return Sharpness(Verdict.GOOD, f"{_name_faces(list(blurs), faces)} sharp.", worst)


def judge_exposure(faces: Mapping[int, Levels], *, photo: Levels) -> Exposure:
    """Return the verdict on the light of the faces, by person; without any, of the photo."""
    lit = list(faces.values()) or [photo]
    verdict, text = _judge_faces(faces) if faces else _judge_photo(photo)
    return Exposure(
        verdict,
        text,
        brightness=round(sum(levels.brightness for levels in lit) / len(lit), 3),
        brightest=round(min(levels.brightest for levels in lit), 3),
        faces_dark=round(max(levels.dark for levels in lit), 3) if faces else None,
        faces_bright=round(max(levels.bright for levels in lit), 3) if faces else None,
        photo_dark=round(photo.dark, 3),
        photo_bright=round(photo.bright, 3),
        faces_clipped=round(max(levels.clipped for levels in lit), 3) if faces else None,
    )


def judge_noise(sigma: float) -> Noise:
    """Return the verdict on noise by its standard deviation in levels of 255."""
    if sigma > NOISY_ABOVE:
        return Noise(Verdict.POOR, "It is very noisy.", round(sigma, 2))
    if sigma > GRAIN_ABOVE:
        return Noise(Verdict.FAIR, "Some noise shows.", round(sigma, 2))
    return Noise(Verdict.GOOD, "Hardly any noise shows.", round(sigma, 2))


def judge_head_room(share: float) -> HeadRoom:
    """Return the verdict on the room above the topmost head, a share of the height."""
    rounded = round(share, 3)
    if share < CUT_BELOW:
        return HeadRoom(Verdict.FAIR, "A head touches the upper edge.", rounded)
    if share > EMPTY_ABOVE:
        empty = f"The upper {share:.0%} of the picture is empty: crop it closer."
        return HeadRoom(Verdict.FAIR, empty, rounded)
    return HeadRoom(Verdict.GOOD, f"Above the heads {share:.0%} of the height is free.", rounded)


def judge_eyes(faces: Sequence[FacePrint]) -> Looks | None:
    """Return the verdict on blinking and averted faces; None without faces."""
    if not faces:
        return None
    turned = tuple(face.person for face in faces if face.turned_away)
    # The eyes of a person who looks away are seldom clearly visible, and do not matter.
    ahead = [face for face in faces if not face.turned_away]
    blinking = tuple(face.person for face in ahead if face.blinks)
    winking = tuple(face.person for face in ahead if face.one_eye_closed)
    findings = [
        f"{_name_persons(persons, faces)} {single if len(persons) in (1, len(faces)) else many}"
        for persons, single, many in (
            (blinking, "blinks", "blink"),
            (winking, "has one eye closed", "have one eye closed"),
            (turned, "looks away", "look away"),
        )
        if persons
    ]
    if not findings:
        text = "No one blinks or looks away."
        return Looks(Verdict.GOOD, text, blinking, winking, turned)
    is_poor = len(blinking) >= BLINKING_POOR_FROM * len(faces)
    verdict = Verdict.POOR if is_poor else Verdict.FAIR
    text = ", ".join(findings)
    return Looks(verdict, f"{text[0].upper()}{text[1:]}.", blinking, winking, turned)


def _judge_faces(faces: Mapping[int, Levels]) -> tuple[Verdict, str]:
    all_persons = list(faces)
    for verdict, darkest, burnt, clipped, dark_word, bright_word in (
        (Verdict.POOR, DARK_BELOW, BURNT_ABOVE, FLAT_SKIN_ABOVE, "far too dark", "burnt out"),
        (Verdict.FAIR, DIM_BELOW, GLARE_ABOVE, PALE_SKIN_ABOVE, "rather dark", "partly burnt out"),
    ):
        dark = [person for person, levels in faces.items() if levels.brightest < darkest]
        bright = [
            person
            for person, levels in faces.items()
            if levels.bright > burnt or levels.clipped > clipped
        ]
        if dark or bright:
            findings = [
                f"{_name_faces(persons, all_persons)} {word}"
                for persons, word in ((dark, dark_word), (bright, bright_word))
                if persons
            ]
            text = ", ".join(findings)
            return verdict, f"{text}."
    return Verdict.GOOD, f"{_name_faces(all_persons, all_persons)} well lit."


def _judge_photo(photo: Levels) -> tuple[Verdict, str]:
    if photo.brightest < DARK_BELOW:
        return Verdict.POOR, "The photo is far too dark."
    if photo.brightest < DIM_BELOW:
        return Verdict.FAIR, "The photo is rather dark."
    if photo.brightness > PALE_ABOVE:
        return Verdict.FAIR, "The photo is very bright."
    return Verdict.GOOD, "The photo is well lit."


def _name_faces(persons: Sequence[int], among: Collection[object]) -> str:
    """Return the faces and the verb: `The face is`, `All faces are`, `Person 2's face is`."""
    if len(among) == 1:
        return "The face is"
    if len(persons) == len(among):
        return "Both faces are" if len(among) == 2 else "All faces are"  # noqa: PLR2004 - both
    if len(persons) == 1:
        return f"Person {persons[0]}'s face is"
    return f"The faces of {_name_persons(persons, among)} are"


def _name_persons(persons: Sequence[int], among: Collection[object]) -> str:
    if len(among) == 1:
        return "the person"
    if len(persons) == len(among):
        return "everyone"
    if len(persons) == 1:
        return f"person {persons[0]}"
    return f"persons {', '.join(map(str, persons[:-1]))} and {persons[-1]}"


def judge_size(
    width: int,
    height: int,
    *,
    photo: tuple[int, int] | None = None,
    picture: tuple[int, int] | None = None,
    detail: float = 1.0,
) -> PrintSize:
    """Return how large a picture of this many pixels, none of them enlarged, may be printed.

    photo: the part of the pixels that shows the photo, width and height; None: all.  A background
        beyond the photo makes the print larger, but no finer.
    picture: width and height of the picture's file, which may be enlarged; None: not.
    detail: share of the pixels along a side that its edges resolve, above 0 to 1.
    """
    photo = photo or (width, height)
    resolved = round(detail * width), round(detail * height)
    fine, coarse = (_print(*resolved, dpi) for dpi in (FINE_DPI, COARSE_DPI))
    is_large_enough = _print(width, height, COARSE_DPI).paper is not None
    verdict, text = _judge(photo, detail, fine, coarse, is_large_enough=is_large_enough)
    picture = picture or (width, height)
    if photo != picture:
        given = _format_pixels(photo)
        text += f" It has {_format_pixels(picture)} pixels; the photo gives {given}."
    return PrintSize(verdict, text, *photo, (fine, coarse), detail=round(detail, 2))


def _print(width: int, height: int, dpi: int) -> Print:
    short, long = sorted((width, height))
    filled = [
        name
        for name, paper_short, paper_long in PAPERS
        if short >= _px(paper_short, dpi) and long >= _px(paper_long, dpi)
    ]
    return Print(
        dpi=dpi,
        width_cm=round(width / dpi * CM_PER_INCH, 1),
        height_cm=round(height / dpi * CM_PER_INCH, 1),
        width_in=round(width / dpi, 1),
        height_in=round(height / dpi, 1),
        paper=filled[-1] if filled else None,
    )


def _px(centimeters: float, dpi: int) -> int:
    return round(centimeters / CM_PER_INCH * dpi)


def _judge(
    pixels: tuple[int, int], detail: float, fine: Print, coarse: Print, *, is_large_enough: bool
) -> tuple[Verdict, str]:
    """Return the verdict and its text; is_large_enough: whether sharp pixels would suffice."""
    shown = round(detail * pixels[0]), round(detail * pixels[1])
    # Ignore a small loss of detail.
    is_soft = shown[0] < SOFT_BELOW * pixels[0]
    too_soft = f", as its edges are soft for {_format_pixels(pixels)} pixels" if is_soft else ""
    if coarse.paper is None:
        few = f"too few for a print of {format_paper(SMALLEST_PAPER)}"
        if is_large_enough:
            soft = (
                f"{_format_pixels(pixels)} pixels show no more than {_format_pixels(shown)} would"
            )
            return Verdict.POOR, f"Its edges are soft: its {soft}, {few}."
        return Verdict.POOR, f"{_format_pixels(pixels)} pixels are {few}."
    if fine.paper is None:
        larger = "larger ones look soft"
        up_to = f"{format_paper(coarse.paper)} at {COARSE_DPI} dpi"
        return Verdict.FAIR, f"It prints up to {up_to}; {larger}{too_soft}."
    names = [name for name, *_ in PAPERS]
    verdict = Verdict.GOOD if names.index(fine.paper) >= names.index(ALBUM_PAPER) else Verdict.FAIR
    up_to = f"{format_paper(fine.paper)} at {FINE_DPI} dpi"
    up_to_coarse = f"{format_paper(coarse.paper)} at {COARSE_DPI} dpi"
    return verdict, f"It prints up to {up_to}, {up_to_coarse}{too_soft}."


def _format_pixels(pixels: tuple[int, int]) -> str:
    return f"{pixels[0]} × {pixels[1]}"


def format_paper(paper: str) -> str:
    """Return a paper's name with its unit, such as `10×15 cm` or `A4`."""
    return f"{paper} cm" if "×" in paper else paper
