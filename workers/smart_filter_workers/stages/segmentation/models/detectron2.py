"""detectron2: segment persons or other classes by a configuration of its model zoo."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER, Commercial, ModelCard
from smart_filter_shared.catalog.parameters import (
    Parameters,
    choice,
    float_of,
    int_of,
    integer,
    number,
    str_of,
    text,
)
from smart_filter_shared.errors import ParameterRefused, SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.networks.detectron2 import predictor_cache
from smart_filter_workers.networks.detectron2.predictor import (
    ClassNames,
    Prediction,
    PredictOptions,
)
from smart_filter_workers.networks.detectron2.predictor_cache import PredictorCache
from smart_filter_workers.networks.runtimes.network_cache import open_first
from smart_filter_workers.results import Bools, Matte8, PreparedPhoto, Srgb8
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.people.separation import split_by_person
from smart_filter_workers.weights import allowlist

DEFAULT: Final = "COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x"
PERSON_CLASS: Final = "person"

CARD: Final = ModelCard(
    name="detectron2",
    version="1",
    task=TaskName.SEGMENTATION,
    family="detectron2",
    title="detectron2: instance, panoptic and semantic models of its zoo",
    source="facebookresearch/detectron2, MODEL_ZOO.md; weights are admitted, docs/detectron2.md",
    license="CC-BY-SA-3.0",
    data_terms="by configuration: COCO, LVIS or Cityscapes; the pictures keep their own terms",
    commercial=Commercial.ASK,
    # Batch size of one GPU pass; on a CPU each photo has a pass of its own.
    batch_size=4,
    devices=("cuda", "cpu"),
    requires=("torch", "detectron2"),
    instances=True,
    parameters=(
        choice(
            ENTRY_PARAMETER,
            DEFAULT,
            "Configuration of the model zoo, or sha256:… of an admitted one",
            choices=(
                name
                for name, config in predictor_cache.list_configs().items()
                if config.makes is not predictor_cache.OutputKind.BOXES
            ),
        ),
        text("classes", PERSON_CLASS, "Classes to keep, separated by commas", longest=200),
        number("threshold", 0.7, "Least score of an instance", least=0.01, most=1),
        number("least_share", 0.1, "Smallest instance, as a share of the picture", least=0, most=1),
        integer(
            "short_side", 0, "Shorter side of the input in px, 0: as trained", least=0, most=1333
        ),
        integer("most", 0, "Most instances to look at, 0: as trained", least=0, most=300),
        number("overlap", 0, "Most overlap (IoU) of two instances, 0: as trained", least=0, most=1),
    ),
)
# Below this nothing is left of a person: the networks halve their input five times.
SHORTEST_SIDE_PX: Final = 32
# The instance map stores a person's number in one byte; the best scores are kept.
MAX_INSTANCES: Final = 255


def load(weights: Path) -> "Detectron2":
    """Load the default configuration, or the first that loads on this machine.

    Others are loaded on first use.
    Raises SetupFailed when none has weights, ModelNotLoaded when none loads.
    """
    addresses = entries(weights)
    if not addresses:
        raise SetupFailed(f"no weights of detectron2 in {weights}: {allowlist.REMEDY}")
    models = PredictorCache(weights)
    open_first(addresses, models.predictor, kind=predictor_cache.WEIGHTS_KIND)
    return Detectron2(models)


def entries(weights: Path) -> list[str]:
    """Return the configurations that have weights in the folder, the default first."""
    models = predictor_cache.list_models(weights)
    names = [
        address
        for address in models
        if address not in predictor_cache.list_configs()
        or predictor_cache.find(address).makes is not predictor_cache.OutputKind.BOXES
    ]
    return sorted(names, key=lambda name: (name != DEFAULT, name))


@dataclass(frozen=True, slots=True)
class Detectron2:
    """Segments the classes that its parameters name; any thread may call it."""

    models: PredictorCache

    def __call__(self, batch: Sequence[PreparedPhoto], *, parameters: Parameters) -> list[People]:
        """Return the instances of the requested classes in each picture, from left to right.

        Raises ParameterRefused when the configuration has no such class.
        """
        if not batch:
            return []
        address = str_of(parameters, ENTRY_PARAMETER)
        predictor = self.models.predictor(address)
        wanted = parse_classes(str_of(parameters, "classes"), address, predictor.classes)
        options = read_options(parameters)
        least_share = float_of(parameters, "least_share")
        counts = not set(wanted).isdisjoint(predictor.classes.things)
        pictures = [prepared.proxy_srgb for prepared in batch]
        return [
            to_people(seen, picture, least_share=least_share, counts=counts)
            for picture, seen in zip(pictures, predictor(pictures, wanted, options), strict=True)
        ]


def parse_classes(text_list: str, address: str, classes: ClassNames) -> list[str]:
    """Return the classes that a comma-separated list names.

    address: the configuration; its data set may use another name for a person.
    Raises ParameterRefused naming the classes that the configuration does not have.
    """
    config = predictor_cache.list_configs().get(address)
    person = PERSON_CLASS if config is None else config.person
    names = [name.strip() for name in text_list.split(",") if name.strip()]
    wanted = [person if name == PERSON_CLASS and person in classes.all else name for name in names]
    unknown = sorted(set(wanted) - classes.all)
    if unknown or not wanted:
        some = ", ".join(sorted(classes.all)[:12])
        raise ParameterRefused(
            f"{address} has no class {', '.join(unknown) or repr(text_list)}; it has {some} …"
        )
    return wanted


def read_options(parameters: Parameters) -> PredictOptions:
    """Return the options of a pass; 0 means the configuration's own value."""
    short_side_px = int_of(parameters, "short_side")
    return PredictOptions(
        threshold=float_of(parameters, "threshold"),
        short_side_px=max(SHORTEST_SIDE_PX, short_side_px) if short_side_px else None,
        most=int_of(parameters, "most") or None,
        overlap=float_of(parameters, "overlap") or None,
    )


def to_people(seen: Prediction, srgb: Srgb8, *, least_share: float, counts: bool) -> People:
    """Return one matte of all that was found, and one of each instance if they are countable.

    srgb: (H, W, 3) uint8, the picture; least_share: smaller instances and areas are left out.
    """
    outlines = [instance.outline for instance in seen.instances if instance.outline is not None]
    kept = [outline for outline in outlines if outline.mean() >= least_share and outline.any()]
    kept = kept[:MAX_INSTANCES]
    areas = [area for area in seen.areas.values() if area.mean() >= least_share]
    matte = _matte(kept, srgb)
    persons = split_by_person(matte, kept) if counts else None
    return People(np.maximum(matte, _matte(areas, srgb)) if areas else matte, persons)


def _matte(outlines: Sequence[Bools], srgb: Srgb8) -> Matte8:
    """Return the matte of all outlines, its edges aligned to the picture's."""
    if not outlines:
        return np.zeros(srgb.shape[:2], np.uint8)
    return refine_edges(np.logical_or.reduce(outlines).astype(np.float32), srgb)
