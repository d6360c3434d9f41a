"""A service whose operator turned research weights off: a photo is rated without them."""

from pathlib import Path

import pytest

from smart_filter_tests.running import ENGINE, running


@pytest.mark.slow
def test_without_research_weights_a_photo_is_rated_by_geometry(
    data_folder: Path, weights_folder: Path
) -> None:
    told = {**ENGINE, "SMART_FILTER_RESEARCH_WEIGHTS": "off"}

    with running(data_folder / "research", weights_folder, told) as stack:
        offered = stack.client.get("/v1/models").json()["items"]
        job = stack.run(outputs="faces")

    smile = next(stage for stage in job["stages"] if stage["name"] == "smile")
    assert (job["state"], smile["model"]) == ("succeeded", "geometry")
    assert [face["emotion"] for face in job["faces"]] == [None]
    assert [card["name"] for card in offered if card["research"]] == []
    assert "geometry" in {card["name"] for card in offered if card["default"]}
