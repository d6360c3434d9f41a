"""Weights from upstream addresses: fetched by digest, tried, listed; or nothing is left."""

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests import networks
from smart_filter_workers import admitted, catalogue, downloads, upstream, weights
from smart_filter_workers.networks.handling import Answer, Handling
from smart_filter_workers.upstream import Remote, Upstream

NETWORK = networks.red_is_people()
DIGEST = hashlib.sha256(NETWORK).hexdigest()
HANDLING = Handling(networks.SIDE_PX, networks.SIDE_PX)


@dataclass
class Shop:
    """A server on this machine; what it answers by path, and what it was asked for."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def shop() -> Iterator[Shop]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            if self.path in told.redirects:
                self.send_response(302)
                self.send_header("Location", told.redirects[self.path])
                self.end_headers()
                return
            content = told.files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    told = Shop(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def an_entry(shop: Shop, **changes: object) -> Upstream:
    shop.files.setdefault("/net.onnx", NETWORK)
    file = Remote(f"{shop.address}/net.onnx", DIGEST, len(NETWORK))
    entry = Upstream("onnx", "red", "", "", "Apache-2.0", "none", (file,), HANDLING)
    of_file = {name: changes.pop(name) for name in ("sha256", "most_bytes") if name in changes}
    return replace(entry, files=(replace(file, **of_file),), **changes)  # type: ignore[arg-type]


def pull(folder: Path, entry: Upstream, *, sha256: str = "", admit: bool = False) -> list[str]:
    fetched = upstream.pull(
        folder, entry, sha256=sha256, admit=admit, permits=lambda address: bool(address.host)
    )
    return [file.sha256 for file in fetched]


def left_in(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in files)


def test_every_entry_of_the_manifest_can_be_read() -> None:
    entries = upstream.manifest()

    wanted = "u2net u2netp u2net-human-seg isnet-general-use modnet birefnet-lite".split()
    assert {f"onnx/{name}" for name in wanted} <= entries.keys()
    assert "detectron2/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x" in entries
    assert all(entry.licence and entry.data_terms for entry in entries.values())


def test_manifest_names_only_models_that_there_are() -> None:
    models = {card.name for card in catalogue.find().cards}

    assert {entry.model for entry in upstream.manifest().values()} <= models


def test_manifest_asks_only_where_nobody_listens_in() -> None:
    files = [file for entry in upstream.manifest().values() for file in entry.files]

    addresses = [httpx.URL(file.address) for file in files if file.address]
    assert all(downloads.is_https(address) for address in addresses)


def test_every_network_of_yolo_tells_persons_apart_and_none_of_onnx() -> None:
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


def test_unknown_entry_is_answered_with_those_there_are() -> None:
    with pytest.raises(SetupFailed, match=r"onnx/u2net,.*yolo/yolo11n-seg"):
        upstream.find("onnx/u3net")


def test_pulled_network_is_offered(folder: Path, shop: Shop) -> None:
    fetched = pull(folder, an_entry(shop))

    assert fetched == [DIGEST]
    offers = {offer.card.name: offer for offer in catalogue.find().offers(folder)}
    choices = offers["onnx"].card.parameter("entry")
    assert choices is not None
    assert choices.choices == ("red",)


def test_pulled_network_is_listed_with_its_terms(folder: Path, shop: Shop) -> None:
    pull(folder, an_entry(shop))

    (listed,) = admitted.read(folder)
    assert (listed.licence, listed.data_terms, listed.sha256) == ("Apache-2.0", "none", DIGEST)
    assert listed.source == f"{shop.address}/net.onnx"
    assert left_in(folder) == ["admitted.json", f"onnx/{DIGEST}.onnx"]


def test_mirror_is_asked_below_the_host_and_path_of_the_address(folder: Path, shop: Shop) -> None:
    shop.files["/all/github.com/someone/net.onnx"] = NETWORK
    entry = an_entry(shop)
    files = (replace(entry.files[0], address="https://github.com/someone/net.onnx"),)

    upstream.pull(
        folder,
        replace(entry, files=files),
        mirror=f"{shop.address}/all/",
        permits=lambda _: True,
    )

    assert shop.asked == ["/all/github.com/someone/net.onnx"]


def test_network_that_is_there_is_not_fetched_again(folder: Path, shop: Shop) -> None:
    pull(folder, an_entry(shop))

    assert pull(folder, an_entry(shop)) == []
    assert shop.asked == ["/net.onnx"]


def test_broken_file_is_fetched_again(folder: Path, shop: Shop) -> None:
    pull(folder, an_entry(shop))
    (folder / f"onnx/{DIGEST}.onnx").write_bytes(b"broken")

    assert pull(folder, an_entry(shop)) == [DIGEST]


def test_file_with_another_digest_leaves_nothing(folder: Path, shop: Shop) -> None:
    with pytest.raises(SetupFailed, match="do not use it"):
        pull(folder, an_entry(shop, sha256="0" * 64))

    assert left_in(folder) == []


def test_file_of_unknown_digest_is_not_even_fetched(folder: Path, shop: Shop) -> None:
    with pytest.raises(SetupFailed, match="--admit"):
        pull(folder, an_entry(shop, sha256=""))

    assert shop.asked == []


def test_file_of_unknown_digest_is_pinned_when_it_is_let_in(folder: Path, shop: Shop) -> None:
    pull(folder, an_entry(shop, sha256=""), admit=True)

    assert [one.sha256 for one in admitted.read(folder)] == [DIGEST]


def test_file_of_unknown_digest_must_have_the_one_that_is_given(folder: Path, shop: Shop) -> None:
    entry = an_entry(shop, sha256="")

    with pytest.raises(SetupFailed, match="do not use it"):
        pull(folder, entry, sha256="0" * 64)
    assert pull(folder, entry, sha256=DIGEST.upper()) == [DIGEST]


def test_more_bytes_than_were_promised_are_refused(folder: Path, shop: Shop) -> None:
    with pytest.raises(SetupFailed, match="more than 10 bytes"):
        pull(folder, an_entry(shop, most_bytes=10))

    assert left_in(folder) == []


def test_missing_file_is_told_in_one_line(folder: Path, shop: Shop) -> None:
    shop.files["/net.onnx"] = NETWORK
    entry = an_entry(shop)
    del shop.files["/net.onnx"]

    with pytest.raises(SetupFailed, match="answers 404") as caught:
        pull(folder, entry)

    assert "\n" not in str(caught.value)
    assert left_in(folder) == []


def test_server_that_is_away_is_told_with_the_way_round(folder: Path) -> None:
    away = Shop("http://127.0.0.1:9")

    with pytest.raises(SetupFailed, match="models admit"):
        pull(folder, an_entry(away))


def test_redirects_are_followed_but_not_for_ever(folder: Path, shop: Shop) -> None:
    shop.redirects = {"/net.onnx": "/there", "/there": "/here"}
    shop.files["/here"] = NETWORK

    assert pull(folder, an_entry(shop)) == [DIGEST]

    shop.redirects["/here"] = "/there"
    with pytest.raises(SetupFailed, match="cannot be fetched"):
        downloads.fetch(
            f"{shop.address}/there", folder / "x", most_bytes=10, permits=lambda _: True
        )


def test_redirect_to_where_everybody_listens_in_is_not_followed(folder: Path, shop: Shop) -> None:
    shop.redirects = {"/net.onnx": "http://127.0.0.1:9/elsewhere"}
    entry = an_entry(shop)

    with pytest.raises(SetupFailed, match="only https"):
        upstream.pull(folder, entry, permits=lambda address: address.port != 9)

    assert left_in(folder) == []


def test_plain_http_is_not_asked(folder: Path, shop: Shop) -> None:
    with pytest.raises(SetupFailed, match="only https"):
        upstream.pull(folder, an_entry(shop))

    assert shop.asked == []


def test_model_of_fixed_files_has_them_in_their_places(folder: Path, shop: Shop) -> None:
    shop.files["/face.bin"] = b"faces"
    digest = hashlib.sha256(b"faces").hexdigest()
    file = Remote(f"{shop.address}/face.bin", digest, 5, place="faces/face.bin")
    entry = Upstream("res10", "", "", "", "Apache-2.0", "none", (file,))

    assert pull(folder, entry) == [digest]
    assert pull(folder, entry) == []
    assert left_in(folder) == ["faces/face.bin"]
    assert weights.fault(folder, weights.WeightsFile("faces/face.bin", digest)) is None


def test_entry_without_an_address_says_how_to_make_its_file(folder: Path) -> None:
    with pytest.raises(SetupFailed, match=r"mmdeploy.*models admit"):
        pull(folder, upstream.find("yolo/rtmdet-ins-tiny"))


def test_what_killed_commands_left_is_removed_after_a_day(folder: Path, shop: Shop) -> None:
    folder.mkdir()
    left = [folder / name for name in (".admit-old", ".pull-old", ".pull-new", "other")]
    for path in left:
        path.mkdir()
        (path / "partial").touch()
    two_days_ago = left[0].stat().st_mtime - 2 * weights.LEFTOVER_SECONDS
    for path in left:
        if path.name != ".pull-new":
            os.utime(path, (two_days_ago, two_days_ago))

    pull(folder, an_entry(shop))

    assert [path.name for path in left if path.exists()] == [".pull-new", "other"]
