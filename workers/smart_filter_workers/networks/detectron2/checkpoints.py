"""Checkpoints: read named arrays from an `.npz` or a zoo's pickle, without running code.

A pickle is a program. This reader accepts only the few names that arrays need, maps each to a stub
that holds numbers only, and refuses all others.
"""

import collections
import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import SetupFailed

# Keys are names of parameters, such as `backbone.bottom_up.stem.conv1.weight`.
Arrays: TypeAlias = Mapping[str, NDArray[Any]]  # Any: parameters are of several number types


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The content of a file of weights.

    by_likeness: whether its names are another program's and must be matched by similarity.
    author: the program that wrote it, "" when unknown.
    """

    arrays: Arrays
    by_likeness: bool = False
    author: str = ""


# Kind and bytes of an element, in NumPy's notation.
_TYPES: Final = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"))
_ORDERS: Final = frozenset("<>=|")
MAX_AXES: Final = 8


def parse(content: bytes, title: str) -> Checkpoint:
    """Return the arrays in the bytes of an `.npz` or of a zoo's pickle.

    title: its name in errors.  Raises SetupFailed.
    """
    try:
        if content.startswith(b"PK"):
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return Checkpoint({name: arrays[name] for name in arrays.files})
        return _to_checkpoint(_RestrictedUnpickler(io.BytesIO(content), encoding="latin1").load())
    # A broken pickle can make its reader raise almost anything.
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        *(ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OverflowError),
        *(MemoryError, RecursionError),
    ) as error:
        raise SetupFailed(f"{title} is not a readable checkpoint: {error}") from error


def _to_checkpoint(content: object) -> Checkpoint:
    """Return the checkpoint in an unpickled object.  Raises ValueError if it is none."""
    if not isinstance(content, dict):
        raise ValueError("it is not a mapping")  # noqa: TRY004 - a broken file, not a broken caller
    arrays = content.get("model", content)
    if not isinstance(arrays, dict):
        raise ValueError("its model is not a mapping")  # noqa: TRY004 - as above
    values = {}
    for name, value in arrays.items():
        if not isinstance(name, str) or not isinstance(value, _ArrayStub):
            raise ValueError(f"{name!r} is not an array")  # noqa: TRY004 - as above
        values[name] = value.made()
    author = content.get("__author__", "")
    return Checkpoint(
        values,
        by_likeness=content.get("matching_heuristics") is True,
        author=author if isinstance(author, str) else "",
    )


class _RestrictedUnpickler(pickle.Unpickler):
    """Reads a pickle of arrays; refuses every name that arrays do not need."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - pickle's own signature
        """Return the stub for a name.  Raises UnpicklingError for any other name."""
        class_ = _NAMES.get((module, name))
        if class_ is None:
            raise pickle.UnpicklingError(f"it uses {module}.{name}, which weights do not need")
        return class_


class _DtypeStub:
    """Stub of numpy.dtype: holds its type code and byte order."""

    def __init__(self, code: object = "", *_: object) -> None:
        if not isinstance(code, str) or code.lstrip("<>=|") not in _TYPES:
            raise pickle.UnpicklingError(f"an array has elements of type {code!r}")
        self.code = code.lstrip("<>=|")
        self.order = "|"

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if not isinstance(order, str) or order not in _ORDERS:
            raise pickle.UnpicklingError(f"an array has the byte order {order!r}")
        self.order = order

    def made(self) -> np.dtype[Any]:  # Any: one of several number types
        return np.dtype(self.order + self.code)


class _ArrayStub:
    """Stub of numpy.ndarray, filled by `__setstate__`."""

    def __init__(self) -> None:
        self._made: NDArray[Any] | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:  # noqa: PLR2004 - NumPy's own state
            raise pickle.UnpicklingError("an array has no shape or no numbers")
        _, shape, kind, is_fortran, raw = state
        # Bytes written by Python 2 arrive as text, one letter for each byte.
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        if not isinstance(kind, _DtypeStub) or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("an array holds more than numbers")
        if not isinstance(shape, tuple) or len(shape) > MAX_AXES:
            raise pickle.UnpicklingError(f"an array has the shape {shape!r}")
        if not all(type(side) is int and side >= 0 for side in shape):
            raise pickle.UnpicklingError(f"an array has the shape {shape!r}")
        numbers = np.frombuffer(raw, dtype=kind.made())
        shaped = numbers.reshape(shape, order="F") if is_fortran else numbers.reshape(shape)
        # Copy to the machine's byte order, as torch requires.
        self._made = shaped.astype(numbers.dtype.newbyteorder("="))

    def made(self) -> NDArray[Any]:
        if self._made is None:
            raise ValueError("an array has no numbers")
        return self._made


def _reconstruct(*_: object) -> _ArrayStub:
    """Stub of numpy's `_reconstruct`: an array whose state follows."""
    return _ArrayStub()


def _latin1(text: object, encoding: object) -> bytes:
    """Stub of `_codecs.encode`, which protocol 2 uses for bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes are encoded as {encoding!r}")
    return text.encode("latin1")


def _empty(*letters: object) -> bytes:
    """Stub of `bytes`, which protocol 2 uses for an empty array."""
    if letters:
        raise pickle.UnpicklingError("`bytes` has arguments")
    return b""


def _scalar(kind: object, raw: object) -> np.generic:
    """Stub of numpy's `scalar`: return one number."""
    if not isinstance(kind, _DtypeStub) or not isinstance(raw, bytes):
        raise pickle.UnpicklingError("a scalar is not a number")
    made = np.frombuffer(raw, dtype=kind.made())
    if made.size != 1:
        raise pickle.UnpicklingError("a scalar is not a single number")
    number: np.generic = made[0]
    return number


_NAMES: Final[Mapping[tuple[str, str], Callable[..., object]]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy", "ndarray"): _ArrayStub,
    ("numpy", "dtype"): _DtypeStub,
    ("_codecs", "encode"): _latin1,
    ("__builtin__", "bytes"): _empty,
    ("collections", "OrderedDict"): collections.OrderedDict,
}
