"""Parse and format properties of output files: size limit, metadata, provenance, encoder effort."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smart_filter_shared.catalog.scalars import Scalar, quote_value

MAX_BYTES_LOWER_BOUND: Final = 10_000
MAX_BYTES_UPPER_BOUND: Final = 1_000_000_000
# Bits of one pixel of a matte.
MATTE_BITS: Final = (8, 16)
# What `filename` may name: the photo's name, its number in its batch, the background.
NAME_PARTS: Final = re.compile(r"\{(name|n|background)\}")
MAX_NAME_CHARACTERS: Final = 100

# Units of 1,000 bytes, as in file managers, not of 1,024.
_UNITS: Final[Mapping[str, int]] = {"": 1, "b": 1, "kb": 1_000, "mb": 1_000_000}
_SIZE = re.compile(r"([0-9]{1,10}(?:\.[0-9]{1,3})?) ?([KkMm]?[Bb])?")


class Effort(StrEnum):
    """The goal of the encoder: speed, or fewer bytes."""

    FAST = "fast"
    SMALL = "small"


class Provenance(StrEnum):
    """The marks of provenance that image and cutout carry."""

    NONE = "none"
    C2PA = "c2pa"


@dataclass(frozen=True, slots=True)
class Files:
    """Properties of the output files.

    matte_bits: bits of each pixel of the matte, 8 or 16.
    max_bytes: size limit of the image and of the cutout, each; None for no limit.
    keep_metadata: whether image and cutout carry the photo's metadata, always without the
        location.
    provenance: whether image and cutout carry Content Credentials.
    filename: the name of downloads, with NAME_PARTS; None for the service's own.
    """

    matte_bits: int = MATTE_BITS[0]
    max_bytes: int | None = None
    keep_metadata: bool = False
    effort: Effort = Effort.FAST
    provenance: Provenance = Provenance.NONE
    filename: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return each value as JSON."""
        return {
            "matte_bits": self.matte_bits,
            "max_bytes": self.max_bytes,
            "keep_metadata": self.keep_metadata,
            "effort": str(self.effort),
            "provenance": str(self.provenance),
            "filename": self.filename,
        }


def read_matte_bits(text: str) -> int:
    """Parse `8` or `16`; return the bits."""
    if text not in {str(bits) for bits in MATTE_BITS}:
        raise ValueError(f"{quote_value(text)} is neither 8 nor 16")
    return int(text)


def read_max_bytes(text: str) -> int:
    """Parse `200000`, `200kB` or `1.5 MB`; return the bytes."""
    match = _SIZE.fullmatch(text)
    if match is not None:
        bytes_ = round(float(match[1]) * _UNITS[(match[2] or "").lower()])
        if MAX_BYTES_LOWER_BOUND <= bytes_ <= MAX_BYTES_UPPER_BOUND:
            return bytes_
    raise ValueError(
        f"{quote_value(text)} is not a size from {MAX_BYTES_LOWER_BOUND} to"
        f" {MAX_BYTES_UPPER_BOUND} bytes, such as 200000, 200kB or 1.5MB"
    )


def read_filename(text: Scalar) -> str:
    """Return the name of downloads as it was given, such as `{name}-{n}-{background}`."""
    rest = NAME_PARTS.sub("", str(text))
    if not isinstance(text, str) or not 0 < len(text) <= MAX_NAME_CHARACTERS or "\0" in rest:
        problem = f"{quote_value(text)} is not a name of 1 to {MAX_NAME_CHARACTERS} characters"
    elif unknown := re.search(r"\{[^{}]*\}?|\}", rest):
        problem = f"{quote_value(unknown[0])} is unknown"
    else:
        return text
    raise ValueError(f"{problem}; a name can hold {{name}}, {{n}} and {{background}}")
