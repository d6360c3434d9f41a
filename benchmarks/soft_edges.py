"""Measure the edge step by exact, soft coverage: hair, fur, skin and cloth, by kind.

PYTHONPATH=tests python -m benchmarks.soft_edges

`soft_scenes` draws the photos: 48 of drawn people, whose matte is the truth as a network of 288 or
512 pixels would see it. Where SMART_FILTER_EVAL_DATA names a folder of portraits (portrait/images,
portrait/masks), 40 of real people follow, whose matte the default model computes. Each photo has
two parts with an edge of one kind each. Every way to enlarge the matte is compared with only
enlarging it, in pairs; the intervals are of 95 %. ΔE compares composites before three plain grounds
with the same people drawn there; "rim" is the part of it that errors of coverage do not explain.
"""

import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks import edge_errors, soft_scenes
from benchmarks.edges import VARIABLE, simulate_network
from benchmarks.edges_of_photos import load_segmenter
from benchmarks.soft_scenes import SoftScene
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.recipe import Edge
from smart_filter_shared.results import Face
from smart_filter_training.evaluation import dataset_files, metrics, prepare_stage
from smart_filter_training.evaluation.base import PreparePhoto
from smart_filter_training.evaluation.confidence_intervals import compute_figures
from smart_filter_training.evaluation.measure import sample_evenly
from smart_filter_training.evaluation.tasks import segmentation
from smart_filter_training.evaluation.tasks.segmentation import Example
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Matte8, Photo, Srgb8
from smart_filter_workers.stages.composite.cleanup import clean_matte
from smart_filter_workers.stages.composite.edges import edge_learning, edge_pixels
from smart_filter_workers.stages.composite.edges.edge_learning import EFFORTS, EdgeCache, Effort
from smart_filter_workers.stages.composite.models import layers
from smart_filter_workers.stages.composite.models.base import CutOut
from smart_filter_workers.stages.composite.models.layers import PeopleBox
from smart_filter_workers.stages.prepare.stage import make_proxy
from smart_filter_workers.system import resources

GROUNDS: Final = ((245, 245, 240), (17, 17, 17), (0, 110, 150))
NETWORKS_PX: Final = (288, 512)
REAL_PEOPLE: Final = 40
ENLARGED: Final = "enlarged only"
_BALANCED: Final = EFFORTS[Edge.BALANCED]
# One round of lines, which is a guided filter.
GUIDED: Final = replace(
    _BALANCED, rounds=1, last_radius=None, doubts=False, binds=False,
    veil=0, doubted_veil=0, hair_veil=0,
)  # fmt: skip
EFFORTS_COMPARED: Final = {
    "guided filter": GUIDED,
    **{str(edge): EFFORTS[edge] for edge in (Edge.FAST, Edge.BALANCED, Edge.BEST)},
}
# Blur of a labeled outline, as a share of the part's longest side.
OUTLINE_SHARE: Final = 0.01
HALF: Final = "half of balanced"
# Which portraits are taken: the score of the only face and its width, and the IoU of the matte.
SURE_FACE, LARGE_SHARE, FOUND_FROM = 0.7, 0.12, 0.9


@dataclass(frozen=True, slots=True)
class SoftErrors:
    """The edge_errors of one part of a photo.

    outline: absolute_near, by a mask that outlines the truth as people who label photos do.
    connect: the connectivity error.
    """

    near: float
    outline: float
    gradient: float
    connect: float
    delta_e: float
    rim: float


