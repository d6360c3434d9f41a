"""Measure the errors and the cost of each edge effort, and of each of its steps.

PYTHONPATH=tests python -m benchmarks.edges [steps]

The scenes are eight drawn ones with known truth. Where SMART_FILTER_EVAL_DATA names a folder of
photos with soft mattes (portrait/images, portrait/masks), those are cut out and put on other
backgrounds too. Each matte is given in two forms: as a network of 256 px makes it (softened, its
edge off by about a pixel, its hair lost), and as the truth at the proxy's size, which shows the
error of enlarging alone. The composites are on a light, a dark and two saturated grounds. "Rim" is
the color difference that errors of coverage do not explain, so that of the old background. Times
are processor time of one thread.
"""

import dataclasses
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import edge_errors, edge_scenes
from benchmarks.edge_scenes import Scene
from smart_filter_shared.recipe import Edge
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.composite.edges import edge_learning, edge_pixels
from smart_filter_workers.stages.composite.edges.edge_learning import EdgeCache, Effort
from smart_filter_workers.stages.composite.models import layers
from smart_filter_workers.stages.composite.models.base import CutOut
from smart_filter_workers.stages.prepare.stage import make_proxy
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.system import resources

WIDTH: Final = 1800
NETWORK_PX: Final = 256
GROUNDS: Final = ((245, 245, 240), (17, 17, 17), (0, 166, 81), (214, 0, 140))
# A mask with at least this many levels counts as a soft matte.
SOFT_LEVELS: Final = 60
VARIABLE: Final = "SMART_FILTER_EVAL_DATA"

