from pathlib import Path

import pytest

from smart_filter_shared import container_memory
from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.system import memory


@pytest.mark.parametrize(
    ("second_version", "first_version", "limit"),
    [
        ("536870912\n", None, 536870912),
        ("max\n", None, None),
        (None, "268435456\n", 268435456),
        (None, None, None),
    ],
)
def test_limit_is_read_with_either_version_of_cgroups(
    tmp_path: Path, second_version: str | None, first_version: str | None, limit: int | None
) -> None:
    places = (tmp_path / "memory.max", tmp_path / "memory.limit_in_bytes")
    for place, text in zip(places, (second_version, first_version), strict=True):
        if text is not None:
            place.write_text(text)

    assert container_memory.read_limit(places) == limit


def test_worker_in_too_little_memory_names_the_limit_and_the_remedy() -> None:
    memory.ensure_enough(256e6)

    with pytest.raises(SetupFailed, match=r"limit of 64 MB is too small .* raise the limit"):
        memory.ensure_enough(64e6)
