"""Draw photos of things with exactly known mattes: solids in light and shade before backgrounds.

Each thing is a set of solids, given by their signed distances and drawn by sphere tracing. It is
about two units tall, around the origin, with y up and the camera on the side of positive z.

Source: Hart 1996, "Sphere tracing: a geometric method for the antialiased ray tracing of implicit
surfaces"; the distances of the primitives are those of its appendix.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import edge_scenes
from benchmarks.edge_scenes import Scene
from smart_filter_workers.results import Floats, Srgb8

Points = NDArray[np.float32]  # (n, 3), in units
Distance = Callable[[Points], Floats]  # (n, 3) to (n,), negative inside
Color = tuple[int, int, int]  # red, green, blue, 0..255
Point = tuple[float, float, float]

WIDTH, HEIGHT = 480, 640
FINER: Final = 2  # coverage is traced at this many times the scene's size
RADIUS: Final = 1.45  # units; every thing lies in this sphere around the origin
CAMERA_AWAY: Final = 5.4  # units
FIELD_OF_VIEW: Final = 0.62  # units across at a distance of one unit
STEPS: Final = 90
NEAR: Final = 0.0015  # units; a ray that is this close has hit
LIGHT: Final = np.array([-0.45, 0.75, 0.5], np.float32)
BACKGROUNDS: Final = (
    "leaves",
    "studio",
    "pavement",
    "meadow-layers",
    "city-night",
    "green-marble",
    "crystal",
)
TURNS: Final = (0.35, 1.2, -0.6, 2.4)  # radians; the views of each thing


@dataclass(frozen=True, slots=True)
class Solid:
    """A part of a thing of one color."""

    distance: Distance
    color: Color


def scenes() -> Iterator[Scene]:
    """Yield each thing from each side, on backgrounds in turn, the same each time."""
    number = 0
    for name, solids in THINGS.items():
        for turn in TURNS:
            behind = edge_scenes.ground(
                BACKGROUNDS[number % len(BACKGROUNDS)], width=WIDTH, height=HEIGHT, seed=number
            )
            yield _draw(f"{name} {turn:+.1f}", solids, turn, behind, seed=number)
            number += 1


def _draw(name: str, solids: Sequence[Solid], turn: float, behind: Srgb8, *, seed: int) -> Scene:
    width, height = WIDTH * FINER, HEIGHT * FINER
    hit, colors = _trace(solids, turn, width, height)
    coverage = hit.astype(np.float32)
    share = np.asarray(
        cv2.resize(coverage, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.float32
    )
    weighted = colors * coverage[..., np.newaxis]
    summed = cv2.resize(weighted, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    srgb = np.clip(summed / np.maximum(share, 1e-3)[..., np.newaxis], 0, 255).astype(np.uint8)
    share = np.asarray(cv2.GaussianBlur(share, (0, 0), 0.6), np.float32)
    srgb[share < 1e-3] = behind[share < 1e-3]  # noqa: PLR2004 - where nothing of the thing is
    matte = np.rint(share * 255).astype(np.uint8)
    return edge_scenes.compose_scene(name, srgb, matte, _shade(behind, share), seed=seed)


def _shade(behind: Srgb8, share: Floats) -> Srgb8:
    """Return the background with the thing's soft shadow, to the lower right."""
    moved = np.array([[1, 0, WIDTH * 0.03], [0, 1, HEIGHT * 0.015]], np.float32)
    shadow = cv2.warpAffine(share, moved, (WIDTH, HEIGHT))
    shadow = cv2.GaussianBlur(shadow, (0, 0), WIDTH * 0.03)
    return np.asarray(np.rint(behind * (1 - 0.45 * shadow[..., np.newaxis])), np.uint8)


def _trace(
    solids: Sequence[Solid], turn: float, width: int, height: int
) -> tuple[NDArray[np.bool_], Floats]:
    """Return which pixels show the thing, (H, W), and their colors, (H, W, 3), 0..255."""
    tilt = 0.22
    across = np.array([np.cos(turn), 0, -np.sin(turn)], np.float32)
    ahead = -np.array(
        [np.sin(turn) * np.cos(tilt), np.sin(tilt), np.cos(turn) * np.cos(tilt)], np.float32
    )
    up = np.cross(across, ahead)
    x, y = np.meshgrid(
        (np.arange(width, dtype=np.float32) + 0.5) / width - 0.5,
        (0.5 - (np.arange(height, dtype=np.float32) + 0.5) / height) * (height / width),
    )
    rays = ahead + FIELD_OF_VIEW * (x[..., np.newaxis] * across + y[..., np.newaxis] * up)
    rays = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).reshape(-1, 3).astype(np.float32)
    camera = -CAMERA_AWAY * ahead

    def nearest(points: Points) -> Floats:
        return np.asarray(np.min([solid.distance(points) for solid in solids], axis=0))

    middle = -(rays @ camera)
    inside = RADIUS**2 - (CAMERA_AWAY**2 - middle**2)
    active = np.flatnonzero(inside > 0)
    along = middle - np.sqrt(np.maximum(inside, 0))
    end = 2 * middle - along
    hit = np.zeros(len(rays), bool)
    for _ in range(STEPS):
        if not len(active):
            break
        away = nearest(camera + rays[active] * along[active, np.newaxis])
        hit[active[away < NEAR]] = True
        along[active] += away
        active = active[(away >= NEAR) & (along[active] < end[active])]
    colors = np.zeros((len(rays), 3), np.float32)
    at = camera + rays[hit] * along[hit, np.newaxis]
    colors[hit] = _light(solids, nearest, at, rays[hit])
    return hit.reshape(height, width), colors.reshape(height, width, 3)


