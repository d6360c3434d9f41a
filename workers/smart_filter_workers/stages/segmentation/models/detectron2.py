"""detectron2: persons, or whatever else is asked for, one by one, by its zoo's configurations."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.cards import ENTRY, ModelCard, TaskName
from smart_filter_shared.errors import ParameterRefused, SetupFailed
from smart_filter_shared.parameters import (
    Parameters,
    choice,
    float_of,
    int_of,
    integer,
    number,
    str_of,
    text,
)
from smart_filter_workers import admitted
from smart_filter_workers.networks.detectron2 import shelf, zoo
from smart_filter_workers.networks.detectron2.building import Classes
from smart_filter_workers.networks.detectron2.predictor import Options, Seen
from smart_filter_workers.networks.detectron2.shelf import Shelf
from smart_filter_workers.networks.shelf import first_that_opens
from smart_filter_workers.results import Matte8, Prepared, Srgb8
from smart_filter_workers.stages.segmentation.apart import split
from smart_filter_workers.stages.segmentation.edges import refine
from smart_filter_workers.stages.segmentation.models.base import People

DEFAULT: Final = "COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x"
PERSON: Final = "person"

CARD: Final = ModelCard(
    name="detectron2",
    version="1",
    task=TaskName.SEGMENTATION,
    family="detectron2",
    title="detectron2: instance, panoptic and semantic models of its zoo",
    source="facebookresearch/detectron2, MODEL_ZOO.md; weights are admitted, docs/detectron2.md",
    licence="CC-BY-SA-3.0",
    data_terms="by configuration: COCO, LVIS or Cityscapes; their own terms hold for the pictures",
    # What a GPU takes at once; on a processor each photo has a pass of its own.
    batch_size=4,
    devices=("cuda", "cpu"),
    requires=("torch", "detectron2"),
    extra="detectron2",
    instances=True,
    parameters=(
        choice(
            ENTRY,
            DEFAULT,
            "Configuration of the model zoo, or sha256:… of an admitted one",
            choices=(
                name
                for name, config in zoo.configs().items()
                if config.makes is not zoo.Makes.BOXES
            ),
        ),
        text("classes", PERSON, "What to keep: names of classes, with commas", longest=200),
        number("threshold", 0.7, "Least score of an instance", least=0.01, most=1),
        number("least_share", 0.1, "Least share of the picture of an instance", least=0, most=1),
        integer(
            "short_side", 0, "Shorter side of the input in px, 0: as trained", least=0, most=1333
        ),
        integer("most", 0, "Most instances looked at, 0: as trained", least=0, most=300),
        number("overlap", 0, "Most overlap (IoU) of two instances, 0: as trained", least=0, most=1),
    ),
)
# Smaller, nothing is left of a person; the networks halve their input five times.
SHORTEST_SIDE_PX: Final = 32
# Whose a pixel is fits a byte; those of the best scores are kept.
MOST_INSTANCES: Final = 255

Bools = NDArray[np.bool_]


def load(weights: Path) -> "Detectron2":
    """Load the default configuration, or the first that loads here.

    Others are loaded when they are first asked for.
    Raises SetupFailed when none has weights, ModelNotLoaded when none loads.
    """
    found = entries(weights)
    if not found:
        raise SetupFailed(f"no weights of detectron2 in {weights}: {admitted.REMEDY}")
    models = Shelf(weights)
    first_that_opens(found, models.predictor, kind=shelf.WEIGHTS)
    return Detectron2(models)


def entries(weights: Path) -> list[str]:
    """Return the configurations that have weights in the folder, the default first."""
    found = shelf.shelved(weights)
    names = [
        address
        for address in found
        if address not in zoo.configs() or zoo.find(address).makes is not zoo.Makes.BOXES
    ]
    return sorted(names, key=lambda name: (name != DEFAULT, name))


@dataclass(frozen=True, slots=True)
class Detectron2:
    """Cuts out what its parameters name; any thread may call it."""

    models: Shelf

    def __call__(self, batch: Sequence[Prepared], *, parameters: Parameters) -> list[People]:
        """Return what is wanted of each picture, one matte each, from left to right.

        Raises ParameterRefused when the configuration knows no such class.
        """
        if not batch:
            return []
        address = str_of(parameters, ENTRY)
        predictor = self.models.predictor(address)
        wanted = wanted_of(str_of(parameters, "classes"), address, predictor.classes)
        options = options_of(parameters)
        least_share = float_of(parameters, "least_share")
        counts = not set(wanted).isdisjoint(predictor.classes.things)
        pictures = [prepared.proxy_srgb for prepared in batch]
        return [
            people_of(seen, picture, least_share=least_share, counts=counts)
            for picture, seen in zip(pictures, predictor(pictures, wanted, options), strict=True)
        ]


def wanted_of(told: str, address: str, classes: Classes) -> list[str]:
    """Return the classes that a comma list names.

    address: the configuration's; its data set may call a person something else.
    Raises ParameterRefused naming those that the configuration does not know.
    """
    config = zoo.configs().get(address)
    person = PERSON if config is None else config.person
    names = [name.strip() for name in told.split(",") if name.strip()]
    wanted = [person if name == PERSON and person in classes.all else name for name in names]
    unknown = sorted(set(wanted) - classes.all)
    if unknown or not wanted:
        some = ", ".join(sorted(classes.all)[:12])
        raise ParameterRefused(
            f"{address} knows no class {', '.join(unknown) or repr(told)}; it knows {some} …"
        )
    return wanted


def options_of(parameters: Parameters) -> Options:
    """Return the options of a pass; 0 means what the configuration says."""
    short_side_px = int_of(parameters, "short_side")
    return Options(
        threshold=float_of(parameters, "threshold"),
        short_side_px=max(SHORTEST_SIDE_PX, short_side_px) if short_side_px else None,
        most=int_of(parameters, "most") or None,
        overlap=float_of(parameters, "overlap") or None,
    )


def people_of(seen: Seen, srgb: Srgb8, *, least_share: float, counts: bool) -> People:
    """Return one matte of all that was seen, and one of each instance where they are counted.

    srgb: (H, W, 3) uint8, the picture; least_share: what covers less of it is left out.
    """
    outlines = [one.outline for one in seen.instances if one.outline is not None]
    kept = [outline for outline in outlines if outline.mean() >= least_share and outline.any()]
    kept = kept[:MOST_INSTANCES]
    areas = [area for area in seen.areas.values() if area.mean() >= least_share]
    matte = _matte(kept, srgb)
    persons = split(matte, kept) if counts else None
    return People(np.maximum(matte, _matte(areas, srgb)) if areas else matte, persons)


def _matte(outlines: Sequence[Bools], srgb: Srgb8) -> Matte8:
    """Return the matte of all outlines, its edges drawn to the picture's."""
    if not outlines:
        return np.zeros(srgb.shape[:2], np.uint8)
    return refine(np.logical_or.reduce(outlines).astype(np.float32), srgb)
