"""What the files are to be like: how large at most, how small at what effort, what they tell."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smart_filter_shared.recipe.words import shown

LEAST_MAX_BYTES: Final = 10_000
MOST_MAX_BYTES: Final = 1_000_000_000
# Of one pixel of a matte.
MATTE_BITS: Final = (8, 16)

# Thousands, as file managers count and sellers of memory: not 1,024.
_UNITS: Final[Mapping[str, int]] = {"": 1, "b": 1, "kb": 1_000, "mb": 1_000_000}
_SIZE = re.compile(r"([0-9]{1,10}(?:\.[0-9]{1,3})?) ?([KkMm]?[Bb])?")


class Effort(StrEnum):
    """What encoders are chosen for: to be done soon, or to make fewer bytes."""

    FAST = "fast"
    SMALL = "small"


@dataclass(frozen=True, slots=True)
class Files:
    """What the files are to be like.

    matte_bits: of each of the matte's pixels, 8 or 16.
    max_bytes: what image and cut-out may take at most, each; None for whatever they take.
    keep_metadata: whether image and cut-out carry what the photo tells of itself, but never
        where it was taken.
    """

    matte_bits: int = MATTE_BITS[0]
    max_bytes: int | None = None
    keep_metadata: bool = False
    effort: Effort = Effort.FAST

    def as_json(self) -> dict[str, object]:
        """Return each value as JSON."""
        return {
            "matte_bits": self.matte_bits,
            "max_bytes": self.max_bytes,
            "keep_metadata": self.keep_metadata,
            "effort": str(self.effort),
        }


def from_json(recipe: Mapping[str, object]) -> Files:
    """Return what `as_json` wrote; rows of version 0.1 have nothing of it."""
    given = {**Files().as_json(), **recipe}
    most = given["max_bytes"]
    return Files(
        matte_bits=int(str(given["matte_bits"])),
        max_bytes=None if most is None else int(str(most)),
        keep_metadata=given["keep_metadata"] is True,
        effort=Effort(str(given["effort"])),
    )


def read_matte_bits(text: str) -> int:
    """Return the bits of `8` or `16`."""
    if text not in {str(bits) for bits in MATTE_BITS}:
        raise ValueError(f"{shown(text)} is neither 8 nor 16")
    return int(text)


def read_max_bytes(text: str) -> int:
    """Return the bytes of `200000`, `200kB` or `1.5 MB`."""
    match = _SIZE.fullmatch(text)
    if match is not None:
        bytes_ = round(float(match[1]) * _UNITS[(match[2] or "").lower()])
        if LEAST_MAX_BYTES <= bytes_ <= MOST_MAX_BYTES:
            return bytes_
    raise ValueError(
        f"{shown(text)} is not a size of {LEAST_MAX_BYTES} bytes or more, such as 200000, 200kB "
        "or 1.5MB"
    )
