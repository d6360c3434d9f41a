"""Weights: the manifest lists the files of every model, and a pull leaves all or nothing."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest

from smart_filter_shared.catalog.model_card import ModelCard, WeightsFile
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_tests import networks, serving, web
from smart_filter_tests.threads import run_in_threads
from smart_filter_tests.web import Site
from smart_filter_workers.models import catalog, upstream
from smart_filter_workers.models.upstream import RemoteFile, UpstreamWeights
from smart_filter_workers.networks.runtimes.network_input import Handling
from smart_filter_workers.weights import allowlist, download, files, packaged, trained_weights
from smart_filter_workers.weights.packaged import BundledFile
from smart_filter_workers.weights.trained_weights import TrainedWeights

CONTENT = b"a very small network"
TRAINED = Path(packaged.__file__).parent / "trained"
# A clone downloads them all, again after each change.
MOST_BYTES, MOST_BYTES_IN_ALL = 6_000_000, 20_000_000


def has(content: bytes) -> bytes:
    return web.ok(content, connection="close")


def leads_to(location: str) -> bytes:
    return web.answer(302, location=location, content__length="0", connection="close")


# Plain HTTP, to a server on this machine.
PLAIN = download.Route(permits=lambda _: True)
# No address at all.
CLOSED = download.Route(permits=lambda _: False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def test_every_file_of_a_card_is_pulled_or_offered_and_of_a_default_pulled() -> None:
    packaged_files = set(packaged.list_files())
    offered = {
        WeightsFile(file.place, file.sha256)
        for entry in upstream.read_manifest().values()
        for file in entry.files
    }

    for cards in (catalog.discover_models().cards, catalog.discover_models(research=True).cards):
        needed = {file for card in cards for file in card.weights}
        assert needed <= packaged_files | offered
        assert {file for card in cards if card.default for file in card.weights} <= packaged_files


def test_own_weights_equal_the_listed_ones_and_are_small() -> None:
    listed = {bundled.path: bundled.file for bundled in packaged.list_bundled()}
    there = {path for path in TRAINED.glob("**/*") if path.is_file() and path.suffix != ".py"}
    sizes = {path: path.stat().st_size for path in there if "__pycache__" not in path.parts}

    assert set(listed) == set(sizes)
    for path, file in listed.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    assert max(sizes.values(), default=0) <= MOST_BYTES
    assert sum(sizes.values()) <= MOST_BYTES_IN_ALL


def test_complete_folder_needs_no_registry(weights_folder: Path, folder: Path) -> None:
    shutil.copytree(weights_folder, folder)

    assert packaged.pull(folder, route=CLOSED) == []


def test_own_weights_are_copied_without_a_registry(tmp_path: Path, folder: Path) -> None:
    ours = _ours(tmp_path, "ours.bin", "kept.bin")
    folder.mkdir()
    (folder / "kept.bin").write_bytes(CONTENT)

    fetched = packaged.pull(folder, [], ours, route=CLOSED)

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
        packaged.pull(folder, [], [ours])

    assert list(folder.iterdir()) == []


def _ours(folder: Path, *names: str) -> list[BundledFile]:
    digest = hashlib.sha256(CONTENT).hexdigest()
    for name in names:
        (folder / name).write_bytes(CONTENT)
    return [BundledFile(folder / name, WeightsFile(name, digest)) for name in names]


NETWORK = networks.red_matte_network()
DIGEST = hashlib.sha256(NETWORK).hexdigest()
HANDLING = Handling(networks.SIDE_PX, networks.SIDE_PX)


@pytest.fixture
def site() -> Iterator[Site]:
    """A server on this machine that has the network at /net.onnx."""
    with web.a_site({"/net.onnx": has(NETWORK)}) as site:
        yield site


def asked(site: Site) -> list[str]:
    """Return the paths that were requested, in order."""
    return [head.split(b" ")[1].decode() for head in site.requests]


def an_entry(site: Site, **file: object) -> UpstreamWeights:
    """Return an entry whose file is the site's network, except for these fields."""
    remote = RemoteFile(f"{site.url}/net.onnx", DIGEST, len(NETWORK))
    remote = replace(remote, **file)  # type: ignore[arg-type]  # its fields
    return UpstreamWeights("onnx", "red", "", "", "Apache-2.0", "none", (remote,), HANDLING)


def pull(
    folder: Path, entry: UpstreamWeights, *, sha256: str = "", admit: bool = False
) -> list[str]:
    """Pull over plain HTTP, which only /forbidden does not permit; return the digests."""
    fetched = upstream.pull(
        folder,
        entry,
        sha256=sha256,
        admit=admit,
        route=replace(PLAIN, permits=is_permitted),
    )
    return [file.sha256 for file in fetched]


def is_permitted(address: httpx.URL) -> bool:
    return address.path != "/forbidden"


def left_in(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in files)


