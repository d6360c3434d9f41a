import collections
import io
import os
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks.detectron2 import checkpoints, documents, keys
from smart_filter_workers.networks.detectron2.documents import Document, Value

ZOO = {
    "Base.yaml": "MODEL:\n  MASK_ON: false\n  RESNETS: {DEPTH: 50, NORM: GN}\nVERSION: 2\n",
    "COCO/small.yaml": "_BASE_: ../Base.yaml\nMODEL:\n  RESNETS:\n    DEPTH: 18\n",
    "COCO/smaller.yaml": "_BASE_: small.yaml\nMODEL: {MASK_ON: true}\n",
    "loop.yaml": "_BASE_: loop.yaml\n",
    "runs.yaml": "_BASE_: Base-RetinaNet.yaml\n",
    "Base-RetinaNet.yaml": "SIZES: !!python/object/apply:eval ['[x for x in (1, 2)]']\n",
}


def in_zoo(path: str) -> str:
    if path not in ZOO:
        raise FileNotFoundError(path)
    return ZOO[path]


def test_document_overrides_its_bases() -> None:
    document = documents.of_zoo("COCO/smaller.yaml", in_zoo)

    assert document == {
        "MODEL": {"MASK_ON": True, "RESNETS": {"DEPTH": 18, "NORM": "GN"}},
        "VERSION": 2,
    }


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['echo run']",
        "!!python/object/new:os.system ['echo run']",
        "!!python/name:os.system",
        "!!python/tuple [1, 2]",
        "!mine {a: 1}",
        "!!binary aGVsbG8=",
        "!!int '3'",
    ],
)
@pytest.mark.parametrize("place", ["KEY: {}", "[{}]", "? {}\n: 1", "A:\n  - B: {}"])
def test_tags_are_refused_wherever_they_stand(place: str, value: str) -> None:
    with pytest.raises(SetupFailed, match="tag"):
        documents.parsed(place.format(value), "it")


def test_tag_in_a_base_is_refused() -> None:
    with pytest.raises(SetupFailed, match=r"Base-RetinaNet\.yaml has the tag"):
        documents.of_zoo("runs.yaml", in_zoo)


@pytest.mark.parametrize(
    "base",
    [
        "/etc/passwd",
        "~/mine.yaml",
        "../secret.yaml",
        "COCO/../../secret.yaml",
        "https://example.org/a.yaml",
        "'..\\secret.yaml'",
        "''",
        "'a b.yaml'",
        '"COCO/small.yaml\\0"',
        "[COCO/small.yaml]",
        "3",
        "null",
    ],
)
def test_base_outside_of_the_zoo_is_refused(base: str) -> None:
    asked: list[str] = []

    def read(path: str) -> str:
        asked.append(path)
        return "VERSION: 2\n"

    with pytest.raises(SetupFailed):
        documents.of_operator(f"_BASE_: {base}\n", "mine.yaml", read)

    assert asked == []


@pytest.mark.parametrize("name", ["../Base.yaml", "/Base.yaml", "COCO/../../x.yaml", "a//b", ""])
def test_name_that_leaves_the_zoo_is_refused(name: str) -> None:
    with pytest.raises(SetupFailed, match="outside"):
        documents.of_zoo(name, in_zoo)


def test_bases_in_a_circle_are_refused() -> None:
    with pytest.raises(SetupFailed, match="bases"):
        documents.of_zoo("loop.yaml", in_zoo)


