"""Faces by a detectron2 model: any of its box configurations that was trained on faces."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import ENTRY_PARAMETER, Commercial, ModelCard
from smart_filter_shared.catalog.parameters import (
    Parameters,
    choice,
    float_of,
    int_of,
    integer,
    number,
    str_of,
)
from smart_filter_shared.errors import ParameterRefused, SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import Face
from smart_filter_workers.networks.coordinates import estimate_landmarks
from smart_filter_workers.networks.detectron2 import predictor_cache
from smart_filter_workers.networks.detectron2.predictor import Instance, PredictOptions
from smart_filter_workers.networks.detectron2.predictor_cache import PredictorCache
from smart_filter_workers.networks.runtimes.network_cache import open_first
from smart_filter_workers.results import Srgb8
from smart_filter_workers.weights import allowlist

FACE_CLASS: Final = "face"

CARD: Final = ModelCard(
    name="detectron2-faces",
    version="1",
    task=TaskName.FACE,
    family="detectron2-faces",
    title="Faces by a detectron2 model of your own",
    source="facebookresearch/detectron2; weights are admitted, docs/detectron2.md",
    # The license of the admitted weights applies.
    license="LicenseRef-weights",
    data_terms="those of the photos that the admitted weights were trained on",
    commercial=Commercial.ASK,
    batch_size=4,
    devices=("cuda", "cpu"),
    requires=("torch", "detectron2"),
    parameters=(
        choice(ENTRY_PARAMETER, "", "Configuration that was admitted for faces", choices=()),
        number("threshold", 0.7, "Least score of a face", least=0.01, most=1),
        integer("short_side", 0, "Shorter side of input in px, 0: as trained", least=0, most=1333),
        integer("most", 0, "Most faces to look for, 0: as trained", least=0, most=300),
    ),
)
SHORTEST_SIDE_PX: Final = 32


def load(weights: Path) -> "Detectron2Faces":
    """Load the first configuration admitted for faces that loads.

    Raises SetupFailed when there is none, ModelNotLoaded when none loads.
    """
    addresses = entries(weights)
    if not addresses:
        raise SetupFailed(f"no weights of {CARD.name} in {weights}: {allowlist.REMEDY}")
    models = PredictorCache(weights, kind=predictor_cache.FACES_KIND)
    open_first(addresses, models.predictor, kind=predictor_cache.FACES_KIND)
    return Detectron2Faces(models)


def entries(weights: Path) -> list[str]:
    """Return the configurations that have weights for faces in the folder."""
    return sorted(predictor_cache.list_models(weights, kind=predictor_cache.FACES_KIND))


@dataclass(frozen=True, slots=True)
class Detectron2Faces:
    """Finds faces; any thread may call it."""

    models: PredictorCache

    def __call__(
        self,
        pictures: Sequence[Srgb8],
        proposals: Sequence[tuple[Face, ...]] = (),  # noqa: ARG002 - finds its own faces
        *,
        parameters: Parameters,
    ) -> list[tuple[Face, ...]]:
        """Return the faces of each picture, best score first, in its pixels.

        Such models return boxes only: the landmarks are at their mean positions in the box.
        Raises ParameterRefused when the configuration has no class for faces.
        """
        if not pictures:
            return []
        address = str_of(parameters, ENTRY_PARAMETER)
        predictor = self.models.predictor(address)
        if FACE_CLASS not in predictor.classes.things:
            raise ParameterRefused(f"{address} has no class {FACE_CLASS}")
        short_side_px = int_of(parameters, "short_side")
        options = PredictOptions(
            threshold=float_of(parameters, "threshold"),
            short_side_px=max(SHORTEST_SIDE_PX, short_side_px) if short_side_px else None,
            most=int_of(parameters, "most") or None,
        )
        return [
            tuple(_face(instance) for instance in seen.instances)
            for seen in predictor(pictures, [FACE_CLASS], options)
        ]


def _face(instance: Instance) -> Face:
    left, top, right, bottom = instance.box
    box = (left, top, right - left, bottom - top)
    return Face(box=box, score=min(1.0, instance.score), landmarks=estimate_landmarks(box))