def _light(solids: Sequence[Solid], nearest: Distance, at: Points, rays: Points) -> Floats:
    """Return the colors of points on the surface, (n, 3), 0..255."""
    step = np.float32(0.004)
    normals = np.stack(
        [
            nearest(at + step * axis) - nearest(at - step * axis)
            for axis in np.eye(3, dtype=np.float32)
        ],
        axis=1,
    )
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    which = np.argmin([solid.distance(at) for solid in solids], axis=0)
    base = np.array([solid.color for solid in solids], np.float32)[which]
    grain = np.sin(at[:, 0] * 23 + 4 * np.sin(at[:, 1] * 17)) * np.sin(at[:, 2] * 19)
    light = LIGHT / np.linalg.norm(LIGHT)
    lit = np.clip(normals @ light, 0, 1)
    sky = 0.5 + 0.5 * normals[:, 1]
    half = light - rays
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    shine = np.clip(np.einsum("ij,ij->i", normals, half), 0, 1) ** 40
    shade = 0.28 + 0.2 * sky + 0.62 * lit + 0.05 * grain
    return np.asarray(base * shade[:, np.newaxis] + 120 * shine[:, np.newaxis], np.float32)


def _ball(center: Point, radius: float) -> Distance:
    middle = np.array(center, np.float32)
    return lambda at: np.linalg.norm(at - middle, axis=1) - np.float32(radius)


def _oval(center: Point, radii: Point) -> Distance:
    """Return the bound of an ellipsoid's distance."""
    middle, reach = np.array(center, np.float32), np.array(radii, np.float32)
    least = np.float32(min(radii))
    return lambda at: (np.linalg.norm((at - middle) / reach, axis=1) - 1) * least


def _rod(start: Point, end: Point, radius: float, end_radius: float | None = None) -> Distance:
    """Return the distance of a rod with round ends, thinner or thicker at its end."""
    first, along = np.array(start, np.float32), np.subtract(end, start).astype(np.float32)
    growth = 0.0 if end_radius is None else end_radius - radius

    def distance(at: Points) -> Floats:
        share = np.clip((at - first) @ along / (along @ along), 0, 1)
        away = np.linalg.norm(at - first - share[:, np.newaxis] * along, axis=1)
        return np.asarray((away - radius - growth * share) * 0.9, np.float32)

    return distance


def _box(center: Point, half: Point, rounding: float = 0.02) -> Distance:
    middle, reach = np.array(center, np.float32), np.array(half, np.float32) - rounding

    def distance(at: Points) -> Floats:
        beyond = np.abs(at - middle) - reach
        outside = np.linalg.norm(np.maximum(beyond, 0), axis=1)
        return np.asarray(outside + np.minimum(beyond.max(axis=1), 0) - rounding, np.float32)

    return distance


def _can(center: Point, radius: float, half: float, axis: int = 1) -> Distance:
    """Return the distance of a cylinder along an axis."""
    middle = np.array(center, np.float32)
    others = [side for side in range(3) if side != axis]

    def distance(at: Points) -> Floats:
        away = at - middle
        beyond = np.stack(
            [np.linalg.norm(away[:, others], axis=1) - radius, np.abs(away[:, axis]) - half], axis=1
        )
        outside = np.linalg.norm(np.maximum(beyond, 0), axis=1)
        return np.asarray(outside + np.minimum(beyond.max(axis=1), 0) - 0.01, np.float32)

    return distance


def _ring(center: Point, radius: float, thickness: float, axis: int = 2) -> Distance:
    middle = np.array(center, np.float32)
    others = [side for side in range(3) if side != axis]

    def distance(at: Points) -> Floats:
        away = at - middle
        around = np.linalg.norm(away[:, others], axis=1) - radius
        return np.asarray(np.hypot(around, away[:, axis]) - thickness, np.float32)

    return distance