def test_every_entry_of_the_manifest_has_terms_a_known_model_and_https_addresses() -> None:
    entries = upstream.read_manifest()

    assert all(entry.license and entry.data_terms for entry in entries.values())
    models = {card.name for card in catalog.discover_models().cards}
    assert {entry.model for entry in entries.values()} <= models
    files = [file for entry in entries.values() for file in entry.files]
    assert all(download.is_https(httpx.URL(file.address)) for file in files if file.address)


def test_pulled_network_is_offered_and_listed_with_its_terms(folder: Path, site: Site) -> None:
    assert pull(folder, an_entry(site)) == [DIGEST]

    offers = {offer.card.name: offer for offer in catalog.discover_models().offers(folder)}
    choices = offers["onnx"].card.parameter("entry")
    assert choices is not None
    assert choices.choices == ("red",)
    (listed,) = allowlist.read_allowlist(folder)
    assert (listed.license, listed.data_terms, listed.sha256) == ("Apache-2.0", "none", DIGEST)
    assert listed.source == f"{site.url}/net.onnx"
    assert left_in(folder) == ["admitted.json", f"onnx/{DIGEST}.onnx"]


def test_mirror_is_requested_below_the_host_and_path_of_the_address(
    folder: Path, site: Site
) -> None:
    site.answers["/all/github.com/someone/net.onnx"] = has(NETWORK)
    entry = an_entry(site, address="https://github.com/someone/net.onnx")

    upstream.pull(folder, entry, route=replace(PLAIN, mirror=f"{site.url}/all/"))

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
        ({"/net.onnx": web.answer(404)}, {}, "answers 404: .*models admit"),
        ({"/net.onnx": leads_to("/forbidden")}, {}, "only https"),
        ({"/net.onnx": leads_to("/net.onnx")}, {}, "cannot be fetched"),
    ],
    ids="digest size unreachable missing forbidden-redirect endless-redirects".split(),
)
def test_failed_or_wrong_download_leaves_nothing(
    folder: Path, site: Site, answers: Mapping[str, bytes], file: Mapping[str, object], reason: str
) -> None:
    site.answers |= answers

    with pytest.raises(SetupFailed, match=reason) as caught:
        pull(folder, an_entry(site, **file))

    assert "\n" not in str(caught.value)
    assert left_in(folder) == []


def test_failed_download_of_a_models_own_file_names_its_path_for_a_mirror(folder: Path) -> None:
    file = RemoteFile("http://127.0.0.1:9/net.onnx", DIGEST, len(NETWORK), place="net.onnx")

    with pytest.raises(
        SetupFailed, match=r"has 127\.0\.0\.1:9/net\.onnx below URL with --mirror URL$"
    ):
        pull(folder, UpstreamWeights("onnx", "", "", "", "MIT", "none", (file,)))


def test_redirects_are_followed(folder: Path, site: Site) -> None:
    site.answers |= {"/net.onnx": leads_to("/there"), "/there": leads_to("/here")}
    site.answers["/here"] = has(NETWORK)

    assert pull(folder, an_entry(site)) == [DIGEST]


def test_plain_http_is_not_requested(folder: Path, site: Site) -> None:
    with pytest.raises(SetupFailed, match="only https"):
        upstream.pull(folder, an_entry(site))

    assert asked(site) == []


def test_file_of_unknown_digest_is_fetched_only_when_admitted(folder: Path, site: Site) -> None:
    entry = an_entry(site, sha256="")

    with pytest.raises(SetupFailed, match="--admit"):
        pull(folder, entry)
    assert asked(site) == []
    pull(folder, entry, admit=True)

    assert [file.sha256 for file in allowlist.read_allowlist(folder)] == [DIGEST]


def test_file_of_unknown_digest_must_have_the_given_one(folder: Path, site: Site) -> None:
    entry = an_entry(site, sha256="")

    with pytest.raises(SetupFailed, match="do not use it"):
        pull(folder, entry, sha256="0" * 64)
    assert pull(folder, entry, sha256=DIGEST.upper()) == [DIGEST]


def test_model_of_fixed_files_has_them_in_their_places(folder: Path, site: Site) -> None:
    site.answers["/face.bin"] = has(b"faces")
    digest = hashlib.sha256(b"faces").hexdigest()
    file = RemoteFile(f"{site.url}/face.bin", digest, 5, place="faces/face.bin")
    entry = UpstreamWeights("res10", "", "", "", "Apache-2.0", "none", (file,))

    assert pull(folder, entry) == [digest]
    assert pull(folder, entry) == []
    assert left_in(folder) == ["faces/face.bin"]
    assert files.find_fault(folder, WeightsFile("faces/face.bin", digest)) is None


def test_entry_without_an_address_names_the_way_to_make_its_file(folder: Path) -> None:
    with pytest.raises(SetupFailed, match=r"mmdeploy.*models admit"):
        pull(folder, upstream.find("yolo/rtmdet-ins-tiny"))


def test_leftovers_of_killed_commands_are_removed_after_a_day(folder: Path, site: Site) -> None:
    folder.mkdir()
    left = [folder / name for name in (".pull-old", ".pull-new", "other")]
    for path in left:
        path.mkdir()
        (path / "partial").touch()
    two_days_ago = left[0].stat().st_mtime - 2 * files.LEFTOVER_SECONDS
    for path in left:
        if path.name != ".pull-new":
            os.utime(path, (two_days_ago, two_days_ago))

    pull(folder, an_entry(site))

    assert [path.name for path in left if path.exists()] == [".pull-new", "other"]