@dataclass(frozen=True, slots=True)
class Case:
    """A scene, and what the pipeline knows about it: a proxy, a matte of its size, and faces."""

    scene: SoftScene
    proxy_srgb: Srgb8
    matte: Matte8
    faces: Sequence[Face]


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth about one part of a scene: coverage, colors, and composites before GROUNDS."""

    part: PeopleBox
    matte: Matte8
    people_srgb: Srgb8
    composites: Sequence[Srgb8]


def prepare_truths(scene: SoftScene) -> dict[str, Truth]:
    """Return the truth of each part of a scene that shows edges, by its kind."""
    truths = {}
    for kind, part in scene.parts.items():
        rows, columns = slice(part.top, part.bottom), slice(part.left, part.right)
        coverage, light = scene.coverage[rows, columns], scene.light[rows, columns]
        matte = part.crop(scene.matte)
        if not edge_errors.near(matte).any():
            continue
        share = coverage[..., np.newaxis]
        composites = [
            soft_scenes.encode(light + (1 - share) * soft_scenes.decode(np.array(ground, np.uint8)))
            for ground in GROUNDS
        ]
        light_alone = np.asarray(light / np.maximum(share, 1 / 255), np.float32)
        people = soft_scenes.encode(light_alone)
        truths[kind] = Truth(part, matte, people, composites)
    return truths


def measure_errors(truths: Mapping[str, Truth], cut: CutOut) -> dict[str, SoftErrors]:
    """Return the errors of a cutout in each part of its scene, by the part's kind."""
    compositor = layers.load(Path("unused"))
    made = [
        np.asarray(compositor.over(cut, np.full_like(cut.photo_srgb, ground)), np.uint8)
        for ground in GROUNDS
    ]
    return {kind: _measure_part(truth, cut.matte, made) for kind, truth in truths.items()}


def _measure_part(truth: Truth, whole_matte: Matte8, made: Sequence[Srgb8]) -> SoftErrors:
    crop, true = truth.part.crop, truth.matte
    matte = crop(whole_matte)
    rims = [
        edge_errors.rim(crop(picture), matte, truth.people_srgb, ground, true)
        for picture, ground in zip(made, GROUNDS, strict=True)
    ]
    differences = [
        edge_errors.delta_e(crop(picture), composite, true)
        for picture, composite in zip(made, truth.composites, strict=True)
    ]
    where = edge_errors.near(true)
    return SoftErrors(
        near=edge_errors.absolute_near(matte, true),
        outline=1000 * metrics.mean_difference(matte, _outline(true), where),
        gradient=edge_errors.gradient(matte, true),
        connect=edge_errors.connectivity(matte, true),
        delta_e=statistics.mean(differences),
        rim=statistics.mean(rims),
    )


def _outline(truth: Matte8) -> Matte8:
    """Return a mask without strands, of 0 and 255, whose outline is smooth."""
    smooth = cv2.GaussianBlur(truth, (0, 0), OUTLINE_SHARE * max(truth.shape))
    return np.asarray(cv2.threshold(smooth, 127, 255, cv2.THRESH_BINARY)[1], np.uint8)


def cut_out(case: Case, effort: Effort) -> CutOut:
    """Return the cutout of a scene."""
    return layers.cut_out(
        case.scene.photo_srgb,
        proxy_srgb=case.proxy_srgb,
        matte=case.matte,
        faces=case.faces,
        effort=effort,
        edges=EdgeCache(),
    )


def enlarge_only(case: Case) -> CutOut:
    """Return the cutout of a scene whose matte is enlarged, with people's colors as always."""
    height, width = case.scene.coverage.shape
    small = edge_learning.shrink_inputs(case.matte, case.proxy_srgb, effort=_BALANCED)
    coverage = np.divide(small.matte, 255, dtype=np.float32)
    colors = edge_pixels.estimate_colors(small.srgb, coverage)
    matte = resize(case.matte, width=width, height=height)
    return CutOut(case.scene.photo_srgb, matte, *colors)


def mix_mattes(first: CutOut, second: CutOut) -> CutOut:
    """Return the second cutout with the mean of both mattes."""
    matte = np.asarray(cv2.addWeighted(first.matte, 0.5, second.matte, 0.5, 0), np.uint8)
    return replace(second, matte=matte)


def drawn_cases() -> Iterator[Case]:
    """Yield drawn people with the truth as networks see it."""
    for number, scene in enumerate(soft_scenes.drawn_scenes()):
        proxy = make_proxy(scene.photo_srgb)
        rows, columns = np.nonzero(scene.coverage > 0.5)  # noqa: PLR2004 - a half
        height, width = scene.coverage.shape
        share = max(np.ptp(rows) / height, np.ptp(columns) / width)
        px = round(NETWORKS_PX[number % len(NETWORKS_PX)] / share)
        matte = simulate_network(scene.matte, proxy, number, network_px=px)
        yield Case(scene, proxy, matte, (scene.face,))


