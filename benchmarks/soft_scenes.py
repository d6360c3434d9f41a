"""Draw photos of hair, fur, skin and cloth whose coverage is soft and exactly known.

A person's solid part gets thousands of curved strands, half a pixel to three pixels wide. All is
drawn four times as large and averaged in linear light, as light adds up behind a lens. The same
person before black and before white gives the coverage by difference. The photo is then blurred a
little by the lens, and gets a camera's noise and a JPEG's marks.

The solid part is a drawn bust, or a real person: the inner part of a labeled mask, with its own
colors. A real person is found and cut out by the real networks.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import edge_scenes
from benchmarks.edge_scenes import FINER, SHIFT, Points, oval
from smart_filter_shared.results import Face
from smart_filter_training.evaluation import dataset_files
from smart_filter_training.evaluation.tasks.segmentation import Example
from smart_filter_workers.networks.coordinates import scale_face
from smart_filter_workers.results import HALF_LEVEL, Floats, Matte8, Srgb8
from smart_filter_workers.stages.composite.models.layers import PeopleBox

Color = tuple[float, float, float]  # red, green, blue, 0..255

SCENES: Final = 48
WIDTHS: Final = (600, 840, 1200)
# Designs, and how far they are out of focus as a share of the width. The last three are drawn here.
BACKDROPS: Final = (
    ("living-room", 0.004), ("quiet-street", 0.006), ("leaves", 0.0), ("window-light", 0.0),
    ("park-morning", 0.008), ("white-bricks", 0.002), ("city-at-night", 0.01), ("library", 0.005),
    ("leaves-on-wall", 0.0), ("forest-shade", 0.006), ("linen", 0.0), ("loft", 0.004),
    ("quiet-beach", 0.004), ("paneled-room", 0.0), ("autumn-leaves", 0.003), ("concrete", 0.0),
    ("charcoal-tweed", 0.0), ("blinds-on-plaster", 0.0), ("pavement", 0.002), ("sky", 0.0),
    ("burlap", 0.003), ("bright windows", 0.004), ("like the hair", 0.003), ("like the cloth", 0.0),
)  # fmt: skip
SKINS: Final = ((206, 158, 132), (232, 190, 166), (150, 102, 78), (92, 62, 48))
HAIRS: Final = ((38, 28, 24), (206, 176, 122), (122, 58, 30), (84, 58, 40), (170, 168, 166))
CLOTHS: Final = ((34, 42, 74), (226, 218, 204), (178, 52, 60), (60, 60, 62), (120, 134, 96))
# A labeled outline is this far off, as a share of the root of the person's area.
ERODED_SHARE: Final = 0.02


# Up to these, sRGB levels and light are proportional. Source: IEC 61966-2-1.
LINEAR_LEVEL, LINEAR_LIGHT = 0.04045, 0.0031308
# Every nth scene, and the first: a coat of fur, short hair, and glasses with a hand.
FURRY, SHORT, WAVING = (3, 1), (4, 2), (6, 3)


@dataclass(frozen=True, slots=True)
class Strands:
    """A kind of hair.

    per_px: strands for each pixel of the outline, in a scene of 1000 pixels; length: mean, in
    widths of the head; lean: 0 along the outline, 1 away from it; curl: radians; fly: share of
    strands that stray far.
    """

    kind: str
    per_px: float
    length: float
    lean: float
    curl: float
    fly: float


SMOOTH, FLYAWAY, FUR = "smooth hair", "fly-away hair", "fur"
SOLID: Final = "skin and cloth"
HEADS: Final = (
    Strands(SMOOTH, 4.5, 0.14, 0.1, 0.2, 0.02),
    Strands(FLYAWAY, 4.5, 0.2, 0.45, 0.6, 0.12),
    Strands(SMOOTH, 5.0, 0.05, 0.6, 0.3, 0.01),  # short hair
    Strands(FLYAWAY, 5.0, 0.18, 0.8, 2.5, 0.06),  # curls
)
COAT: Final = Strands(FUR, 7.0, 0.08, 0.8, 0.5, 0.03)


@dataclass(frozen=True, slots=True)
class Body:
    """A person at FINER times the scene's size.

    solid: (H, W) uint8, 0 or 255; srgb: (H, W, 3) uint8, known beyond the solid part too.  face: in
    pixels of the scene.
    """

    solid: Matte8
    srgb: Srgb8
    face: Face


@dataclass(frozen=True, slots=True)
class SoftScene:
    """A photo and its truth.

    photo_srgb: (H, W, 3) uint8; coverage: (H, W) float32, 0..1; light: (H, W, 3) float32, 0..1,
    linear, the people's light times coverage.  parts: the kind of edge in each part of the photo.
    """

    name: str
    photo_srgb: Srgb8
    coverage: Floats
    light: Floats
    face: Face
    parts: Mapping[str, PeopleBox]

    @property
    def matte(self) -> Matte8:
        """The true coverage, (H, W) uint8."""
        return np.round(self.coverage * 255).astype(np.uint8)


def drawn_scenes() -> Iterator[SoftScene]:
    """Yield the scenes of drawn busts, the same each time."""
    for number in range(SCENES):
        yield draw_scene(number, width=WIDTHS[number % len(WIDTHS)])


def draw_scene(number: int, *, width: int) -> SoftScene:
    """Return one scene of a drawn bust; width: in pixels."""
    return _photograph(f"drawn {number}", _draw_bust(width, number), number)


def real_scenes(people: Iterable[tuple[Example, Face]]) -> Iterator[SoftScene]:
    """Yield scenes of real people; people: labeled photos, and the face in each."""
    for number, (example, face) in enumerate(people):
        photo = dataset_files.read_photo(example.photo).srgb
        mask = dataset_files.read_mask(example.mask, photo)
        width = WIDTHS[number % len(WIDTHS)]
        yield _photograph(example.name, _take_person(photo, mask, face, width), number)


def decode(srgb: Srgb8) -> Floats:
    """Return linear light, 0..1 float32, of sRGB levels. Source: IEC 61966-2-1."""
    return _LIGHT[srgb]


def encode(light: Floats) -> Srgb8:
    """Return the sRGB levels, uint8, of linear light, 0..1."""
    light = np.clip(light, 0, 1)
    curve = np.where(light <= LINEAR_LIGHT, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(curve * 255 + 0.5).astype(np.uint8)


_LEVELS: Final = np.arange(256) / 255
_LIGHT: Final = np.where(
    _LEVELS <= LINEAR_LEVEL, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4
).astype(np.float32)


def _photograph(name: str, body: Body, number: int) -> SoftScene:
    """Return the photo of a body with strands, before one of the backdrops."""
    random = np.random.default_rng(number)
    height, width = (side // FINER for side in body.solid.shape)
    head = HEADS[number % len(HEADS)]
    x, y, across, down = body.face.box
    chin = round(y + down)
    above = PeopleBox(max(0, round(x - 1.5 * across)), 0, min(width, round(x + 2.5 * across)), chin)
    below = PeopleBox(0, min(height - 1, chin + round(0.4 * down)), width, height)
    furry = _is_every(number, FURRY)
    # Both grow from the solid part: fur grows on no strand of hair.
    small = cv2.resize(body.solid, (width, height), interpolation=cv2.INTER_AREA)
    solid = np.asarray(small, np.uint8)
    hair, skin, cloth = (_face_color(body, down) for down in (-0.2, 0.5, 1.8))
    _grow(body, head, _find_roots(solid, above), (hair, skin), random)
    if furry:
        _grow(body, COAT, _find_roots(solid, below), (cloth, skin), random)
    light, coverage = _expose(body)
    sigma = random.uniform(0.5, 1.0) * (width / 840) ** 0.5
    light, coverage = (
        np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)
        for plane in (light, coverage)
    )
    if _is_every(number, WAVING):
        light, coverage = _wave(light, coverage, body.face, random)
    backdrop = decode(_draw_backdrop(body, width, height, number))
    photo = encode(light + (1 - coverage[..., np.newaxis]) * backdrop)
    ideal = SoftScene(
        name,
        body.srgb,
        coverage,
        light,
        body.face,
        {head.kind: above, FUR if furry else SOLID: below},
    )
    return replace(ideal, photo_srgb=_develop(photo, random))


def _is_every(number: int, some: tuple[int, int]) -> bool:
    every, first = some
    return number % every == first


def _expose(body: Body) -> tuple[Floats, Floats]:
    """Return light and coverage at the scene's size, by the difference before white and black."""
    size = (body.solid.shape[1] // FINER, body.solid.shape[0] // FINER)
    solid = body.solid[..., np.newaxis] > 0
    before_black, before_white = (
        cv2.resize(np.where(solid, decode(body.srgb), level), size, interpolation=cv2.INTER_AREA)
        for level in (np.float32(0), np.float32(1))
    )
    coverage = 1 - (before_white - before_black).mean(axis=2)
    return np.asarray(before_black, np.float32), np.asarray(np.clip(coverage, 0, 1), np.float32)


def _develop(srgb: Srgb8, random: np.random.Generator) -> Srgb8:
    """Return a photo with noise that is stronger in light and coarser than a pixel, as a JPEG."""
    levels = srgb.astype(np.float32)
    noise = random.normal(0, 1, srgb.shape).astype(np.float32)
    noise += 1.5 * cv2.GaussianBlur(random.normal(0, 1, srgb.shape).astype(np.float32), (0, 0), 1.2)
    levels += noise * (random.uniform(0.6, 2.0) * (0.6 + levels / 255))
    bgr = cv2.cvtColor(np.clip(levels + 0.5, 0, 255).astype(np.uint8), cv2.COLOR_RGB2BGR)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(84, 96))]
    decoded = cv2.imdecode(cv2.imencode(".jpg", bgr, quality)[1], cv2.IMREAD_COLOR_RGB)
    return np.asarray(decoded, np.uint8)


