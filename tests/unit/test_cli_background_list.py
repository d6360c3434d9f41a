"""Backgrounds as they are listed for people and programs."""

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


def test_unknown_pictures_are_not_listed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    background_list.show(None)

    assert "pictures" not in capsys.readouterr().out


def test_documents_hold_moods_and_tags() -> None:
    rainbow = next(one for one in background_list.documents([]) if one["name"] == "rainbow")

    assert rainbow["source"] == "generated"
    assert rainbow["moods"]
    assert rainbow["tags"]
