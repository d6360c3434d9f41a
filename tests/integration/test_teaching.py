"""A model of the catalog labels photos for another one to learn from."""

from pathlib import Path

import pytest

from smart_filter_tests import drawn_people
from smart_filter_training.models.unet import pairs, teaching


@pytest.mark.slow
def test_teacher_labels_photos_once_and_records_its_name(
    tmp_path: Path, weights_folder: Path
) -> None:
    photos = drawn_people.folder(tmp_path / "photos", 2) / "images"
    into = tmp_path / "taught"
    teaching.teach(photos, into, teacher="selfie", weights=weights_folder)
    first = (into / "masks" / "drawn_000.png").stat().st_mtime_ns

    teaching.teach(photos, into, teacher="selfie", weights=weights_folder)

    assert [pair.name for pair in pairs.find_pairs(into)] == ["drawn_000", "drawn_001"]
    assert (into / "masks" / "drawn_000.png").stat().st_mtime_ns == first
    assert '"teacher": "selfie"' in (into / teaching.PROVENANCE).read_text()
