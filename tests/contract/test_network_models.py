"""Models with admitted network files: `onnx` and `yolo`, with networks made by tests."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smart_filter_shared.catalog.model_card import Commercial
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_tests import networks
from smart_filter_tests.pictures import half_red, noise, prepared_photo
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.models.catalog import RESEARCH_WEIGHTS_OFF
from smart_filter_workers.networks.runtimes import litert, onnx_network
from smart_filter_workers.networks.runtimes.network_cache import MAX_OPEN
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.segmentation.models import onnx, yolo
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.system import resources
from smart_filter_workers.weights import allowlist

SQUARE = {"width": networks.SIDE_PX, "height": networks.SIDE_PX}
CENTERED = {**SQUARE, "fit": "centred", "padding": 114, "answer": "yolo"}
CORNER = {**SQUARE, "fit": "corner", "padding": 114, "order": "bgr", "answer": "rtmdet"}
# Levels of 255: rounding of the picture's own levels.
ROUNDED = 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A weights folder with one network of each kind of answer."""
    folder = tmp_path / "weights"
    networks.put_network(folder, "onnx", "red", networks.red_matte_network(), SQUARE)
    networks.put_network(folder, "yolo", "two-persons", two_persons(), CENTERED)
    networks.put_network(folder, "yolo", "rtm", three_things(), CORNER)
    return folder


def two_persons() -> bytes:
    """Return a YOLO-seg network that sees a person left and a person right."""
    boxes = [(16, 32, 20, 40), (48, 32, 20, 40)]
    rows = np.array([[*box, score, 0, 9] for box, score in zip(boxes, (0.9, 0.6), strict=True)])
    return networks.yolo(rows.T.astype(np.float32), np.ones((1, 16, 16), np.float32))


def three_things() -> bytes:
    """Return an RTMDet-Ins network that sees a person, a dog, and an uncertain person."""
    boxes = [[8, 8, 30, 56, 0.9], [34, 8, 60, 56, 0.9], [2, 2, 60, 60, 0.2]]
    return networks.rtmdet(
        np.array(boxes, np.float32), np.array([0, 16, 0]), np.ones((3, 64, 64), np.float32)
    )


def cut_out_by_onnx(folder: Path, srgb: Srgb8, entry: str = "red") -> People:
    (people,) = onnx.load(folder)([prepared_photo(srgb)], parameters={"entry": entry})
    return people


def cut_out_by_yolo(folder: Path, srgb: Srgb8, entry: str, threshold: float = 0.5) -> People:
    given = {"entry": entry, "threshold": threshold}
    (people,) = yolo.load(folder)([prepared_photo(srgb)], parameters=given)
    return people


def test_installed_networks_are_the_choices_of_the_offered_cards(folder: Path) -> None:
    offers = {
        offer.card.name: offer
        for offer in catalog.discover_models().offers(folder)
        if offer.card.task is TaskName.SEGMENTATION
    }

    choices = {
        name: parameter.choices
        for name in ("onnx", "yolo")
        if (parameter := offers[name].card.parameter("entry")) is not None
    }
    assert choices == {"onnx": ("red",), "yolo": ("rtm", "two-persons")}
    assert offers["onnx"].fault is None


def test_offered_card_has_the_license_terms_of_the_installed_networks(folder: Path) -> None:
    mine = networks.put_network(folder, "onnx", "mine", networks.red_logit_network(), SQUARE)
    terms = {"red": "MIT OR Apache-2.0", "mine": "AGPL-3.0-only"}
    for file in allowlist.read_allowlist(folder):
        if file.kind == "onnx":
            data = "my photos" if file.name == mine else ""
            allowlist.add(folder, replace(file, license=terms[file.entry], data_terms=data))

    known = catalog.discover_models()
    cards = [known.card(TaskName.SEGMENTATION, name, folder) for name in ("onnx", "yolo")]

    assert [card.license for card in cards] == [
        "AGPL-3.0-only AND (MIT OR Apache-2.0)",
        "NOASSERTION",
    ]
    assert cards[0].data_terms == "NOASSERTION; my photos"
    assert (entry := cards[0].parameter("entry")) is not None
    assert entry.title == "Network to use: mine (AGPL-3.0-only), red (MIT OR Apache-2.0)"


def test_without_research_weights_only_networks_for_commercial_use_are_choices(
    folder: Path,
) -> None:
    networks.put_network(folder, "onnx", "mine", networks.red_logit_network(), SQUARE)
    for file in allowlist.read_allowlist(folder):
        if file.entry == "mine":
            allowlist.add(folder, replace(file, commercial=Commercial.YES))
    known = catalog.discover_models(research=False)
    models = ModelCache(known, folder, memory_limit=resources.get_limit(None))

    offers = {offer.card.name: offer for offer in known.offers(folder)}

    assert (entry := offers["onnx"].card.parameter("entry")) is not None
    assert (entry.choices, offers["onnx"].card.commercial) == (("mine",), Commercial.YES)
    assert (offers["yolo"].fault, offers["yolo"].withdrawn) == (RESEARCH_WEIGHTS_OFF, True)
    segmentation = {TaskName.SEGMENTATION: "onnx"}
    assert models.for_stage(segmentation, {TaskName.SEGMENTATION: {"entry": "mine"}})
    with pytest.raises(ModelNotLoaded, match=f"onnx/red is {RESEARCH_WEIGHTS_OFF}"):
        models.for_stage(segmentation, {TaskName.SEGMENTATION: {"entry": "red"}})


