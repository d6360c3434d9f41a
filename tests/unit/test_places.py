"""Where the data folder is, without looking."""

from pathlib import Path

import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.places import data_folder


@pytest.mark.parametrize("uid", [0, 1000])
def test_named_data_folder_is_used_by_everybody(uid: int) -> None:
    assert data_folder({"SMART_FILTER_DATA": "/srv/photos"}, uid=uid) == Path("/srv/photos")


def test_data_of_root_lies_with_the_systems() -> None:
    assert data_folder({}, uid=0) == Path("/var/lib/smart-filter")


def test_data_of_a_user_lies_in_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/users/anna")

    assert data_folder({}, uid=1000) == Path("/users/anna/.local/share/smart-filter")


def test_tilde_in_the_named_folder_is_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/users/anna")

    assert data_folder({"SMART_FILTER_DATA": "~/photos"}, uid=0) == Path("/users/anna/photos")


def test_home_that_nobody_has_is_told_with_the_remedy() -> None:
    with pytest.raises(SetupFailed, match="--data or SMART_FILTER_DATA"):
        data_folder({"SMART_FILTER_DATA": "~nobody-of-this-name/x"}, uid=0)