_BALANCED: Final = edge_learning.EFFORTS[Edge.BALANCED]
STEPS: Final[Mapping[str, Effort]] = {
    "balanced": _BALANCED,
    "one round of learning": dataclasses.replace(_BALANCED, rounds=1),
    "colors believed everywhere": dataclasses.replace(_BALANCED, doubts=False),
    "veil left": dataclasses.replace(_BALANCED, veil=0, doubted_veil=0, hair_veil=0),
    "colors unbound": dataclasses.replace(_BALANCED, binds=False),
    "no last, closer lines": dataclasses.replace(_BALANCED, last_radius=None),
    "learned on 320 px": dataclasses.replace(_BALANCED, small_size=320 * 240, radius=4),
    "learned on 400 px": dataclasses.replace(_BALANCED, small_size=400 * 300, radius=5),
    "learned on 640 px": dataclasses.replace(_BALANCED, small_size=640 * 480, radius=8),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Errors:
    """The edge_errors of one cutout, and the processor time of `cut` and `over` in ms."""

    absolute: float
    near: float
    gradient: float
    delta_e: float
    rim: float
    cut_ms: float
    over_ms: float


def main() -> None:
    """Print the table of efforts, or the table of steps."""
    resources.limit_native_threads()
    steps = sys.argv[1:] == ["steps"]
    efforts = STEPS if steps else {str(edge): edge_learning.EFFORTS[edge] for edge in Edge}
    console = Console(highlight=False, width=130)
    table = Table(box=None, pad_edge=False, header_style="dim")
    columns = ("SAD", "MAD near edges", "gradient", "ΔE near edges", "rim", "cut ms", "over ms")
    for column in ("scenes", "matte", "effort", *columns):
        table.add_column(column, no_wrap=True)
    for group, scenes in groups():
        for matte_name, make_matte in (("network's", simulate_network), ("truth's", shrink_truth)):
            errors_by: dict[str, list[Errors]] = {"enlarged only": []}
            for number, scene in enumerate(scenes):
                proxy = make_proxy(scene.photo_srgb)
                matte = make_matte(scene.matte, proxy, number)
                errors_by["enlarged only"].append(measure_errors(scene, matte, proxy, None))
                for name, effort in efforts.items():
                    errors_by.setdefault(name, []).append(
                        measure_errors(scene, matte, proxy, effort)
                    )
            for name, errors in errors_by.items():
                table.add_row(group, matte_name, name, *_means(errors))
    console.print(table)


def groups() -> Iterator[tuple[str, list[Scene]]]:
    """Yield each group's name and scenes: the drawn ones, then real ones if given."""
    for group in edge_scenes.GROUPS:
        yield group, [edge_scenes.scene(name, WIDTH) for name in edge_scenes.GROUPS[group]]
    folder = os.environ.get(VARIABLE)
    real = [] if not folder else list(_real(Path(folder) / "portrait"))
    if real:
        yield f"{len(real)} real", real


def measure_errors(scene: Scene, matte: Matte8, proxy: Srgb8, effort: Effort | None) -> Errors:
    """Return the errors of a scene cut out with a matte; effort None: it is only enlarged."""
    photo = scene.photo_srgb
    height, width = photo.shape[:2]
    compositor = layers.load(Path("unused"))
    began = time.thread_time()
    if effort is None:
        large = np.asarray(cv2.resize(matte, (width, height)), np.uint8)
        plain = proxy.astype(np.float32)
        cut = CutOut(photo, large, plain, plain)
    else:
        cut = layers.cut_out(
            photo,
            proxy_srgb=proxy,
            matte=matte,
            faces=scene.faces,
            effort=effort,
            edges=EdgeCache(),
        )
    cut_ms = (time.thread_time() - began) * 1000
    alpha = np.divide(scene.matte, 255, dtype=np.float32)[..., np.newaxis]
    differences, rims, times = [], [], []
    for ground in GROUNDS:
        behind = np.empty_like(photo)
        behind[:] = ground
        true = (scene.people_srgb * alpha + behind * (1 - alpha) + 0.5).astype(np.uint8)
        began = time.thread_time()
        made = compositor.over(cut, behind)
        times.append((time.thread_time() - began) * 1000)
        differences.append(edge_errors.delta_e(made, true, scene.matte))
        rims.append(edge_errors.rim(made, cut.matte, scene.people_srgb, ground, scene.matte))
    return Errors(
        absolute=edge_errors.absolute(cut.matte, scene.matte),
        near=edge_errors.absolute_near(cut.matte, scene.matte),
        gradient=edge_errors.gradient(cut.matte, scene.matte),
        delta_e=statistics.mean(differences),
        rim=statistics.mean(rims),
        cut_ms=cut_ms,
        over_ms=statistics.median(times),
    )


def shrink_truth(truth: Matte8, proxy: Srgb8, _: int) -> Matte8:
    """Return the true matte at the proxy's size."""
    size = (proxy.shape[1], proxy.shape[0])
    return np.asarray(cv2.resize(truth, size, interpolation=cv2.INTER_AREA), np.uint8)


def simulate_network(
    truth: Matte8, proxy: Srgb8, seed: int, *, network_px: int = NETWORK_PX
) -> Matte8:
    """Return the matte that segmentation would make with a network that is right but for detail.

    The truth is softened, displaced by about 0.8 of the network's pixels, sharpened toward 0 and 1
    as networks do, and refined as in segmentation.
    """
    height, width = proxy.shape[:2]
    scale = network_px / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.divide(cv2.resize(truth, size, interpolation=cv2.INTER_AREA), 255, dtype=np.float32)
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), 1.0), np.float32)
    random = np.random.default_rng(seed)
    coarse = random.normal(0, 0.8, (size[1] // 12 + 2, size[0] // 12 + 2, 2)).astype(np.float32)
    displacement = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in size))
    small = np.asarray(
        cv2.remap(
            small,
            x + displacement[..., 0],
            y + displacement[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )
    sharpened = 1 / (1 + np.exp(-9 * (small - 0.5)))
    enlarged = np.clip(cv2.resize(sharpened, (width, height)), 0, 1)
    return refine_edges(np.asarray(enlarged, np.float32), proxy)


def _real(folder: Path) -> Iterator[Scene]:
    """Yield cutouts of photos with soft mattes, on drawn backgrounds."""
    grounds = ("leaves", "city-night", "studio", "crystal")
    for number, path in enumerate(sorted((folder / "masks").iterdir())):
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        photo = cv2.imread(str(folder / "images" / f"{path.stem}.jpg"))
        if mask is None or photo is None or len(np.unique(mask)) < SOFT_LEVELS:
            continue
        srgb = np.asarray(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB), np.uint8)
        matte = np.asarray(mask, np.uint8)
        coverage = np.divide(matte, 255, dtype=np.float32)
        people = edge_pixels.unmix_foreground(
            srgb.astype(np.float32),
            coverage[..., np.newaxis],
            *edge_pixels.estimate_colors(srgb, coverage),
        )
        height, width = matte.shape
        ground = edge_scenes.ground(
            grounds[number % len(grounds)], width=width, height=height, seed=number
        )
        yield edge_scenes.compose_scene(
            path.stem, people.astype(np.uint8), matte, ground, seed=number
        )


def _means(errors: Sequence[Errors]) -> list[str]:
    rows = [dataclasses.astuple(error) for error in errors]
    return [f"{statistics.mean(column):.3g}" for column in zip(*rows, strict=True)]


if __name__ == "__main__":
    main()
