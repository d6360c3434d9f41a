"""Train detectors from the product's own checked configurations."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_training.annotations import outlines, pictures, splits
from smart_filter_training.annotations.marks import AnnotatedPicture
from smart_filter_training.annotations.splits import SplitOptions, Splits
from smart_filter_training.card import TrainingCard
from smart_filter_training.evaluation import (
    confidence_intervals,
    measure_in_process,
    metrics,
    tasks,
)
from smart_filter_training.evaluation.confidence_intervals import Figure
from smart_filter_training.models.detectron2 import configuration as settings
from smart_filter_training.models.detectron2 import detector
from smart_filter_training.models.detectron2.configuration import (
    FASTER_RCNN,
    MASK_RCNN,
    RETINANET,
    build_network,
)
from smart_filter_training.models.detectron2.detector import Detector
from smart_filter_training.onnx_export import PARITY, Exported
from smart_filter_training.preflight import Finding
from smart_filter_training.run_record import RunRecord
from smart_filter_workers.networks.detectron2 import checkpoints, predictor_cache
from smart_filter_workers.networks.detectron2 import predictor as detectron2_predictor
from smart_filter_workers.networks.detectron2.predictor import (
    BuiltModel,
    Instance,
    PredictOptions,
    Predictor,
)
from smart_filter_workers.results import Bools, Doubles, Matte8
from smart_filter_workers.stages.face.models import detectron2_faces
from smart_filter_workers.stages.segmentation.models import detectron2
from smart_filter_workers.weights import files

# The IoU from which two boxes match.
# Source: Everingham et al. 2010, "The PASCAL visual object classes challenge", section 4.2.
MATCH_IOU: Final = 0.5
# Pictures on which the exported network is compared.
_MAX_COMPARED: Final = 8
# Low enough that networks with little training answer something to compare.
_COMPARED_SCORE: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorModel:
    """A detector that can be trained.

    LABEL: the name of its class, also in annotations unless `label` names another one.
    architectures: the first is the default.  product: the module that runs the weights; kind: its
    kind of weights.  has_outlines: whether it finds outlines too.
    """

    CARD: TrainingCard
    LABEL: str
    architectures: tuple[str, ...]
    product: ModuleType
    kind: str
    has_outlines: bool

    @property
    def Configuration(self) -> type[settings.Configuration]:  # noqa: N802 - a class
        """The settings of a run."""
        return settings.Configuration

    def read_folder(self, folder: Path, configuration: settings.Configuration) -> Splits:
        """Read a folder of annotated pictures.  Raises FolderUnreadable."""
        return splits.read_splits(folder, SplitOptions.read(configuration, self.LABEL))

    def check_data(self, folder: Path, configuration: settings.Configuration) -> Iterator[Finding]:
        """Find the problems of a folder.  Raises FolderUnreadable."""
        yield from splits.check_data(folder, SplitOptions.read(configuration, self.LABEL))

    def train(
        self, data: Splits, configuration: settings.Configuration, record: RunRecord
    ) -> Detector:
        """Train on a folder's pictures, or resume the record's run.  Raises SetupFailed."""
        return detector.train(
            data, configuration, record, architectures=self.architectures, label=self.LABEL
        )

    def compute_figures(self, network: Detector, data: Splits) -> Mapping[str, Figure]:
        """Return precision, recall and F1 of the validation pictures, at MATCH_IOU.

        With outlines, `iou` is the mean over pictures, of all marks in a picture together.
        Raises FolderUnreadable when a picture cannot be decoded.
        """
        predictor = Predictor(network.built)
        options = PredictOptions(threshold=network.configuration.threshold)
        rows = []
        for picture in data.validation:
            (seen,) = predictor([pictures.load(picture)], [self.LABEL], options)
            overlap = _compute_iou(seen.instances, picture) if self.has_outlines else 0.0
            rows.append((*_count_matches(seen.instances, picture), overlap))
        numbers = np.array(rows, np.float64).reshape(-1, 4)
        compute = _figures_with_iou if self.has_outlines else _box_figures
        return confidence_intervals.compute_figures(numbers, compute)

    def export(self, network: Detector, data: Splits, folder: Path) -> Exported:
        """Write the configuration and the weights that `smart-filter models admit` takes.

        Raises SetupFailed when their answers differ from the trained network's.
        """
        weights = folder / self.CARD.file
        config = weights.with_suffix(".yaml")
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(network.text, encoding="utf-8")
        _write_weights(network.built, weights)
        labels = network.built.classes.things
        loaded = build_network(config.read_text(encoding="utf-8"), labels)
        detectron2_predictor.load_weights(
            loaded, checkpoints.parse(files.read_content(weights), weights.name)
        )
        trained, exported = Predictor(network.built), Predictor(loaded)
        options = PredictOptions(threshold=_COMPARED_SCORE)
        worst = 0.0
        for picture in data.validation[:_MAX_COMPARED]:
            srgb = pictures.load(picture)
            (first,), (second,) = (
                predictor([srgb], labels, options) for predictor in (trained, exported)
            )
            worst = max(worst, _difference(first.instances, second.instances, max(srgb.shape)))
        if worst > PARITY:
            raise SetupFailed(
                f"the answers of {weights.name} differ from the trained network's by {worst:.2g},"
                f" at most {PARITY}"
            )
        return Exported(weights, worst)

    def measure(self, file: Path, folder: Path) -> Mapping[str, Figure]:
        """Return the figures of the exported file on a folder, by the product's model.

        file: the exported `.npz`, with its `.yaml` in the same folder; folder: as
        `smart-filter eval` takes it.
        Raises FolderUnreadable, and SetupFailed when the product refuses the file.
        """
        with self._admit(file) as (weights, parameters):
            model = partial(
                self.product.load(weights), parameters=self.product.CARD.completed(parameters)
            )
            return measure_in_process.measure_model(tasks.get_task(self.CARD.task), model, folder)

    @contextmanager
    def _admit(self, file: Path) -> Iterator[tuple[Path, Parameters]]:
        """Yield a temporary weights folder with the exported network, and its parameters."""
        names = (self.LABEL,)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            config = file.with_suffix(".yaml")
            address = predictor_cache.admit_config(config, folder, names=names).address
            predictor_cache.admit_weights(file, folder, config=address, names=names, kind=self.kind)
            yield folder, {ENTRY_PARAMETER: address}


FACES: Final = DetectorModel(
    CARD=TrainingCard(
        TaskName.FACE,
        "detectron2-faces",
        "detectron2-faces.npz",
        ("torch", "detectron2", "tensorboard"),
    ),
    LABEL="face",
    architectures=(FASTER_RCNN, RETINANET),
    product=detectron2_faces,
    kind=predictor_cache.FACES_KIND,
    has_outlines=False,
)
PERSONS: Final = DetectorModel(
    CARD=TrainingCard(
        TaskName.SEGMENTATION,
        "detectron2",
        "detectron2.npz",
        ("torch", "detectron2", "pycocotools", "tensorboard"),
    ),
    LABEL="person",
    architectures=(MASK_RCNN,),
    product=detectron2,
    kind=predictor_cache.WEIGHTS_KIND,
    has_outlines=True,
)


def _write_weights(network: BuiltModel, path: Path) -> None:
    """Write a network's weights as an `.npz` of arrays, in one step."""
    state = network.model.state_dict()
    arrays = {name: value.detach().cpu().numpy() for name, value in state.items()}
    partial_file = path.with_name(f"{path.name}.part")
    with partial_file.open("wb") as file:
        np.savez(file, **arrays)
    partial_file.replace(path)