def real_cases(folder: Path) -> Iterator[Case]:
    """Yield real people of a folder of portraits, with the default model's mattes."""
    weights = data_folder() / "weights"
    segmenter = load_segmenter(weights)
    with prepare_stage.open_prepare_stage(weights, turning=False) as prepare:
        for scene in soft_scenes.real_scenes(_find_people(folder, prepare)):
            prepared = prepare(Photo(scene.photo_srgb, "jpg"))
            matte = clean_matte(
                segmentation.answer(segmenter, prepared), prepared, prepared.proposals
            ).matte
            true = resize(scene.matte, width=matte.shape[1], height=matte.shape[0])
            counted = np.ones_like(true, np.bool_)
            # A person who is lost says nothing about edges.
            if metrics.matte_iou(matte, true, counted) > FOUND_FROM:
                yield Case(scene, prepared.proxy_srgb, matte, prepared.proposals)


def _find_people(folder: Path, prepare: PreparePhoto) -> Iterator[tuple[Example, Face]]:
    """Yield photos of one person who fills much of them, and the face."""
    for example in sample_evenly(segmentation.examples(folder), 2 * REAL_PEOPLE):
        photo = dataset_files.read_photo(example.photo)
        faces = [face for face in prepare(photo).proposals if face.score > SURE_FACE]
        if len(faces) == 1 and faces[0].box[2] > LARGE_SHARE * photo.srgb.shape[1]:
            yield example, faces[0]


def main() -> None:
    """Print a table of each kind of edge, for drawn and for real people."""
    resources.limit_native_threads()
    console = Console(highlight=False, width=130)
    console.print(_table("drawn people", drawn_cases()))
    if folder := os.environ.get(VARIABLE):
        console.print(_table("real people", real_cases(Path(folder) / "portrait")))


def _table(title: str, cases: Iterator[Case]) -> Table:
    errors_of: dict[str, dict[str, list[SoftErrors]]] = {}
    for case in cases:
        cuts = {ENLARGED: enlarge_only(case)}
        cuts |= {name: cut_out(case, effort) for name, effort in EFFORTS_COMPARED.items()}
        cuts[HALF] = mix_mattes(cuts[ENLARGED], cuts[str(Edge.BALANCED)])
        truths = prepare_truths(case.scene)
        for name, cut in cuts.items():
            for kind, measured in measure_errors(truths, cut).items():
                errors_of.setdefault(kind, {}).setdefault(name, []).append(measured)
    table = Table(title=title, box=None, pad_edge=False, header_style="dim")
    columns = [field.name for field in fields(SoftErrors)]
    gains = ("near less enlarged", "ΔE less enlarged")
    for column in ("edge", "way", *columns, *gains):
        table.add_column(column, no_wrap=True)
    for kind, by_name in errors_of.items():
        for name, errors in by_name.items():
            means = [
                f"{statistics.mean(column):.4g}"
                for column in zip(*map(astuple, errors), strict=True)
            ]
            first = by_name[ENLARGED]
            table.add_row(
                f"{len(errors)} {kind}", name, *means,
                _gain([e.near - f.near for e, f in zip(errors, first, strict=True)]),
                _gain([e.delta_e - f.delta_e for e, f in zip(errors, first, strict=True)]),
            )  # fmt: skip
    return table


def _gain(differences: Sequence[float]) -> str:
    figure = compute_figures(np.array([differences]).T, _mean)["mean"]
    return f"{figure.value:+.2f} ({figure.low:+.2f} to {figure.high:+.2f})"


def _mean(numbers: NDArray[np.float64], weights: NDArray[np.float64]) -> Mapping[str, float]:
    return {"mean": metrics.weighted_mean(numbers[:, 0], weights)}


if __name__ == "__main__":
    main()