def test_matte_is_the_networks_answer(folder: Path) -> None:
    people = cut_out_by_onnx(folder, half_red(128, 256))

    assert people.persons is None
    assert people.matte[:, :120].min() >= 255 - ROUNDED
    assert people.matte[:, 136:].max() <= ROUNDED


@pytest.mark.parametrize(("entry", "count"), [("two-persons", 2), ("rtm", 1)])
def test_persons_have_mattes_of_their_own_from_left_to_right(
    folder: Path, entry: str, count: int
) -> None:
    people = cut_out_by_yolo(folder, noise(200, 200), entry)

    assert people.persons is not None
    assert len(people.persons) == count
    assert np.array_equal(np.maximum.reduce(people.persons), people.matte)
    middles = [np.nonzero(person)[1].mean() for person in people.persons]
    assert middles == sorted(middles)
    assert people.persons[0][100, 60] == 255, "the left person's middle"


@pytest.mark.parametrize(("threshold", "count"), [(0.7, 1), (0.95, 0)])
def test_threshold_leaves_uncertain_persons_out(folder: Path, threshold: float, count: int) -> None:
    people = cut_out_by_yolo(folder, noise(64, 64), "two-persons", threshold=threshold)

    assert people.persons is not None
    assert len(people.persons) == count
    assert people.matte.any() == bool(count)


def test_only_the_last_few_networks_stay_open(folder: Path) -> None:
    for number in range(MAX_OPEN + 1):
        other = networks.yolo(np.ones((7, number + 1), np.float32), np.ones((1, 4, 4), np.float32))
        networks.put_network(folder, "yolo", f"other-{number}", other, CENTERED)
    model = yolo.load(folder)

    opened = [model.networks.network(f"other-{number}") for number in (0, 1, 0, 2, 0)]

    assert opened[0] is opened[2] is opened[4], "used again and again, it stays"
    assert model.networks.network("other-1") is not opened[1], "the least recently used was closed"


def test_broken_network_leaves_the_others_in_service(folder: Path) -> None:
    name = networks.put_network(folder, "onnx", "a-bad-one", networks.red_logit_network(), SQUARE)
    with (folder / name).open("ab") as file:
        file.write(b"\0")

    people = cut_out_by_onnx(folder, half_red(128, 256), "red")

    assert people.matte[:, :120].min() >= 255 - ROUNDED
    with pytest.raises(ModelNotLoaded, match="wrong SHA-256"):
        cut_out_by_onnx(folder, noise(64, 64), "a-bad-one")


def test_model_without_a_complete_network_does_not_load(tmp_path: Path) -> None:
    name = networks.put_network(tmp_path, "onnx", "red", networks.red_matte_network(), SQUARE)
    (tmp_path / name).write_bytes(b"broken")

    with pytest.raises(ModelNotLoaded, match="wrong SHA-256"):
        onnx.load(tmp_path)
    with pytest.raises(ModelNotLoaded, match="no weights here"):
        yolo.load(tmp_path)


def test_entry_on_other_workers_is_left_to_them(folder: Path) -> None:
    with pytest.raises(ModelNotLoaded, match="models pull") as caught:
        cut_out_by_onnx(folder, noise(64, 64), entry="u2net")

    assert not caught.value.leads, "the others of its networks are served"


@pytest.mark.parametrize("content", [b"", b"not a network", b"PK\3\4", b"\x08\x07"])
def test_file_that_is_not_a_network_is_refused(content: bytes) -> None:
    with pytest.raises(SetupFailed, match="not an ONNX network"):
        onnx_network.check_network(content)


def test_shrunk_arena_gives_back_what_a_pass_has_left() -> None:
    content = networks.red_logit_network(side="side")
    network = onnx_network.OnnxNetwork(content, keeps_memory=True)
    network(np.zeros((1, 3, 4096, 4096), np.float32))
    kept = resources.resident_bytes()

    onnx_network.shrink_arena()

    # The network multiplies and adds: two pictures of 64 MB are alive at once.
    assert kept - resources.resident_bytes() > 60_000_000
    assert network(np.zeros((1, 3, 64, 64), np.float32))[0].shape == (1, 1, 64, 64)


def test_closed_interpreters_give_back_their_memory_and_open_again(weights_folder: Path) -> None:
    network = litert.LiteRtNetwork(weights_folder / "pose_landmark_full.tflite")
    picture = np.zeros((1, 256, 256, 3), np.float32)
    network(picture)
    kept = resources.resident_bytes()

    litert.close_idle()
    resources.get_limit(None).give_back()

    # The network holds 44 MB with its file; 6 MB are kept.
    assert kept - resources.resident_bytes() > 25_000_000
    assert network(picture)