@dataclass(frozen=True, slots=True)
class Roots:
    """Where strands may begin.

    places: (n, 2), rows and columns; away: (n, 2) float32, x and y away from the solid part.
    outline_px: the length of the outline that they lie along; width: the scene's, in pixels.
    """

    places: NDArray[np.intp]
    away: Floats
    outline_px: float
    width: int


def _find_roots(solid: Matte8, part: PeopleBox) -> Roots:
    """Return the places along the outline of `solid`, (h, w) uint8, in a part of the scene."""
    width = solid.shape[1]
    depth = width / 120
    inside = cv2.distanceTransform(
        (solid > HALF_LEVEL).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5
    )
    soft = cv2.GaussianBlur(solid.astype(np.float32), (0, 0), width / 150)
    away = -np.stack([cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)], 2)
    steepness = np.linalg.norm(away, axis=2)
    fits = (inside > 0) & (inside < depth) & (steepness > 1)
    # The picture's border is no outline.
    edge = 3
    here = np.zeros_like(fits)
    here[
        max(part.top, edge) : part.bottom, max(part.left, edge) : min(part.right, width - edge)
    ] = True
    places = np.argwhere(fits & here)
    directions = away[fits & here] / steepness[fits & here][:, np.newaxis]
    return Roots(places, np.asarray(directions, np.float32), len(places) / depth, width)


