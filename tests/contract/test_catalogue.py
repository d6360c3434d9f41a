"""The catalog: the docs' example of a model file is found, a wrong one is named."""

import textwrap
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_tests.pictures import prepared_photo
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.stages.segmentation import models
from smart_filter_workers.stages.segmentation.models.base import Segmenter
from smart_filter_workers.system import resources

BAD_CARD = """
from smart_filter_shared.catalog.model_card import ModelCard
CARD = ModelCard(
    name="mine",
)
"""


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("bad_card", BAD_CARD, "TypeError: .*missing .*'data_terms'"),
        ("bad_syntax", "def load(", "SyntaxError: "),
        ("no_card", "def load(weights): ...", "it needs a CARD"),
    ],
)
def test_wrong_model_file_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, why: str
) -> None:
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])

    with pytest.raises(SetupFailed, match=rf"segmentation\.models\.{name}: {why}") as caught:
        catalog.discover_models()

    assert "\n" not in str(caught.value)


def test_model_file_of_the_docs_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    part = page.partition("## Adding a model")[2]
    indented = [line for line in part.splitlines()[1:] if not line or line.startswith("    ")]
    (tmp_path / "bright.py").write_text(textwrap.dedent("\n".join(indented)))
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])

    known = ModelCache(catalog.discover_models(), tmp_path, memory_limit=resources.get_limit(None))
    task = TaskName.SEGMENTATION
    model = cast("Segmenter", known.for_stage({task: "bright"}, {task: {"least": 0.2}})[task])
    (people,) = model([prepared_photo(np.full((8, 8, 3), 60, np.uint8))])

    assert people.matte.min() == 255
