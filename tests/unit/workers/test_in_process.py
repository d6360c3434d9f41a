"""The stages of a job in one process."""

from pathlib import Path

import pytest

from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.recipe import Edge, Recipe, Subject
from smart_filter_workers.in_process import InProcess
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache

BEST = next(card for card in catalog.discover_models().cards if card.best_edge)


@pytest.mark.parametrize(
    ("recipe", "has_weights", "is_best"),
    [
        (Recipe(edge=Edge.BEST), True, True),
        (Recipe(edge=Edge.BEST), False, False),
        (Recipe(edge=Edge.BEST, subject=Subject.ANY), True, False),
        (Recipe(edge=Edge.BEST, models={TaskName.SEGMENTATION: "selfie"}), True, False),
        (Recipe(), True, False),
    ],
)
def test_best_edge_is_cut_out_by_its_model_where_its_weights_are(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    recipe: Recipe,
    has_weights: bool,
    is_best: bool,
) -> None:
    monkeypatch.setattr(ModelCache, "for_stage", lambda _, names, __: names)
    monkeypatch.setattr(catalog, "missing_packages", lambda _: ())
    for file in BEST.weights if has_weights else ():
        (tmp_path / file.name).touch()

    chosen = InProcess(tmp_path).choose_models(StageName.SEGMENTATION, recipe)

    assert (chosen[TaskName.SEGMENTATION] == BEST.name) is is_best
