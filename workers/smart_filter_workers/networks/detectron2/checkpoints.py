"""Checkpoints: arrays by name out of an `.npz` or a zoo's pickle, and nothing that runs.

A pickle is a program. This reader knows three of its names (an array, its type, an ordered
dictionary), gives each a stand-in of its own that holds numbers only, and refuses every other.
"""

import collections
import hashlib
import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.cards import WeightsFile
from smart_filter_shared.errors import SetupFailed

# By name of the parameter, such as `backbone.bottom_up.stem.conv1.weight`.
Arrays: TypeAlias = Mapping[str, NDArray[Any]]  # Any: parameters are of several number types


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a file of weights holds.

    by_likeness: whether its names are those of another program, to be matched by likeness.
    author: the program that wrote it, "" when it does not say.
    """

    arrays: Arrays
    by_likeness: bool = False
    author: str = ""


# Kind and bytes of an element, as NumPy writes them.
_TYPES: Final = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"))
_ORDERS: Final = frozenset("<>=|")
MOST_AXES: Final = 8


def read(folder: Path, file: WeightsFile) -> Checkpoint:
    """Return what a file of weights holds.

    Raises SetupFailed when it is missing, has another SHA-256, or holds more than arrays.
    """
    path = folder / file.name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SetupFailed(f"weights file {path} is missing: run `smart-filter models pull`") from (
            error
        )
    # The bytes that are checked are those that are read, whoever writes to the file meanwhile.
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise SetupFailed(f"weights file {path} has a wrong SHA-256: pull or admit it again")
    return parsed(content, str(path))


def parsed(content: bytes, title: str) -> Checkpoint:
    """Return what is in the bytes of an `.npz` or of a zoo's pickle.

    title: what to call it in errors.  Raises SetupFailed.
    """
    try:
        if content.startswith(b"PK"):
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return Checkpoint({name: arrays[name] for name in arrays.files})
        return _checkpoint_of(_Reader(io.BytesIO(content), encoding="latin1").load())
    # A broken pickle makes its reader raise almost anything.
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        *(ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OverflowError),
        *(MemoryError, RecursionError),
    ) as error:
        raise SetupFailed(f"{title} is no checkpoint that is read here: {error}") from error


def _checkpoint_of(told: object) -> Checkpoint:
    """Return what the object in a pickle says, when it says nothing but arrays by name."""
    if not isinstance(told, dict):
        raise ValueError("it holds no names")  # noqa: TRY004 - a broken file, no broken caller
    arrays = told.get("model", told)
    if not isinstance(arrays, dict):
        raise ValueError("its model holds no names")  # noqa: TRY004 - as above
    found = {}
    for name, value in arrays.items():
        if not isinstance(name, str) or not isinstance(value, _Array):
            raise ValueError(f"{name!r} is no array")  # noqa: TRY004 - as above
        found[name] = value.made()
    author = told.get("__author__", "")
    return Checkpoint(
        found,
        by_likeness=told.get("matching_heuristics") is True,
        author=author if isinstance(author, str) else "",
    )


class _Reader(pickle.Unpickler):
    """Reads a pickle of arrays; every name beyond the few that those need is refused."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - pickle's own signature
        """Return the stand-in of a name.  Raises UnpicklingError for every other."""
        found = _NAMES.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"it wants {module}.{name}, which is not for weights")
        return found


class _Type:
    """Stands for numpy.dtype: knows its letter and the order of its bytes."""

    def __init__(self, code: object = "", *_: object) -> None:
        if not isinstance(code, str) or code.lstrip("<>=|") not in _TYPES:
            raise pickle.UnpicklingError(f"an array has elements of type {code!r}")
        self.code = code.lstrip("<>=|")
        self.order = "|"

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if not isinstance(order, str) or order not in _ORDERS:
            raise pickle.UnpicklingError(f"an array has bytes in the order {order!r}")
        self.order = order

    def made(self) -> np.dtype[Any]:  # Any: one of several number types
        return np.dtype(self.order + self.code)


class _Array:
    """Stands for numpy.ndarray until its numbers are there."""

    def __init__(self) -> None:
        self._made: NDArray[Any] | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:  # noqa: PLR2004 - NumPy's own state
            raise pickle.UnpicklingError("an array has no shape or no numbers")
        _, shape, kind, is_fortran, raw = state
        # Written by Python 2, bytes arrive as text, one letter each.
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        if not isinstance(kind, _Type) or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("an array holds more than numbers")
        if not isinstance(shape, tuple) or len(shape) > MOST_AXES:
            raise pickle.UnpicklingError(f"an array has the shape {shape!r}")
        if not all(type(side) is int and side >= 0 for side in shape):
            raise pickle.UnpicklingError(f"an array has the shape {shape!r}")
        numbers = np.frombuffer(raw, dtype=kind.made())
        shaped = numbers.reshape(shape, order="F") if is_fortran else numbers.reshape(shape)
        # A copy of its own, in the machine's order of bytes: what torch takes.
        self._made = shaped.astype(numbers.dtype.newbyteorder("="))

    def made(self) -> NDArray[Any]:
        if self._made is None:
            raise ValueError("an array has no numbers")
        return self._made


def _reconstruct(*_: object) -> _Array:
    """Stand for numpy's `_reconstruct`: an array whose state follows."""
    return _Array()


def _latin1(text: object, encoding: object) -> bytes:
    """Stand for `_codecs.encode`, by which protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes are written as {encoding!r}")
    return text.encode("latin1")


def _empty(*letters: object) -> bytes:
    """Stand for `bytes`, by which protocol 2 writes those of an empty array."""
    if letters:
        raise pickle.UnpicklingError("bytes are made of something")
    return b""


def _scalar(kind: object, raw: object) -> np.generic:
    """Stand for numpy's `scalar`: one number."""
    if not isinstance(kind, _Type) or not isinstance(raw, bytes):
        raise pickle.UnpicklingError("a number is none")
    made = np.frombuffer(raw, dtype=kind.made())
    if made.size != 1:
        raise pickle.UnpicklingError("a number is several")
    number: np.generic = made[0]
    return number


_NAMES: Final[Mapping[tuple[str, str], Callable[..., object]]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _latin1,
    ("__builtin__", "bytes"): _empty,
    ("collections", "OrderedDict"): collections.OrderedDict,
}
