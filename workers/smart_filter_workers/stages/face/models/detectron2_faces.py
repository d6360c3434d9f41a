"""Faces by a detectron2 model: any of its box configurations that was trained on faces."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
)
from smart_filter_workers import admitted
from smart_filter_workers.networks.detectron2 import shelf
from smart_filter_workers.networks.detectron2.predictor import Instance, Options
from smart_filter_workers.networks.detectron2.shelf import Shelf
from smart_filter_workers.networks.shelf import first_that_opens
from smart_filter_workers.networks.usual_landmarks import landmarks_of
from smart_filter_workers.results import Face, Srgb8

FACE: Final = "face"

CARD: Final = ModelCard(
    name="detectron2-faces",
    version="1",
    task=TaskName.FACE,
    family="detectron2-faces",
    title="Faces by a detectron2 model of your own",
    source="facebookresearch/detectron2; weights are admitted, docs/detectron2.md",
    # Those of whoever trained the weights.
    licence="LicenseRef-weights",
    data_terms="those of the photos that the admitted weights were trained on",
    batch_size=4,
    devices=("cuda", "cpu"),
    requires=("torch", "detectron2"),
    extra="detectron2",
    parameters=(
        choice(ENTRY, "", "Configuration that was admitted for faces", choices=()),
        number("threshold", 0.7, "Least score of a face", least=0.01, most=1),
        integer("short_side", 0, "Shorter side of input in px, 0: as trained", least=0, most=1333),
        integer("most", 0, "Most faces looked for, 0: as trained", least=0, most=300),
    ),
)
SHORTEST_SIDE_PX: Final = 32


def load(weights: Path) -> "Detectron2Faces":
    """Load the first configuration admitted for faces that loads.

    Raises SetupFailed when there is none, ModelNotLoaded when none loads.
    """
    found = entries(weights)
    if not found:
        raise SetupFailed(f"no weights of {CARD.name} in {weights}: {admitted.REMEDY}")
    models = Shelf(weights, kind=shelf.FACES)
    first_that_opens(found, models.predictor, kind=shelf.FACES)
    return Detectron2Faces(models)


def entries(weights: Path) -> list[str]:
    """Return the configurations that have weights for faces in the folder."""
    return sorted(shelf.shelved(weights, kind=shelf.FACES))


@dataclass(frozen=True, slots=True)
class Detectron2Faces:
    """Finds faces; any thread may call it."""

    models: Shelf

    def __call__(
        self, pictures: Sequence[Srgb8], *, parameters: Parameters
    ) -> list[tuple[Face, ...]]:
        """Return the faces of each picture, best score first, in its pixels.

        The landmarks are where they usually are in a box: such models draw boxes only.
        Raises ParameterRefused when the configuration knows no faces.
        """
        if not pictures:
            return []
        address = str_of(parameters, ENTRY)
        predictor = self.models.predictor(address)
        if FACE not in predictor.classes.things:
            raise ParameterRefused(f"{address} knows no class {FACE}")
        short_side_px = int_of(parameters, "short_side")
        options = Options(
            threshold=float_of(parameters, "threshold"),
            short_side_px=max(SHORTEST_SIDE_PX, short_side_px) if short_side_px else None,
            most=int_of(parameters, "most") or None,
        )
        return [
            tuple(_face(one) for one in seen.instances)
            for seen in predictor(pictures, [FACE], options)
        ]


def _face(instance: Instance) -> Face:
    left, top, right, bottom = instance.box
    box = (left, top, right - left, bottom - top)
    return Face(box=box, score=min(1.0, instance.score), landmarks=landmarks_of(box))
