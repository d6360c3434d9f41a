"""The torch part of detectron2's adapter, on a small torch network: always run.

The network answers like a semantic model of detectron2: a score of each class by pixel.
"""

import types
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests.pictures import ODD_SIZES, half_red, noise
from smart_filter_tests.threads import run_in_threads
from smart_filter_workers.networks.detectron2 import predictor as detectron2_predictor
from smart_filter_workers.networks.detectron2.checkpoints import Arrays, Checkpoint
from smart_filter_workers.networks.detectron2.predictor import (
    BuiltModel,
    ClassNames,
    Prediction,
    PredictOptions,
    Predictor,
)
from smart_filter_workers.results import Srgb8

CLASSES = ClassNames(things=(), stuff=("person", "sky"))
OPTIONS = PredictOptions(threshold=0.5)


class RedIsPeople(torch.nn.Module):
    """Scores by a 1 × 1 convolution; records the conditions of its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = torch.nn.Conv2d(3, 2, kernel_size=1)
        self.test_score_thresh = 0.05
        self.calls: list[tuple[int, float, bool, torch.dtype]] = []

    def forward(self, inputs: Sequence[dict[str, torch.Tensor]]) -> list[dict[str, torch.Tensor]]:
        scores = [self.scores(input_["image"][None]) for input_ in inputs]
        self.calls.append(
            (len(inputs), self.test_score_thresh, scores[0].requires_grad, scores[0].dtype)
        )
        return [
            {"sem_seg": torch.nn.functional.interpolate(score, (of["height"], of["width"]))[0]}
            for score, of in zip(scores, inputs, strict=True)
        ]


def arrays() -> dict[str, np.ndarray]:
    """Return weights that treat red pixels as people; the third channel is red, as in BGR."""
    kernel = np.zeros((2, 3, 1, 1), np.float32)
    kernel[0, 2] = 1
    return {"scores.weight": kernel, "scores.bias": np.array([0, 100], np.float32)}


def built(given: Arrays | None = None) -> BuiltModel:
    options = types.SimpleNamespace(MIN_SIZE_TEST=64, MAX_SIZE_TEST=128, FORMAT="BGR")
    empty = BuiltModel(RedIsPeople(), types.SimpleNamespace(INPUT=options), CLASSES, "cpu")
    detectron2_predictor.load_weights(empty, Checkpoint(arrays() if given is None else given))
    return empty


def people(predictor: Predictor, *pictures: Srgb8) -> list[Prediction]:
    return predictor(pictures, ["person"], OPTIONS)


def test_red_is_found_at_its_place() -> None:
    (seen,) = people(Predictor(built()), half_red(64, 128))

    assert seen.areas.keys() == {"person"}
    assert seen.areas["person"][:, :60].all()
    assert not seen.areas["person"][:, 68:].any()


def test_batch_of_any_sizes_gives_what_one_by_one_gives_in_every_thread() -> None:
    pictures = [half_red(64, 64), *(noise(*size) for size in ODD_SIZES)]
    predictor = Predictor(built())

    together = people(predictor, *pictures)

    # Four threads, as a worker may have.
    alone = run_in_threads(4, lambda: [people(predictor, picture)[0] for picture in pictures])
    for seen in alone:
        for prediction, other, picture in zip(together, seen, pictures, strict=True):
            assert prediction.areas["person"].shape == picture.shape[:2]
            assert np.array_equal(prediction.areas["person"], other.areas["person"])


def test_call_uses_full_precision_without_gradients_and_restores_options() -> None:
    model = built()

    people(Predictor(model), noise(64, 64))

    ((_, threshold, requires_grad, dtype),) = model.model.calls
    assert (threshold, requires_grad, dtype) == (OPTIONS.threshold, False, torch.float32)
    assert model.model.test_score_thresh == 0.05


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            arrays() | {"scores.weight": np.zeros((2, 3, 3, 3), np.float32)},
            r"another shape of scores\.weight",
        ),
        ({"scores.weight": arrays()["scores.weight"]}, r"lacks scores\.bias"),
        (arrays() | {"other.bias": np.zeros(1, np.float32)}, r"the extra array other\.bias"),
    ],
    ids=["another shape", "missing", "too many"],
)
def test_weights_that_do_not_fit_are_refused_by_name(given: Arrays, words: str) -> None:
    with pytest.raises(SetupFailed, match=words):
        built(given)
