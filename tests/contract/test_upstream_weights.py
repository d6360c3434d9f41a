"""Weights from upstream addresses: fetched by digest, tried, listed; or nothing is left."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests import networks, web
from smart_filter_tests.web import Site
from smart_filter_workers import admitted, catalogue, downloads, upstream, weights
from smart_filter_workers.networks.handling import Answer, Handling
from smart_filter_workers.upstream import Remote, Upstream

NETWORK = networks.red_is_people()
DIGEST = hashlib.sha256(NETWORK).hexdigest()
HANDLING = Handling(networks.SIDE_PX, networks.SIDE_PX)


@pytest.fixture
def site() -> Iterator[Site]:
    """A server on this machine that has the network at /net.onnx."""
    with web.a_site({"/net.onnx": has(NETWORK)}) as site:
        yield site


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def has(content: bytes) -> bytes:
    return web.ok(content, connection="close")


def leads_to(location: str) -> bytes:
    return web.answer(302, location=location, content__length="0", connection="close")


def asked(site: Site) -> list[str]:
    """Return the paths that were requested, in order."""
    return [head.split(b" ")[1].decode() for head in site.requests]


def an_entry(site: Site, **file: object) -> Upstream:
    """Return an entry whose file is the site's network, but for these fields."""
    remote = Remote(f"{site.url}/net.onnx", DIGEST, len(NETWORK))
    remote = replace(remote, **file)  # type: ignore[arg-type]  # its fields
    return Upstream("onnx", "red", "", "", "Apache-2.0", "none", (remote,), HANDLING)


def pull(folder: Path, entry: Upstream, *, sha256: str = "", admit: bool = False) -> list[str]:
    """Pull over plain HTTP, which only /forbidden does not permit; return the digests."""
    fetched = upstream.pull(
        folder,
        entry,
        sha256=sha256,
        admit=admit,
        permits=lambda address: address.path != "/forbidden",
    )
    return [file.sha256 for file in fetched]


def left_in(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in files)


def test_every_entry_of_the_manifest_has_terms_a_known_model_and_https_addresses() -> None:
    entries = upstream.manifest()

    wanted = "u2net u2netp u2net-human-seg isnet-general-use modnet birefnet-lite".split()
    assert {f"onnx/{name}" for name in wanted} <= entries.keys()
    assert "detectron2/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x" in entries
    assert all(entry.licence and entry.data_terms for entry in entries.values())
    models = {card.name for card in catalogue.find().cards}
    assert {entry.model for entry in entries.values()} <= models
    files = [file for entry in entries.values() for file in entry.files]
    assert all(downloads.is_https(httpx.URL(file.address)) for file in files if file.address)


def test_every_network_of_yolo_separates_persons_and_none_of_onnx() -> None:
    answers = {
        (entry.model, entry.handling.answer is Answer.MATTE)
        for entry in upstream.manifest().values()
        if entry.handling is not None
    }

    assert answers == {("onnx", True), ("yolo", False)}


def test_page_of_models_lists_every_entry_with_its_licence() -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]

    listed = [entry for entry in upstream.manifest().values() if entry.model != "detectron2"]
    unlisted = [
        entry.full_name
        for entry in listed
        if not any(f"`{entry.full_name}`" in row and entry.licence in row for row in rows)
    ]
    assert unlisted == []


def test_unknown_entry_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SetupFailed, match=r"onnx/u2net,.*yolo/yolo11n-seg"):
        upstream.find("onnx/u3net")


def test_pulled_network_is_offered_and_listed_with_its_terms(folder: Path, site: Site) -> None:
    assert pull(folder, an_entry(site)) == [DIGEST]

    offers = {offer.card.name: offer for offer in catalogue.find().offers(folder)}
    choices = offers["onnx"].card.parameter("entry")
    assert choices is not None
    assert choices.choices == ("red",)
    (listed,) = admitted.read(folder)
    assert (listed.licence, listed.data_terms, listed.sha256) == ("Apache-2.0", "none", DIGEST)
    assert listed.source == f"{site.url}/net.onnx"
    assert left_in(folder) == ["admitted.json", f"onnx/{DIGEST}.onnx"]


def test_mirror_is_asked_below_the_host_and_path_of_the_address(folder: Path, site: Site) -> None:
    site.answers["/all/github.com/someone/net.onnx"] = has(NETWORK)
    entry = an_entry(site, address="https://github.com/someone/net.onnx")

    upstream.pull(folder, entry, mirror=f"{site.url}/all/", permits=lambda _: True)

    assert asked(site) == ["/all/github.com/someone/net.onnx"]


