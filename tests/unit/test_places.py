"""Where the data folder is, without looking."""

from pathlib import Path

import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.places import data_folder


@pytest.mark.parametrize(
    ("named", "uid", "folder"),
    [
        ("/srv/photos", 0, "/srv/photos"),
        ("/srv/photos", 1000, "/srv/photos"),
        ("~/photos", 0, "/users/anna/photos"),
        (None, 0, "/var/lib/smart-filter"),
        (None, 1000, "/users/anna/.local/share/smart-filter"),
    ],
)
def test_data_folder_is_the_named_one_or_that_of_the_user(
    monkeypatch: pytest.MonkeyPatch, named: str | None, uid: int, folder: str
) -> None:
    monkeypatch.setenv("HOME", "/users/anna")
    environment = {} if named is None else {"SMART_FILTER_DATA": named}

    assert data_folder(environment, uid=uid) == Path(folder)


def test_unknown_home_is_refused_with_the_remedy() -> None:
    with pytest.raises(SetupFailed, match="--data or SMART_FILTER_DATA"):
        data_folder({"SMART_FILTER_DATA": "~nobody-of-this-name/x"}, uid=0)