def _grow(
    body: Body,
    strands: Strands,
    roots: Roots,
    colors: tuple[Color, Color],
    random: np.random.Generator,
) -> None:
    """Draw strands; colors: they grow where the first is nearer than the second."""
    if not len(roots.places):
        return
    width, head_px = roots.width, body.face.box[2] * FINER
    count = int(strands.per_px * roots.outline_px * (1000 / width) ** 0.5)
    chosen = random.integers(0, len(roots.places), count)
    away = roots.away[chosen]
    places = roots.places[chosen][:, ::-1] + random.uniform(0, 1, (count, 2))
    under = np.clip((places - away * width / 60) * FINER, 0, np.array(body.solid.shape[::-1]) - 1)
    color = body.srgb[under[:, 1].astype(int), under[:, 0].astype(int)].astype(np.float64)
    unlike = [np.abs(color - other).sum(axis=1) for other in colors]
    along = np.stack([-away[:, 1], away[:, 0]], axis=1)
    along *= np.where(along[:, 1:] < 0, -1, 1)  # hair hangs
    flies = random.uniform(size=count) < strands.fly
    lean = strands.lean + random.normal(0, strands.lean / 2, count) + 0.4 * flies
    heading = away * lean[:, np.newaxis] + along * (1 - np.minimum(lean, 1))[:, np.newaxis]
    turn = np.arctan2(heading[:, 1], heading[:, 0]) + random.normal(0, strands.lean / 2, count)
    reach = strands.length * head_px * random.gamma(2, 0.5, count) * np.where(flies, 1.8, 1)
    steps = np.linspace(0, 1, 20)
    phase = np.outer(random.uniform(3, 9, count), steps) + random.uniform(0, 6.3, (count, 1))
    bend = turn[:, np.newaxis] + (
        strands.curl * np.sin(phase) * steps + np.outer(random.normal(0, 0.5, count), steps)
    )
    path = np.stack([np.cos(bend), np.sin(bend)], axis=2) * reach[:, np.newaxis, np.newaxis]
    points = places[:, np.newaxis] * FINER + np.cumsum(path / len(steps), axis=1)
    shade = color * random.lognormal(0, 0.2, (count, 1)) + random.normal(0, 4, (count, 1))
    thick = np.clip(random.lognormal(-0.4, 0.5, count), 0.5, 3) * np.where(flies, 0.6, 1)
    thick *= (width / 1000) ** 0.5
    for strand in np.flatnonzero(unlike[0] <= unlike[1]):
        _stroke(body, points[strand], thick[strand], np.clip(shade[strand], 0, 255))