def test_missing_file_of_the_zoo_is_named() -> None:
    with pytest.raises(SetupFailed, match=r"no COCO/none\.yaml"):
        documents.of_zoo("COCO/none.yaml", in_zoo)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &x [1]\nb: *x\n", "anchor"),
        ("a: &a [*a]\n", "anchor"),
        ("a: 1\na: 2\n", "twice"),
        ("- {a: [{b: 1, b: 2}]}\n", "twice"),
        ("[" * 5000, "deeper"),
        ("a: " * 3, "plain YAML"),
        ("- a\n", "mapping"),
        ("", "mapping"),
        ("just words", "mapping"),
        ("a: 1\n---\nb: 2\n", "plain YAML"),
        ("1: a\n", "key"),
        ("a: 2020-01-01\n", "plain values"),
        ("a: .nan\n", "number"),
        ("a: " + "9" * 5000, "plain YAML"),
        ("a: '" + "x" * 70_000 + "'", "larger"),
        ("a: \x00", "plain YAML"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_document_that_is_not_plain_data_is_refused(text: str, why: str) -> None:
    with pytest.raises(SetupFailed, match=why):
        documents.parsed(text, "it")


def test_keys_of_training_and_the_address_of_weights_are_dropped() -> None:
    document: documents.Document = {
        "MODEL": {"WEIGHTS": "detectron2://a.pkl", "MASK_ON": True},
        "SOLVER": {"STEPS": "(1, 2)"},
        "OUTPUT_DIR": "/tmp/x",
    }

    assert documents.without_training(document) == {"MODEL": {"MASK_ON": True}}


def nested(key: str, value: Value) -> Document:
    for part in reversed(key.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("VERSION", 2),
        ("_BASE_", "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml"),
        ("MODEL.META_ARCHITECTURE", "PanopticFPN"),
        ("MODEL.MASK_ON", True),
        ("MODEL.WEIGHTS", ""),
        ("MODEL.RESNETS.OUT_FEATURES", ["res2", "res5"]),
        ("MODEL.RESNETS.DEFORM_ON_PER_STAGE", [False, True, True, True]),
        ("MODEL.ANCHOR_GENERATOR.SIZES", [[32], [64], [128.5]]),
        ("MODEL.ROI_BOX_CASCADE_HEAD.IOUS", "(0.5, 0.6, 0.7)"),
        ("MODEL.PIXEL_STD", [57.375, 57.12, 58.395]),
        ("MODEL.ROI_HEADS.NMS_THRESH_TEST", 1),
        ("INPUT.MIN_SIZE_TRAIN", "(640, 800)"),
        ("DATASETS.TEST", '("faces_val",)'),
        ("SOLVER.NOBODY.KNOWS", "anything"),
    ],
)
def test_keys_that_models_need_are_allowed(key: str, value: Value) -> None:
    keys.check(nested(key, value), "mine")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MODEL.DEVICE", "cuda:7"),
        ("MODEL.KEYPOINT_ON", True),
        ("MODEL.LOAD_PROPOSALS", True),
        ("MODEL.META_ARCHITECTURE", "FCOS"),
        ("MODEL.META_ARCHITECTURE", ["PanopticFPN"]),
        ("MODEL.BACKBONE.NAME", "build_resnet_backbone\n"),
        ("MODEL._BASE_", "../other.yaml"),
        ("MODEL", 3),
        ("MODEL.RESNETS", []),
        ("MODEL.RESNETS.DEPTH", 100_000),
        ("MODEL.RESNETS.DEPTH", True),
        ("MODEL.RESNETS.DEPTH", "50"),
        ("MODEL.RESNETS.DEPTH", 50.0),
        ("MODEL.RESNETS.DEPTH.MORE", 50),
        ("MODEL.RESNETS.DEFORM_ON_PER_STAGE", [True]),
        ("MODEL.RESNETS.OUT_FEATURES", ["res2", "../res3"]),
        ("MODEL.ROI_HEADS.NUM_CLASSES", 10**9),
        ("MODEL.ROI_HEADS.NMS_THRESH_TEST", "0.5"),
        ("MODEL.ANCHOR_GENERATOR.SIZES", [[1.0] * 41]),
        ("MODEL.ANCHOR_GENERATOR.SIZES", "([9] * 10**9,)"),
        ("MODEL.PIXEL_STD", [0, 0, 0]),
        ("MODEL.MASK_ON", 1),
        ("MODEL.MASK_ON", "True"),
        ("DATASETS.TEST", ["../../secret"]),
        ("DATASETS.TEST", "(" * 300),
        ("DATASETS.TEST", "(" + "-" * 300 + "1,)"),
        ("DATASETS.PROPOSAL_FILES_TEST", ["a.pkl"]),
        ("TEST.PRECISE_BN.ENABLED", True),
        ("VERSION", 1),
        ("GLOBAL.HACK", 1.0),
    ],
)
def test_other_keys_and_values_are_refused_by_name(key: str, value: Value) -> None:
    with pytest.raises(SetupFailed, match=f"mine: {key} "):
        keys.check(nested(key, value), "mine")


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/model.pkl",
        "detectron2://ImageNetPretrained/MSRA/R-50.pkl",
        "/root/model.pth",
        ["model.pth"],
        0,
    ],
)
def test_foreign_address_of_weights_is_refused(address: Value) -> None:
    with pytest.raises(SetupFailed, match=r"MODEL\.WEIGHTS .*weights are admitted on their own"):
        keys.check({"MODEL": {"WEIGHTS": address}}, "mine")