def _turned(profile: Callable[[Floats], Floats], low: float, high: float) -> Distance:
    """Return the bound of the distance of a solid of revolution around y."""

    def distance(at: Points) -> Floats:
        around = np.hypot(at[:, 0], at[:, 2]) - profile(np.clip(at[:, 1], low, high))
        beyond = np.maximum(low - at[:, 1], at[:, 1] - high)
        return np.asarray(np.maximum(around * 0.6, beyond), np.float32)

    return distance


def _blend(*parts: Distance, softness: float = 0.12) -> Distance:
    """Return the union of solids with smooth joints."""

    def distance(at: Points) -> Floats:
        total, *rest = (part(at) for part in parts)
        for other in rest:
            share = np.clip(0.5 + 0.5 * (other - total) / softness, 0, 1)
            total = other + (total - other) * share - softness * share * (1 - share)
        return np.asarray(total * 0.8, np.float32)

    return distance


def _without(solid: Distance, hollow: Distance) -> Distance:
    return lambda at: np.maximum(solid(at), -hollow(at))


WHITE, BLACK, STEEL = (232, 230, 224), (34, 34, 38), (150, 156, 164)
RED, BLUE, GREEN = (190, 44, 40), (44, 84, 160), (52, 128, 60)
BROWN, YELLOW, CLAY = (132, 86, 52), (236, 190, 50), (186, 104, 70)


def _mug() -> list[Solid]:
    cup = _without(_can((0, 0, 0), 0.62, 0.75), _can((0, 0.15, 0), 0.54, 0.75))
    return [Solid(cup, BLUE), Solid(_ring((0.72, 0, 0), 0.4, 0.1), BLUE)]


def _bottle() -> list[Solid]:
    glass = _blend(_can((0, -0.35, 0), 0.36, 0.75), _can((0, 0.7, 0), 0.12, 0.4), softness=0.3)
    return [
        Solid(glass, GREEN),
        Solid(_can((0, -0.4, 0), 0.375, 0.35), WHITE),
        Solid(_can((0, 1.1, 0), 0.13, 0.1), RED),
    ]


def _vase() -> list[Solid]:
    outline = _turned(lambda y: 0.42 + 0.2 * np.sin(2.6 * y - 0.6), -1.1, 0.9)
    return [Solid(_without(outline, _can((0, 0.7, 0), 0.3, 0.5)), CLAY)]


def _lamp() -> list[Solid]:
    shade = _turned(lambda y: 0.75 - 0.5 * (y - 0.2), 0.2, 1.0)
    hollow = _turned(lambda y: 0.7 - 0.5 * (y - 0.2), 0.1, 1.1)
    return [
        Solid(_without(shade, hollow), YELLOW),
        Solid(_rod((0, -1, 0), (0, 0.7, 0), 0.05), STEEL),
        Solid(_can((0, -1.1, 0), 0.45, 0.05), STEEL),
    ]


def _chair() -> list[Solid]:
    legs = [
        _rod((x, -0.15, z), (x * 1.15, -1.2, z * 1.15), 0.06)
        for x in (-0.5, 0.5)
        for z in (-0.45, 0.45)
    ]
    bars = [_rod((x, -0.1, -0.45), (x, 1.05, -0.6), 0.05) for x in (-0.5, -0.17, 0.17, 0.5)]
    parts = [*legs, *bars, _box((0, 1.05, -0.6), (0.6, 0.12, 0.06))]
    return [Solid(part, BROWN) for part in parts] + [
        Solid(_box((0, -0.1, 0), (0.6, 0.07, 0.55)), RED)
    ]


def _duck() -> list[Solid]:
    body = _blend(
        _oval((0, -0.35, 0), (0.9, 0.55, 0.6)),
        _ball((0.45, 0.45, 0), 0.42),
        _rod((-0.6, -0.2, 0), (-1.0, 0.2, 0), 0.2, 0.08),
        softness=0.2,
    )
    eyes = [Solid(_ball((0.7, 0.58, z), 0.08), BLACK) for z in (-0.27, 0.27)]
    return [Solid(body, YELLOW), Solid(_oval((0.95, 0.4, 0), (0.26, 0.09, 0.2)), CLAY), *eyes]


def _car() -> list[Solid]:
    wheels = [
        Solid(_can((x, -0.45, z), 0.26, 0.1, axis=2), BLACK)
        for x in (-0.7, 0.7)
        for z in (-0.5, 0.5)
    ]
    return [
        Solid(_box((0, -0.2, 0), (1.2, 0.26, 0.55), 0.14), RED),
        Solid(_box((-0.1, 0.2, 0), (0.62, 0.3, 0.48), 0.16), STEEL),
        Solid(_box((-0.1, 0.42, 0), (0.55, 0.09, 0.46), 0.06), RED),
        *wheels,
    ]


