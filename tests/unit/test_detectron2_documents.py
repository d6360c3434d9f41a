"""detectron2's configurations are data: no tag runs, no base lies outside of the zoo."""

import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks.detectron2 import documents

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


def test_operators_document_may_stand_on_a_file_of_the_zoo() -> None:
    text = "_BASE_: COCO/small.yaml\nMODEL: {MASK_ON: true}\n"

    document = documents.of_operator(text, "mine.yaml", in_zoo)

    assert document["MODEL"] == {"MASK_ON": True, "RESNETS": {"DEPTH": 18, "NORM": "GN"}}


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
