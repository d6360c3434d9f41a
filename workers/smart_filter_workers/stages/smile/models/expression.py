"""Smiles and emotions by a small network that predicts the votes of ten raters."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog import parameters as read
from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.results import Smile
from smart_filter_workers.networks.faces import expression
from smart_filter_workers.networks.faces.expression import ExpressionNetwork
from smart_filter_workers.networks.faces.face_mesh import FaceView

RULE: Final = "rule"
CARD: Final = ModelCard(
    name="expression",
    version="1",
    task=TaskName.SMILE,
    family="expression",
    title="Residual network trained on the votes of ten raters",
    source="docs/models/expression.md; Barsoum et al. 2016 (votes), He et al. 2016 (network)",
    license="Apache-2.0",
    data_terms="FERPlus labels MIT; FER2013 pixels without stated terms, gathered from web search",
    commercial=Commercial.NO,
    default=True,
    weights=(expression.WEIGHTS,),
    learns=expression.WEIGHTS.name,
    emotions=True,
    input_size=(expression.CROP_PX, expression.CROP_PX),
    # 3,504 crops of 48 × 48 pixels, FERPlus's public test part; auc: any smile against none.
    quality={
        "accuracy": 0.913,
        "macro_f1": 0.631,
        "kappa": 0.944,
        "auc": 0.991,
        "mae_levels": 0.111,
        "emotion_accuracy": 0.817,
    },
    # A photo of one face, the crop included.
    speed={"cpu_ms": 1.2},
    parameters=(
        read.choice(
            RULE,
            expression.HAPPINESS,
            "Votes that count as a smile",
            choices=(expression.HAPPINESS, expression.HAPPINESS_OR_SURPRISE),
        ),
    ),
)
LEVELS: Final = tuple(SmileLevel)


def load(weights: Path) -> "ExpressionModel":
    """Load the network from the weights folder.  Raises SetupFailed."""
    return ExpressionModel(ExpressionNetwork((weights / expression.WEIGHTS.name).read_bytes()))


@dataclass(frozen=True, slots=True)
class ExpressionModel:
    """Rates faces with the network; the recipe names the rule."""

    network: ExpressionNetwork

    def __call__(self, faces: Sequence[FaceView], *, parameters: Parameters) -> list[Smile]:
        """Return the smile and the emotion of each face; all faces go through at once."""
        if not faces:
            return []
        rule = read.str_of(parameters, RULE)
        crops = np.stack([expression.crop_face(view.picture, view.face) for view in faces])
        ratings = self.network(crops)
        scores = ratings.score(rule)
        levels = expression.to_levels(scores, self.network.cuts[rule])
        return [
            Smile(LEVELS[level], float(score), tuple(map(float, emotion)))
            for level, score, emotion in zip(levels, scores, ratings.emotion, strict=True)
        ]