ARRAYS: dict[str, NDArray[Any]] = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "conv.bias": np.array([1.5, -2.5], np.float64),
    "norm.half": np.array([[0.5], [2.0]], np.float16),
    "norm.count": np.array(7, np.int64),
    "big_endian": np.array([1, 2, 3], ">i4"),
    "by_columns": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "empty": np.zeros((0, 4), np.float32),
    "flags": np.array([True, False]),
}


def parsed(content: object, *, protocol: int = 2) -> checkpoints.Checkpoint:
    return checkpoints.parsed(pickle.dumps(content, protocol=protocol), "it")


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("kind", [dict, collections.OrderedDict])
def test_zoos_pickle_gives_its_arrays(protocol: int, kind: Callable[[Any], Any]) -> None:
    content = {"model": kind(ARRAYS), "__author__": "Detectron2 Model Zoo"}

    found = parsed(content, protocol=protocol)

    assert (found.author, found.by_likeness) == ("Detectron2 Model Zoo", False)
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert np.array_equal(found.arrays[name], array), name
        assert found.arrays[name].dtype == array.dtype.newbyteorder("=")
        assert found.arrays[name].flags.writeable


def test_pickle_of_python_2_gives_its_arrays() -> None:
    # What Python 2 wrote for {"w": numpy.array([1.5], "<f4")} with protocol 2.
    state = b"(K\x01K\x01\x85q\x01cnumpy\ndtype\nq\x02U\x02f4K\x00K\x01\x87Rq\x03(K\x03U\x01<NNNJ"
    state += b"\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\x00\x00\xc0\x3ftb"
    start = b"\x80\x02}U\x01wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b"

    found = checkpoints.parsed(start + b"\x87R" + state + b"s.", "it")

    assert found.arrays["w"].tolist() == [1.5]


def an_npz(**arrays: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_npz_gives_its_arrays() -> None:
    found = checkpoints.parsed(an_npz(weight=ARRAYS["conv.weight"]), "it")

    assert np.array_equal(found.arrays["weight"], ARRAYS["conv.weight"])


class Calls:
    """Pickles as a call of something with arguments."""

    def __init__(self, what: Callable[..., object], *arguments: object) -> None:
        self.call = (what, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


MODEL = {"w": ARRAYS["conv.bias"]}
RUNS: list[str] = []


def run(what: str) -> str:
    RUNS.append(what)
    return what


@pytest.mark.parametrize(
    "thing",
    [
        Calls(run, "it"),
        Calls(os.system, "true"),
        Calls(eval, "1 + 1"),
        Calls(getattr, RUNS, "append"),
        Calls(np.load, "a.npy"),
        Calls(np.frombuffer, b"1234"),
        Calls(collections.Counter, "aab"),
        np.array([{"an": "object"}], dtype=object),
        np.array(["text"]),
        np.zeros(2, dtype=[("x", "f4")]),
        np.datetime64("2020-01-01"),
        np.float32,
        os.system,
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        lambda thing: {"model": {"w": thing}},
        lambda thing: {"model": MODEL, "extra": thing},
        lambda thing: {"model": MODEL, "extra": [("a list", {"deep": thing})]},
    ],
    ids=["model", "beside", "deep"],
)
def test_value_that_is_no_array_is_refused_unrun(
    thing: object, place: Callable[[object], object]
) -> None:
    RUNS.clear()

    with pytest.raises(SetupFailed, match="no checkpoint that is read here"):
        parsed(place(thing))

    assert RUNS == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"PK\x03\x04 no archive",
        an_npz(w=np.array([{"an": "object"}], dtype=object)),
        pickle.dumps([1, 2]),
        pickle.dumps({"model": 3}),
        pickle.dumps({"model": {"w": 3}}),
        pickle.dumps({"model": {3: ARRAYS["flags"]}}, protocol=2),
        pickle.dumps({"model": ARRAYS}, protocol=2)[:-40],
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04\x8c\x05numpy\x8c\x11core.load_library\x93.",
    ],
    ids=lambda content: repr(content[:12]),
)
def test_broken_file_is_refused(content: bytes) -> None:
    with pytest.raises(SetupFailed, match="it is no checkpoint"):
        checkpoints.parsed(content, "it")


def test_shape_that_its_numbers_do_not_fill_is_refused() -> None:
    content = pickle.dumps({"w": np.zeros((2, 3), np.float32)}, protocol=2)
    grown = content.replace(b"K\x02K\x03\x86", b"K\x02K\x7f\x86")

    assert grown != content
    with pytest.raises(SetupFailed, match="no checkpoint"):
        checkpoints.parsed(grown, "it")
