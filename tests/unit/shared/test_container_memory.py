from pathlib import Path
from typing import cast

import pytest

from smart_filter_shared import container_memory
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import StageName
from smart_filter_workers.system import resources


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


def test_limit_is_read_in_the_cgroup_namespace_of_the_machine(tmp_path: Path) -> None:
    groups = tmp_path / "cgroup"
    groups.write_text("1:name=systemd:/\n0::/docker/abc\n")
    group = tmp_path / "docker" / "abc"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("268435456\n")

    places = container_memory.list_places(tmp_path, groups)

    assert container_memory.read_limit(places) == 268435456


@pytest.mark.parametrize(
    ("is_container", "has_cgroups", "is_hidden"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
def test_limit_is_hidden_in_a_container_without_cgroups(
    tmp_path: Path, *, is_container: bool, has_cgroups: bool, is_hidden: bool
) -> None:
    place, mark = tmp_path / "memory.max", tmp_path / ".dockerenv"
    if has_cgroups:
        place.write_text("max\n")
    if is_container:
        mark.touch()

    assert container_memory.is_hidden([place], [mark]) is is_hidden


def test_process_in_too_little_memory_names_the_limit_and_the_remedy() -> None:
    container_memory.ensure_enough("the API", needed=130e6, available=130e6)

    with pytest.raises(SetupFailed) as refused:
        container_memory.ensure_enough("the API", needed=130e6, available=64e6)

    assert str(refused.value) == (
        "the memory limit of 64 MB is too small for the API, which needs at least 130 MB: raise"
        " the limit of the container"
    )


def test_worker_needs_memory_for_the_models_of_its_stages() -> None:
    available = 280e6
    resources.ensure_enough([StageName.SMILE], [], available=available)
    resources.ensure_enough([StageName.SEGMENTATION], ["selfie"], available=available)

    with pytest.raises(SetupFailed, match="too small for a worker of segmentation, face, which"):
        resources.ensure_enough([StageName.SEGMENTATION, StageName.FACE], [], available=available)


def test_worker_of_an_added_stage_needs_memory_like_one_without_models() -> None:
    added = cast("StageName", "sharpness")

    resources.ensure_enough([added], [], available=170e6)

    with pytest.raises(SetupFailed, match="too small for a worker of sharpness, which"):
        resources.ensure_enough([added], [], available=169e6)
