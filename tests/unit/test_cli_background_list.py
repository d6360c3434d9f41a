"""What people and programs are told of the backgrounds that there are."""

import pytest

from smart_filter_deploy.cli import background_list
from smart_filter_shared.presets import PRESETS


def test_every_design_is_listed_under_its_family(capsys: pytest.CaptureFixture[str]) -> None:
    background_list.show([])

    lines = capsys.readouterr().out.splitlines()
    listed = {
        (line.split()[0], name.strip())
        for line in lines
        if line.startswith("  ")
        for name in line.strip().partition("  ")[2].split(",")
    }
    assert listed == {(preset.family, preset.name) for preset in PRESETS}
    assert any("backgrounds add" in line for line in lines)


def test_nothing_is_said_of_pictures_that_nobody_could_be_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    background_list.show(None)

    assert "pictures" not in capsys.readouterr().out


def test_programs_are_told_moods_and_tags() -> None:
    rainbow = next(one for one in background_list.documents([]) if one["name"] == "rainbow")

    assert rainbow["source"] == "generated"
    assert rainbow["moods"]
    assert rainbow["tags"]