def _bear() -> list[Solid]:
    limbs = [_rod((side * 0.4, 0.1, 0.1), (side * 0.8, -0.2, 0.3), 0.2) for side in (-1, 1)]
    legs = [_rod((side * 0.3, -0.7, 0.1), (side * 0.55, -1.0, 0.5), 0.24) for side in (-1, 1)]
    ears = [_ball((side * 0.38, 1.05, 0), 0.17) for side in (-1, 1)]
    body = _blend(
        _oval((0, -0.35, 0), (0.55, 0.65, 0.5)), _ball((0, 0.65, 0), 0.5), *limbs, *legs, *ears
    )
    eyes = [Solid(_ball((side * 0.2, 0.75, 0.46), 0.07), BLACK) for side in (-1, 1)]
    return [Solid(body, BROWN), Solid(_ball((0, 0.55, 0.45), 0.17), CLAY), *eyes]


def _teapot() -> list[Solid]:
    pot = _blend(
        _oval((0, -0.2, 0), (0.75, 0.6, 0.75)),
        _rod((0.6, -0.3, 0), (1.15, 0.3, 0), 0.17, 0.08),
        softness=0.15,
    )
    handle = _ring((-0.8, -0.15, 0), 0.38, 0.08)
    return [Solid(pot, WHITE), Solid(handle, WHITE), Solid(_ball((0, 0.45, 0), 0.12), BLUE)]


def _plant() -> list[Solid]:
    random = np.random.default_rng(3)
    leaves = []
    for turn in np.linspace(0, 2 * np.pi, 14, endpoint=False):
        reach, tall = random.uniform(0.3, 0.85), random.uniform(0.4, 1.1)
        tip = (float(reach * np.cos(turn)), float(tall), float(reach * np.sin(turn)))
        leaves.append(Solid(_rod((0, -0.4, 0), tip, 0.04, 0.1), GREEN))
    return [Solid(_turned(lambda y: 0.5 + 0.15 * (y + 1.1), -1.1, -0.4), CLAY), *leaves]


def _bicycle() -> list[Solid]:
    wheels = [Solid(_ring((x, -0.4, 0), 0.52, 0.045), BLACK) for x in (-0.75, 0.75)]
    spokes = [
        Solid(
            _rod((x, -0.4, 0), (x + 0.5 * np.cos(turn), -0.4 + 0.5 * np.sin(turn), 0), 0.012), STEEL
        )
        for x in (-0.75, 0.75)
        for turn in np.linspace(0, 2 * np.pi, 8, endpoint=False)
    ]
    joints = {"back": (-0.75, -0.4, 0), "saddle": (-0.3, 0.35, 0), "pedals": (-0.15, -0.4, 0)}
    front, head = (0.75, -0.4, 0), (0.5, 0.4, 0)
    pairs = [
        (joints["back"], joints["saddle"]),
        (joints["back"], joints["pedals"]),
        (joints["pedals"], joints["saddle"]),
        (joints["pedals"], head),
        (joints["saddle"], head),
        (head, front),
        (head, (0.44, 0.6, 0)),
    ]
    frame = [Solid(_rod(start, end, 0.045), BLUE) for start, end in pairs]
    bar = Solid(_rod((0.44, 0.6, -0.3), (0.44, 0.6, 0.3), 0.04), STEEL)
    return [
        *wheels,
        *spokes,
        *frame,
        bar,
        Solid(_oval((-0.33, 0.45, 0), (0.24, 0.07, 0.12)), BLACK),
    ]


def _dog() -> list[Solid]:
    legs = [_rod((x, -0.2, z), (x, -1.0, z), 0.13, 0.1) for x in (-0.55, 0.5) for z in (-0.2, 0.2)]
    body = _blend(
        _rod((-0.55, 0, 0), (0.5, 0.05, 0), 0.3, 0.34),
        _rod((0.55, 0.2, 0), (0.75, 0.6, 0), 0.2, 0.22),
        _rod((0.75, 0.65, 0), (1.1, 0.55, 0), 0.22, 0.12),
        _rod((-0.8, 0.1, 0), (-1.1, 0.6, 0), 0.08, 0.05),
        *legs,
    )
    ears = [Solid(_oval((0.68, 0.75, z), (0.1, 0.25, 0.06)), BROWN) for z in (-0.22, 0.22)]
    return [Solid(body, (214, 178, 128)), *ears, Solid(_ball((1.2, 0.58, 0), 0.06), BLACK)]


THINGS: Final = {
    "mug": _mug(),
    "bottle": _bottle(),
    "vase": _vase(),
    "lamp": _lamp(),
    "chair": _chair(),
    "duck": _duck(),
    "car": _car(),
    "bear": _bear(),
    "teapot": _teapot(),
    "plant": _plant(),
    "bicycle": _bicycle(),
    "dog": _dog(),
}
