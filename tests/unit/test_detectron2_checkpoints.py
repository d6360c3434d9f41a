"""Checkpoints hold numbers: a pickle that wants anything else is not read."""

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
from smart_filter_workers.networks.detectron2 import checkpoints

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
