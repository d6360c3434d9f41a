"""From what was measured to what is said: a verdict and one sentence a part.

The limits were chosen on faces of web photos, blurred, brightened, darkened and made noisy by
known amounts: docs/measurements.md has what they lead to.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from smart_filter_shared.printability import (
    Exposure,
    FacePrint,
    HeadRoom,
    Looks,
    Noise,
    Printability,
    PrintSize,
    Sharpness,
    Verdict,
)
from smart_filter_workers.stages.composite.printability.levels import Levels

# Pixels of a face of at most 160: half of 682 faces of web photos are below 1.1, one in
# twenty-five is above 1.8, and one in a hundred above 2.5: those are blurred to the eye.
SOFT_ABOVE_PX, BLURRED_ABOVE_PX = 1.8, 2.5
# Highlights of a face, whatever its skin: three in a hundred are below, one in two hundred.
DIM_BELOW, DARK_BELOW = 0.45, 0.32
# Shares of a face that are burnt out.
GLARE_ABOVE, BURNT_ABOVE = 0.06, 0.3
# Shares of which one colour is cut off: a twentieth of web portraits is above the first; half of
# them are above the second at twice the levels, which a luma of less than white does not tell.
PALE_SKIN_ABOVE, FLAT_SKIN_ABOVE = 0.25, 0.6
# A photo without faces whose mean luma is above is all but white.
PALE_ABOVE: Final = 0.9
GRAIN_ABOVE, NOISY_ABOVE = 4.0, 9.0
# Of the nose's way aside against the distance of the eyes: from about 40 degrees on. Three
# quarters to the camera is a portrait.
TURNED_AWAY_ABOVE: Final = 0.45
# Shares of the picture's height.
CUT_BELOW, EMPTY_ABOVE = 0.01, 0.4
# A picture in which so many blink is not worth a print.
BLINKING_POOR_FROM: Final = 0.5
_ORDER: Final = (Verdict.POOR, Verdict.FAIR, Verdict.GOOD)


def together(
    *,
    size: PrintSize,
    exposure: Exposure,
    noise: Noise,
    sharpness: Sharpness | None,
    head_room: HeadRoom | None,
    looks: Looks | None,
    faces: tuple[FacePrint, ...],
) -> Printability:
    """Put the parts together: the worst verdict stands for all."""
    parts = [part for part in (looks, sharpness, exposure, noise, head_room, size) if part]
    parts.sort(key=lambda part: _ORDER.index(part.verdict))
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


def sharpness(faces: Sequence[FacePrint]) -> Sharpness | None:
    """Judge the most blurred face; None when none is large enough."""
    blurs = {face.person: face.blur_px for face in faces if face.blur_px is not None}
    if not blurs:
        return None
    worst = max(blurs.values())
    blurred = [person for person, blur in blurs.items() if blur > BLURRED_ABOVE_PX]
    soft = [person for person, blur in blurs.items() if blur > SOFT_ABOVE_PX]
    if blurred:
        text = f"{_whose_face(blurred, faces)} blurred."
        return Sharpness(Verdict.POOR, text, worst)
    if soft:
        return Sharpness(Verdict.FAIR, f"{_whose_face(soft, faces)} a little soft.", worst)
    return Sharpness(Verdict.GOOD, f"{_whose_face(list(blurs), faces)} sharp.", worst)


def exposure(faces: Mapping[int, Levels], *, photo: Levels) -> Exposure:
    """Judge how the faces, by person, are lit; without any, the photo."""
    lit = list(faces.values()) or [photo]
    verdict, text = _lit(faces) if faces else _photo_lit(photo)
    return Exposure(
        verdict,
        text,
        brightness=round(sum(one.brightness for one in lit) / len(lit), 3),
        brightest=round(min(one.brightest for one in lit), 3),
        faces_dark=round(max(one.dark for one in lit), 3) if faces else None,
        faces_bright=round(max(one.bright for one in lit), 3) if faces else None,
        photo_dark=round(photo.dark, 3),
        photo_bright=round(photo.bright, 3),
        faces_clipped=round(max(one.clipped for one in lit), 3) if faces else None,
    )


def noise(sigma: float) -> Noise:
    """Judge noise by its standard deviation in levels of 255."""
    if sigma > NOISY_ABOVE:
        return Noise(Verdict.POOR, "It is very noisy.", round(sigma, 2))
    if sigma > GRAIN_ABOVE:
        return Noise(Verdict.FAIR, "Some noise shows.", round(sigma, 2))
    return Noise(Verdict.GOOD, "Hardly any noise shows.", round(sigma, 2))


def head_room(share: float) -> HeadRoom:
    """Judge how far the topmost head is from the upper edge, a share of the height."""
    rounded = round(share, 3)
    if share < CUT_BELOW:
        return HeadRoom(Verdict.FAIR, "A head touches the upper edge.", rounded)
    if share > EMPTY_ABOVE:
        empty = f"The upper {share:.0%} of the picture are empty: crop it closer."
        return HeadRoom(Verdict.FAIR, empty, rounded)
    return HeadRoom(Verdict.GOOD, f"Above the heads {share:.0%} of the height are free.", rounded)


def looks(faces: Sequence[FacePrint]) -> Looks | None:
    """Judge who blinks or looks away; None without faces."""
    if not faces:
        return None
    turned = tuple(face.person for face in faces if face.turned_away)
    # Of who looks away eyes are seldom seen well, and nobody minds them.
    ahead = [face for face in faces if not face.turned_away]
    blinking = tuple(face.person for face in ahead if face.blinks)
    winking = tuple(face.person for face in ahead if face.one_eye_closed)
    told = [
        f"{_who(persons, faces)} {one if len(persons) in (1, len(faces)) else many}"
        for persons, one, many in (
            (blinking, "blinks", "blink"),
            (winking, "has one eye closed", "have one eye closed"),
            (turned, "looks away", "look away"),
        )
        if persons
    ]
    if not told:
        text = "Nobody blinks or looks away."
        return Looks(Verdict.GOOD, text, blinking, winking, turned)
    is_poor = len(blinking) >= BLINKING_POOR_FROM * len(faces)
    verdict = Verdict.POOR if is_poor else Verdict.FAIR
    text = ", ".join(told)
    return Looks(verdict, f"{text[0].upper()}{text[1:]}.", blinking, winking, turned)


def _lit(faces: Mapping[int, Levels]) -> tuple[Verdict, str]:
    everybody = list(faces)
    for verdict, darkest, burnt, clipped, dark_word, bright_word in (
        (Verdict.POOR, DARK_BELOW, BURNT_ABOVE, FLAT_SKIN_ABOVE, "far too dark", "burnt out"),
        (Verdict.FAIR, DIM_BELOW, GLARE_ABOVE, PALE_SKIN_ABOVE, "rather dark", "partly burnt out"),
    ):
        dark = [person for person, one in faces.items() if one.brightest < darkest]
        bright = [
            person for person, one in faces.items() if one.bright > burnt or one.clipped > clipped
        ]
        if dark or bright:
            told = [
                f"{_whose_face(persons, everybody)} {word}"
                for persons, word in ((dark, dark_word), (bright, bright_word))
                if persons
            ]
            text = ", ".join(told)
            return verdict, f"{text}."
    return Verdict.GOOD, f"{_whose_face(everybody, everybody)} well lit."


def _photo_lit(photo: Levels) -> tuple[Verdict, str]:
    if photo.brightest < DARK_BELOW:
        return Verdict.POOR, "The photo is far too dark."
    if photo.brightest < DIM_BELOW:
        return Verdict.FAIR, "The photo is rather dark."
    if photo.brightness > PALE_ABOVE:
        return Verdict.FAIR, "The photo is very bright."
    return Verdict.GOOD, "The photo is well lit."


def _whose_face(persons: Sequence[int], among: Collection[object]) -> str:
    """Return whose face, and the verb: `The face is`, `The faces are`, `Person 2's face is`."""
    if len(among) == 1:
        return "The face is"
    if len(persons) == len(among):
        return "The faces are"
    if len(persons) == 1:
        return f"Person {persons[0]}'s face is"
    return f"The faces of {_who(persons, among)} are"


def _who(persons: Sequence[int], among: Collection[object]) -> str:
    if len(among) == 1:
        return "the person"
    if len(persons) == len(among):
        return "everybody"
    if len(persons) == 1:
        return f"person {persons[0]}"
    return f"persons {', '.join(map(str, persons[:-1]))} and {persons[-1]}"
