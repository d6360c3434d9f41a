"""What files of pictures may be."""

import os
from pathlib import Path

import pytest

from smart_filter_shared.errors import PictureRefused
from smart_filter_workers.stock import files
from smart_filter_workers.stock.keeping import MAX_BYTES


def test_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "moss.jpg"
    path.write_bytes(b"moss")

    assert files.read(path) == b"moss"


def test_what_never_ends_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)

    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(PictureRefused, match="no regular file"):
            files.read(path)


def test_large_file_is_refused_by_its_length(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(3 * MAX_BYTES)

    with pytest.raises(PictureRefused, match=f"it has {3 * MAX_BYTES} bytes"):
        files.read(path)