def _stroke(
    body: Body, points: Points, width_px: float, color: NDArray[np.float32] | Color
) -> None:
    """Draw a line; points: (n, 2) at FINER times the scene's size; width_px: of the scene."""
    at = [np.round(points * 2**SHIFT).astype(np.int32)]
    thick = max(1, round(width_px * FINER))
    cv2.polylines(body.solid, at, isClosed=False, color=255, thickness=thick, shift=SHIFT)
    level = tuple(float(value) for value in color)
    cv2.polylines(body.srgb, at, isClosed=False, color=level, thickness=thick, shift=SHIFT)


def _face_color(body: Body, down: float) -> Color:
    """Return the color of a body in the middle of its face, `down` of the face's height down."""
    x, y, across, height = (side * FINER for side in body.face.box)
    top = int(np.clip(y + (down - 0.1) * height, 0, body.solid.shape[0] - 0.2 * height))
    left = int(max(0, x + across / 3))
    part = body.srgb[top : top + int(0.2 * height), left : left + int(across / 3)]
    red, green, blue = np.median(part.reshape(-1, 3), axis=0)
    return float(red), float(green), float(blue)


def _draw_bust(width: int, number: int) -> Body:
    """Draw a bust, with eyes, mouth, and on some glasses whose hinges stand out."""
    random = np.random.default_rng([number, 1])
    height = width * 4 // 3
    unit = width * FINER / 100
    solid = np.zeros((height * FINER, width * FINER), np.uint8)
    srgb = np.zeros((*solid.shape, 3), np.uint8)
    skin, hair, cloth = (
        colors[int(random.integers(len(colors)))] for colors in (SKINS, HAIRS, CLOTHS)
    )
    srgb[:] = cloth
    x, y = 50 + random.uniform(-6, 6), 50 + random.uniform(-6, 6)
    short = _is_every(number, SHORT)
    rise = random.uniform(16, 19) if short else random.uniform(19, 24)
    wide = random.uniform(13.2, 14) if short else random.uniform(15, 21)
    long = random.uniform(-6, 0) if short else random.uniform(-2, 14)
    shapes = [
        (oval(x, y + (long - 4) / 2, wide, rise + long / 2), hair),
        (np.array([[x - 8, y + 8], [x + 8, y + 8], [x + 10, 92], [x - 10, 92]]), skin),
        (oval(x, 136 + random.uniform(-6, 4), random.uniform(34, 42), 54), cloth),
        (oval(x, y, 12.6, 17), skin),
    ]
    for shape, color in shapes:
        at = [np.round(shape * unit * 2**SHIFT).astype(np.int32)]
        cv2.fillPoly(solid, at, 255, cv2.LINE_8, SHIFT)
        cv2.fillPoly(srgb, at, color, cv2.LINE_8, SHIFT)
    features = [
        (oval(x, y + 3.5, 1.6, 0.9), (96, 60, 48)),
        (oval(x, y + 8.5, 4, 1.2), (168, 74, 74)),
    ]
    for eye_x in (x - 5.2, x + 5.2):
        features += [
            (oval(eye_x, y - 2, 2.2, 1.1), (240, 236, 232)),
            (oval(eye_x, y - 2, 1.1, 1.1), (40, 30, 26)),
            (oval(eye_x, y - 5, 2.6, 0.5), hair),
        ]
    for shape, color in features:
        cv2.fillPoly(srgb, [np.round(shape * unit).astype(np.int32)], color)
    # Light from one side, and streaks of hair and folds of cloth.
    folds = random.normal(0, 1, (height // 40, width // 10)).astype(np.float32)
    light = 0.07 * cv2.resize(folds, solid.shape[::-1], interpolation=cv2.INTER_CUBIC)
    light += np.linspace(0.85, 1.12, solid.shape[1], dtype=np.float32)
    np.clip(
        srgb * light[..., np.newaxis] + 3 * light[..., np.newaxis],
        0,
        255,
        out=srgb,
        casting="unsafe",
    )
    body = Body(solid, srgb, _face((x - 11, y - 13, 22, 27), width / 100))
    if _is_every(number, WAVING):
        for side in (-1, 1):
            hinge = np.array(
                [[x + side * 5, y - 2], [x + side * 12, y - 2.6], [x + side * 13.4, y - 2]]
            )
            _stroke(body, hinge * unit, width / 150, (28, 26, 26))
    return body


def _take_person(photo: Srgb8, mask: Matte8, face: Face, width: int) -> Body:
    """Return a real person's inner part, enlarged, with the colors carried outward."""
    scale = width / photo.shape[1]
    height = round(photo.shape[0] * scale)
    person = (mask > HALF_LEVEL).astype(np.uint8)
    reach = max(1.5, ERODED_SHARE * np.sqrt(person.sum()))
    # The picture's border is no edge.
    padded = cv2.copyMakeBorder(person, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    inner = inside > reach
    srgb = _carry_outward(photo, inner)
    size = (width * FINER, height * FINER)
    # A distance, not a mask, is enlarged: its outline stays smooth.
    depth = cv2.GaussianBlur(inside - reach, (0, 0), 1.5)
    solid = np.where(cv2.resize(depth, size, interpolation=cv2.INTER_CUBIC) > 0, 255, 0)
    enlarged = np.asarray(cv2.resize(srgb, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    return Body(solid.astype(np.uint8), enlarged, scale_face(face, x=scale, y=scale))


def _carry_outward(srgb: Srgb8, is_inner: NDArray[np.bool_]) -> Srgb8:
    """Return a picture whose unknown pixels have the nearest known pixels' colors."""
    _, labels = cv2.distanceTransformWithLabels(
        (~is_inner).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colors = np.zeros((labels.max() + 1, 3), np.uint8)
    colors[labels[is_inner]] = srgb[is_inner]
    return np.asarray(colors[labels], np.uint8)


def _wave(
    light: Floats, coverage: Floats, face: Face, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return light and coverage with a hand that moved, in front, at the picture's lower corner."""
    height, width = coverage.shape
    hand = Body(
        np.zeros((height * FINER, width * FINER), np.uint8),
        np.zeros((height * FINER, width * FINER, 3), np.uint8),
        face,
    )
    unit = width * FINER / 100
    skin = SKINS[int(random.integers(len(SKINS)))]
    x, y = 16, 104
    for finger in range(5):
        turn = -0.75 + 0.36 * finger
        start = np.array([x + 4.5 * np.sin(turn), y - 4 * np.cos(turn)])
        end = start + (8, 12, 13, 12, 9)[finger] * np.array([np.sin(turn), -np.cos(turn)])
        _stroke(hand, np.stack([start, end]) * unit, 1.9 * width / 100, skin)
    _stroke(hand, np.array([[x, y - 2], [x, y + 4]]) * unit, 11 * width / 100, skin)
    _stroke(hand, np.array([[x, y], [x + 4, 140]]) * unit, 7 * width / 100, skin)
    front, share = _expose(hand)
    moved = max(3, round(random.uniform(0.004, 0.015) * width))
    kernel = np.eye(moved, dtype=np.float32) / moved
    front, share = (
        np.asarray(cv2.filter2D(plane, -1, kernel), np.float32) for plane in (front, share)
    )
    behind = 1 - share
    return front + behind[..., np.newaxis] * light, share + behind * coverage


def _draw_backdrop(body: Body, width: int, height: int, number: int) -> Srgb8:
    """Return one of the backdrops, (height, width, 3), out of focus."""
    name, blur = BACKDROPS[number % len(BACKDROPS)]
    random = np.random.default_rng([number, 2])
    if name == "bright windows":
        srgb = np.full((height, width, 3), (70, 62, 54), np.uint8)
        for left in range(-5, 100, 27):
            for top in range(-8, 140, 36):
                rows, columns = (
                    slice(max(0, first * width // 100), max(0, (first + side) * width // 100))
                    for first, side in ((top, 29), (left, 21))
                )
                srgb[rows, columns] = round(random.uniform(225, 255))
    elif name.startswith("like the"):
        srgb = edge_scenes.ground("leaves", width=width, height=height, seed=number)
        color = np.array(_face_color(body, -0.2 if name == "like the hair" else 1.8))
        srgb = np.clip((srgb - srgb.mean((0, 1))) * 0.35 + color, 0, 255).astype(np.uint8)
    else:
        srgb = edge_scenes.ground(name, width=width, height=height, seed=number)
    if blur:
        srgb = np.asarray(cv2.GaussianBlur(srgb, (0, 0), blur * width), np.uint8)
    return srgb


def _face(box: tuple[float, float, float, float], unit: float) -> Face:
    x, y, across, down = (side * unit for side in box)
    middle = (x + across / 2, y + down / 2)
    return Face((x, y, across, down), 1.0, (middle,) * 5)
