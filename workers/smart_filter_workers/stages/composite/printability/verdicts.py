"""Turn measurements into verdicts, with one sentence for each part; sizes of paper.

The limits were chosen on faces of web photos, blurred, brightened, darkened and made noisy by known
amounts; docs/measurements.md has the results.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

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
from smart_filter_workers.measurements import Levels

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