def _count_matches(seen: Sequence[Instance], picture: AnnotatedPicture) -> tuple[int, int, int]:
    """Return the numbers of right, wrong and missed boxes; a match with a crowd does not count."""
    boxes = [each.box for each in sorted(seen, key=lambda each: each.score, reverse=True)]
    truth = [mark.box for mark in picture.marks if not mark.is_crowd]
    crowds = [mark.box for mark in picture.marks if mark.is_crowd]
    matches = metrics.match_boxes(boxes, truth, least=MATCH_IOU)
    others = [box for box, mark in zip(boxes, matches, strict=True) if mark is None]
    crowd_matches = metrics.match_boxes(others, crowds, least=MATCH_IOU)
    right = sum(mark is not None for mark in matches)
    return right, sum(mark is None for mark in crowd_matches), len(truth) - right


def _compute_iou(instances: Sequence[Instance], picture: AnnotatedPicture) -> float:
    """Return the IoU of all outlines together with all marks; crowds do not count."""
    size = (picture.height, picture.width)
    matte, truth, crowd = (np.zeros(size, np.bool_) for _ in range(3))
    for instance in instances:
        if instance.outline is not None:
            matte |= instance.outline
    for mark in picture.marks:
        inside = outlines.draw(mark, picture.width, picture.height)
        (crowd if mark.is_crowd else truth)[inside] = True
    return metrics.matte_iou(_to_matte(matte), _to_matte(truth), ~crowd)


def _to_matte(inside: Bools) -> Matte8:
    return np.where(inside, np.uint8(255), np.uint8(0))


def _box_figures(numbers: Doubles, weights: Doubles) -> Mapping[str, float]:
    right, wrong, missed = (float(total) for total in weights @ numbers[:, :3])
    values = metrics.precision_recall_f1(right, wrong, missed)
    return dict(zip(("precision", "recall", "f1"), values, strict=True))


def _figures_with_iou(numbers: Doubles, weights: Doubles) -> Mapping[str, float]:
    iou = metrics.weighted_mean(numbers[:, 3], weights)
    return {**_box_figures(numbers, weights), "iou": iou}


def _difference(first: Sequence[Instance], second: Sequence[Instance], side_px: int) -> float:
    """Return the largest difference of scores, and of boxes as shares of a picture's side."""
    if len(first) != len(second):
        return 1.0
    rows = [
        np.array([(*(side / side_px for side in each.box), each.score) for each in instances])
        for instances in (first, second)
    ]
    return float(np.abs(rows[0] - rows[1]).max(initial=0.0))
