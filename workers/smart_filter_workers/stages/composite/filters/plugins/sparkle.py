"""Glints of light around the people, if every person smiles."""

import functools
import math
from typing import Final

import numpy as np

from smart_filter_shared.catalog.parameters import Parameters, float_of
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Point
from smart_filter_workers.results import Doubles, Srgb8, Srgba8
from smart_filter_workers.srgb import LUMA_WEIGHTS
from smart_filter_workers.stages.composite.filters import tiles
from smart_filter_workers.stages.composite.filters.drawing import FilterVerdict, Scene
from smart_filter_workers.stages.composite.filters.tiles import Tile, TilePlacement

# Number of glints with an amount of 0 and of 1.
_MIN_COUNT, _MAX_COUNT = 8, 46
# Half the length of a ray, as a share of the shorter side; most are short.
_MIN_LENGTH, _MAX_LENGTH = 0.026, 0.125
# Share of glints that are round and dim, like lights out of focus.
_ROUND_SHARE: Final = 0.3
# Share of glints placed around a head; the others may be anywhere.
_NEAR_SHARE: Final = 0.65
# Points tried for one glint before it is left out.
_TRIES: Final = 12
# A weaker glow, 0..1, is invisible and costs as much to draw.
_MIN_ALPHA: Final = 0.016
# On a brighter ground than this, 0..1, a white glint is invisible: a golden one is drawn.
_LIGHT_GROUND: Final = 0.86
# Colors of a glint's core and of its glow.
_WHITE: Final = ((255, 252, 240), (255, 238, 200))
_GOLD: Final = ((255, 246, 205), (240, 170, 30))


def draw(picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> FilterVerdict:
    """Scatter glints if every face smiles; otherwise name the faces that do not."""
    if reason := _find_obstacle(scene):
        return FilterVerdict(applied=False, reason=reason)
    random = np.random.default_rng([scene.seed, 0x5BA4])
    count = round(_MIN_COUNT + float_of(parameters, "amount") * (_MAX_COUNT - _MIN_COUNT))
    # One tilt for all, as one lens makes it.
    tilt = random.uniform(-0.2, 0.2)
    drawn = 0
    for _ in range(count):
        # Every glint takes the same random numbers, wherever it lands: the picture's size and matte
        # do not change the next ones.
        tries = random.random((_TRIES, 4))
        size_rank, roundness_rank = random.random(2)
        point = _choose_point(tries, scene)
        if point is not None:
            length = scene.side * (_MIN_LENGTH + (_MAX_LENGTH - _MIN_LENGTH) * size_rank**2.8)
            is_round = roundness_rank < _ROUND_SHARE
            drawn += _draw_glint(picture, point, length, tilt, is_round=is_round)
    faces = len(scene.heads)
    who = tiles.name_faces(scene.heads, of=faces)
    return FilterVerdict(applied=drawn > 0, reason=f"{who} smile{'s' if faces == 1 else ''}")


def _find_obstacle(scene: Scene) -> str:
    """Return why there are no glints; empty if every face smiles."""
    faces = len(scene.heads)
    serious = [
        head for head in scene.heads if head.smile is None or head.smile.level == SmileLevel.NONE
    ]
    if not faces:
        return "no face was found"
    if not serious:
        return ""
    if len(serious) == faces > 1:
        return "no face smiles"
    who = tiles.name_faces(serious, of=faces)
    return f"{who} {'does' if len(serious) == 1 else 'do'} not smile"


def _choose_point(tries: Doubles, scene: Scene) -> Point | None:
    """Return the first point in the picture that is neither on people nor on a face.

    tries: (n, 4) float64 in [0, 1), the random numbers of each point.
    """
    for near, which, along, away in tries:
        if near < _NEAR_SHARE:
            head = scene.heads[int(which * len(scene.heads))]
            angle, radius = 2 * math.pi * along, 2.0 + 2.8 * away
            point = head.at(radius * math.sin(angle), 0.3 + radius * math.cos(angle))
        else:
            point = (along * scene.width, away * scene.height)
        if (
            0 <= point[0] < scene.width
            and 0 <= point[1] < scene.height
            and not scene.covered(point)
            and all(math.dist(point, head.at(0, -0.2)) >= 1.8 * head.unit for head in scene.heads)
        ):
            return point
    return None


def _draw_glint(
    picture: Srgb8 | Srgba8, point: Point, length: float, tilt: float, *, is_round: bool
) -> bool:
    """Draw a glint on the picture; return whether any of it is inside."""
    right = (length * math.cos(tilt), length * math.sin(tilt))
    place = TilePlacement(point, right, (-right[1], right[0]))
    # Transparent pixels are black.
    pixel = picture[int(point[1]), int(point[0]), :3]
    on_light = bool(pixel @ LUMA_WEIGHTS >= 255 * _LIGHT_GROUND)
    # A dim glint on a light ground would look like a stain.
    tile = _make_tile(tiles.choose_tile_px(place, 1.0), on_light, is_round and not on_light)
    return tiles.paste(picture, tile, place)


@functools.lru_cache(maxsize=tiles.MAX_CACHED_TILES)
def _make_tile(size: int, golden: bool, is_round: bool) -> Tile:  # noqa: FBT001 - keys of the cache
    """Return a glint: four rays and a glow, or a round dim light."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(axis, axis)
    radius = np.sqrt(x * x + y * y)
    if is_round:
        core = np.zeros_like(radius)
        glow = np.clip((0.62 - radius) * 9, 0, 1) * (0.42 + 0.1 * radius)
    else:
        # A ray fades and narrows to its ends; the second one is the first on its side.
        fade = np.clip(1 - np.abs(axis), 0, 1)
        width = 0.035 * fade**1.2 + 1e-4
        ray = np.exp(-((y / width) ** 2)) * fade**1.6
        core = np.clip(np.exp(-((radius / 0.1) ** 2)) + np.maximum(ray, ray.T), 0, 1)
        edge = np.clip(1 - radius, 0, 1)
        glow = 0.5 * np.exp(-((radius / 0.26) ** 2)) + 0.16 * edge**2
    alpha = np.clip(core + glow * (1 - core), 0, 1)
    alpha[alpha < _MIN_ALPHA] = 0
    inner, outer = (np.array(color, np.float32) for color in (_GOLD if golden else _WHITE))
    core_share = (core / np.maximum(alpha, 1e-6))[..., None]
    rgba = np.empty((size, size, 4), np.uint8)
    rgba[..., :3] = (core_share * inner + (1 - core_share) * outer) * alpha[..., None] + 0.5
    rgba[..., 3] = 255 * alpha + 0.5
    return Tile(rgba, 1.0, size)
