"""The catalogue: what it says of a model's file that is no such file."""

from pathlib import Path

import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers import catalogue
from smart_filter_workers.stages.segmentation import models

BAD_CARD = """
from smart_filter_shared.cards import ModelCard
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
        catalogue.find()

    assert "\n" not in str(caught.value)