def test_only_a_missing_or_broken_network_is_fetched_again(folder: Path, site: Site) -> None:
    pull(folder, an_entry(site))

    assert pull(folder, an_entry(site)) == []
    assert asked(site) == ["/net.onnx"]
    (folder / f"onnx/{DIGEST}.onnx").write_bytes(b"broken")
    assert pull(folder, an_entry(site)) == [DIGEST]


@pytest.mark.parametrize(
    ("answers", "file", "reason"),
    [
        ({}, {"sha256": "0" * 64}, "do not use it"),
        ({}, {"most_bytes": 10}, "more than 10 bytes"),
        ({}, {"address": "http://127.0.0.1:9/net.onnx"}, "models admit"),
        ({"/net.onnx": web.answer(404)}, {}, "answers 404"),
        ({"/net.onnx": leads_to("/forbidden")}, {}, "only https"),
        ({"/net.onnx": leads_to("/net.onnx")}, {}, "cannot be fetched"),
    ],
    ids="digest size unreachable missing forbidden-redirect endless-redirects".split(),
)
def test_file_that_cannot_be_had_as_promised_leaves_nothing(
    folder: Path, site: Site, answers: Mapping[str, bytes], file: Mapping[str, object], reason: str
) -> None:
    site.answers |= answers

    with pytest.raises(SetupFailed, match=reason) as caught:
        pull(folder, an_entry(site, **file))

    assert "\n" not in str(caught.value)
    assert left_in(folder) == []


def test_redirects_are_followed(folder: Path, site: Site) -> None:
    site.answers |= {"/net.onnx": leads_to("/there"), "/there": leads_to("/here")}
    site.answers["/here"] = has(NETWORK)

    assert pull(folder, an_entry(site)) == [DIGEST]


def test_plain_http_is_not_asked(folder: Path, site: Site) -> None:
    with pytest.raises(SetupFailed, match="only https"):
        upstream.pull(folder, an_entry(site))

    assert asked(site) == []


def test_file_of_unknown_digest_is_fetched_only_when_admitted(folder: Path, site: Site) -> None:
    entry = an_entry(site, sha256="")

    with pytest.raises(SetupFailed, match="--admit"):
        pull(folder, entry)
    assert asked(site) == []
    pull(folder, entry, admit=True)

    assert [one.sha256 for one in admitted.read(folder)] == [DIGEST]


def test_file_of_unknown_digest_must_have_the_given_one(folder: Path, site: Site) -> None:
    entry = an_entry(site, sha256="")

    with pytest.raises(SetupFailed, match="do not use it"):
        pull(folder, entry, sha256="0" * 64)
    assert pull(folder, entry, sha256=DIGEST.upper()) == [DIGEST]


def test_model_of_fixed_files_has_them_in_their_places(folder: Path, site: Site) -> None:
    site.answers["/face.bin"] = has(b"faces")
    digest = hashlib.sha256(b"faces").hexdigest()
    file = Remote(f"{site.url}/face.bin", digest, 5, place="faces/face.bin")
    entry = Upstream("res10", "", "", "", "Apache-2.0", "none", (file,))

    assert pull(folder, entry) == [digest]
    assert pull(folder, entry) == []
    assert left_in(folder) == ["faces/face.bin"]
    assert weights.fault(folder, weights.WeightsFile("faces/face.bin", digest)) is None


def test_entry_without_an_address_says_how_to_make_its_file(folder: Path) -> None:
    with pytest.raises(SetupFailed, match=r"mmdeploy.*models admit"):
        pull(folder, upstream.find("yolo/rtmdet-ins-tiny"))


def test_leftovers_of_killed_commands_are_removed_after_a_day(folder: Path, site: Site) -> None:
    folder.mkdir()
    left = [folder / name for name in (".admit-old", ".pull-old", ".pull-new", "other")]
    for path in left:
        path.mkdir()
        (path / "partial").touch()
    two_days_ago = left[0].stat().st_mtime - 2 * weights.LEFTOVER_SECONDS
    for path in left:
        if path.name != ".pull-new":
            os.utime(path, (two_days_ago, two_days_ago))

    pull(folder, an_entry(site))

    assert [path.name for path in left if path.exists()] == [".pull-new", "other"]
