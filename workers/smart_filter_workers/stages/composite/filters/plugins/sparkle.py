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
from smart_filter_workers.stages.composite.filters.drawing import FilterVerdict, Head, Scene
from smart_filter_workers.stages.composite.filters.tiles import Tile, TilePlacement

# Number of glints with an amount of 0 and of 1.
_MIN_COUNT, _MAX_COUNT = 8, 46
# Half the length of a ray, as a share of the shorter side; most are short.
_MIN_LENGTH, _MAX_LENGTH = 0.026, 0.125
# Share of glints that are round and dim, like lights out of focus.
_ROUND_SHARE: Final = 0.3
# Share of glints placed around a head; the others may be anywhere.
_NEAR_SHARE: Final = 0.65
_TRIES: Final = 12
# A weaker glow is invisible and costs as much to draw.
_SEEN_FROM: Final = 0.016
# On a brighter ground than this, 0..1, a white glint is invisible.
_LIGHT_FROM: Final = 0.86
_WHITE: Final = ((255, 252, 240), (255, 238, 200))
_GOLD: Final = ((255, 246, 205), (240, 170, 30))


def draw(picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> FilterVerdict:
    """Scatter glints if every face smiles; otherwise name the faces that do not."""
    if not scene.heads:
        return FilterVerdict(applied=False, reason="no face was found")
    faces = len(scene.heads)
    sober = [head for head in scene.heads if not _is_smiling(head)]
    if len(sober) == faces > 1:
        return FilterVerdict(applied=False, reason="no face smiles")
    if sober:
        who = f"{tiles.name_faces(sober, of=faces)} {'does' if len(sober) == 1 else 'do'}"
        return FilterVerdict(applied=False, reason=f"{who} not smile")
    random = np.random.default_rng([scene.seed, 0x5BA4])
    count = round(_MIN_COUNT + float_of(parameters, "amount") * (_MAX_COUNT - _MIN_COUNT))
    # One tilt for all, as one lens makes it.
    tilt = random.uniform(-0.2, 0.2)
    drawn = 0
    for _ in range(count):
        # Draw all random numbers first, so that the picture's size and matte do not shift the next
        # ones.
        spots = random.random((_TRIES, 4))
        rank, is_round = random.random(2)
        spot = _spot(spots, scene)
        if spot is None:
            continue
        length = scene.side * (_MIN_LENGTH + (_MAX_LENGTH - _MIN_LENGTH) * rank**2.8)
        drawn += _glint(picture, spot, length, tilt, round_=is_round < _ROUND_SHARE)
    who = tiles.name_faces(scene.heads, of=faces)
    return FilterVerdict(applied=drawn > 0, reason=f"{who} smile{'s' if faces == 1 else ''}")


def _glint(
    picture: Srgb8 | Srgba8,
    spot: Point,
    length: float,
    tilt: float,
    *,
    round_: bool,
) -> bool:
    right = (length * math.cos(tilt), length * math.sin(tilt))
    place = TilePlacement(spot, right, (-right[1], right[0]))
    light = _level(picture, spot) >= _LIGHT_FROM
    # A dim glint on a light ground would look like a stain.
    tile = _tile(tiles.choose_tile_px(place, 1.0), light, round_ and not light)
    return tiles.paste(picture, tile, place)


def _spot(spots: Doubles, scene: Scene) -> Point | None:
    """Return the first spot that is neither on people nor on a face."""
    for near, which, along, far in spots:
        if near < _NEAR_SHARE:
            # Around a head, from its edge outward.
            head = scene.heads[int(which * len(scene.heads))]
            angle = 2 * math.pi * along
            away = 2.0 + 2.8 * far
            point = head.at(away * math.sin(angle), 0.3 + away * math.cos(angle))
        else:
            point = (along * scene.width, far * scene.height)
        inside = 0 <= point[0] < scene.width and 0 <= point[1] < scene.height
        if (
            inside
            and not scene.covered(point)
            and all(
                math.dist(point, other.at(0, -0.2)) >= 1.8 * other.unit for other in scene.heads
            )
        ):
            return point
    return None


def _level(picture: Srgb8 | Srgba8, point: Point) -> float:
    """Return the brightness of a picture at a point, 0..1; 0 where it is transparent."""
    pixel = picture[int(point[1]), int(point[0])]
    return float(pixel[:3].astype(float) @ LUMA_WEIGHTS) / 255


@functools.lru_cache(maxsize=tiles.MAX_CACHED_TILES)
def _tile(size: int, light: bool, round_: bool) -> Tile:  # noqa: FBT001 - keys of the cache
    """Return a glint: four rays and a glow, or a round dim light."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(axis, axis)
    far = np.sqrt(x * x + y * y)
    edge = np.clip(1 - far, 0, 1)
    if round_:
        core = np.zeros_like(far)
        glow = 0.42 * np.clip((0.62 - far) * 9, 0, 1) + 0.1 * np.clip((0.62 - far) * 9, 0, 1) * far
    else:
        rays = np.zeros_like(far)
        for along, across in ((x, y), (y, x)):
            thin = 0.035 * np.clip(1 - np.abs(along), 0, 1) ** 1.2 + 1e-4
            ray = np.exp(-((across / thin) ** 2)) * np.clip(1 - np.abs(along), 0, 1) ** 1.6
            rays = np.maximum(rays, ray)
        core = np.clip(np.exp(-((far / 0.1) ** 2)) + rays, 0, 1)
        glow = 0.5 * np.exp(-((far / 0.26) ** 2)) + 0.16 * edge**2
    alpha = np.clip(core + glow * (1 - core), 0, 1)
    alpha[alpha < _SEEN_FROM] = 0
    inner, outer = (np.array(color, np.float32) for color in (_GOLD if light else _WHITE))
    white = (core / np.maximum(alpha, 1e-6))[..., None]
    rgba = np.empty((size, size, 4), np.uint8)
    rgba[..., :3] = (white * inner + (1 - white) * outer) * alpha[..., None] + 0.5
    rgba[..., 3] = 255 * alpha + 0.5
    return Tile(rgba, 1.0, size)


def _is_smiling(head: Head) -> bool:
    return head.smile is not None and head.smile.level != SmileLevel.NONE