def test_leftover_of_a_killed_command_is_removed_by_the_next_one(folder: Path, site: Site) -> None:
    with files.scratch_folder(folder) as running:
        killed = folder / ".pull-killed"
        shutil.copytree(running, killed)

        pull(folder, an_entry(site))

        assert not killed.exists()
        assert running.exists()


def a_card(folder: Path, learns: str) -> ModelCard:
    """Return the card of a model whose files are in a folder."""
    files = {learns: b"own", "extra.bin": b"extra", "deep/other.bin": b"other"}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    held = tuple(
        WeightsFile(name, hashlib.sha256(content).hexdigest()) for name, content in files.items()
    )
    return replace(serving.a_card(TaskName.SMILE, "learning"), weights=held, learns=learns)


@pytest.mark.parametrize("learns", ["top.bin", "deep/learned.bin", "very/deep/learned.bin"])
def test_only_the_trained_file_differs(tmp_path: Path, learns: str) -> None:
    card = a_card(tmp_path, learns)
    weights = TrainedWeights(tmp_path, None)

    over = weights.folder_of(card, weights.keep(b"trained"))

    assert (over / learns).read_bytes() == b"trained"
    assert (over / "extra.bin").read_bytes() == b"extra"
    assert (over / "deep" / "other.bin").read_bytes() == b"other"
    assert (tmp_path / learns).read_bytes() == b"own"


def test_folder_with_links_shows_later_files_for_all_its_makers(tmp_path: Path) -> None:
    card = a_card(tmp_path, "deep/learned.bin")
    weights = TrainedWeights(tmp_path, None)
    for n in range(20):  # Each time, no thread finds a link.
        digest = weights.keep(b"trained %d" % n)
        run_in_threads(8, partial(weights.folder_of, card, digest))
    (tmp_path / "later.bin").write_bytes(b"later")

    over = weights.folder_of(card, digest)

    assert (over / "deep" / "learned.bin").read_bytes() == b"trained 19"
    assert (over / "later.bin").read_bytes() == b"later"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "are not on this machine"), ("extra.bin", "wrong SHA-256")],
    ids=["learned", "other"],
)
def test_modified_file_is_not_loaded(tmp_path: Path, name: str, reason: str) -> None:
    card = a_card(tmp_path, "top.bin")
    weights = TrainedWeights(tmp_path, None)
    digest = weights.keep(b"trained")
    (tmp_path / (name or f"{trained_weights.FOLDER}/{digest}")).write_bytes(b"changed")

    with pytest.raises(SetupFailed, match=reason):
        weights.folder_of(card, digest)


def test_interrupted_download_continues_where_it_ended(folder: Path, site: Site) -> None:
    entry, half = an_entry(site), len(NETWORK) // 2
    # The connection ends before the announced length.
    site.answers["/net.onnx"] = web.answer(
        200, NETWORK[:half], content__length=str(len(NETWORK)), connection="close"
    )
    with pytest.raises(SetupFailed, match="run the command again"):
        pull(folder, entry)
    assert left_in(folder) == [f".pull-{DIGEST}.part"]
    site.answers["/net.onnx"] = web.answer(
        206,
        NETWORK[half:],
        content__length=str(len(NETWORK) - half),
        content__range=f"bytes {half}-{len(NETWORK) - 1}/{len(NETWORK)}",
        connection="close",
    )

    assert pull(folder, entry) == [DIGEST]

    assert f"range: bytes={half}-" in site.requests[-1].decode().lower()
    assert left_in(folder) == ["admitted.json", f"onnx/{DIGEST}.onnx"]


def test_server_without_ranges_sends_the_file_from_its_beginning(folder: Path, site: Site) -> None:
    folder.mkdir()
    (folder / f".pull-{DIGEST}.part").write_bytes(b"the beginning of something else")

    assert pull(folder, an_entry(site)) == [DIGEST]


def test_damaged_beginning_is_downloaded_again(folder: Path, site: Site) -> None:
    folder.mkdir()
    (folder / f".pull-{DIGEST}.part").write_bytes(NETWORK[:-1][::-1])
    end = len(NETWORK) - 1
    rest = web.answer(
        206,
        NETWORK[end:],
        content__length="1",
        content__range=f"bytes {end}-{end}/{len(NETWORK)}",
        connection="close",
    )
    site.answers["/net.onnx"] = lambda _: [rest if len(site.requests) == 1 else has(NETWORK)]

    assert pull(folder, an_entry(site)) == [DIGEST]


def test_one_process_downloads_a_file_at_a_time(folder: Path, site: Site) -> None:
    folder.mkdir()
    with (folder / f".pull-{DIGEST}.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SetupFailed, match="another process"):
            pull(folder, an_entry(site))

    assert asked(site) == []
