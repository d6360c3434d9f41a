"""Declare and parse properties of output files: size limit, metadata, provenance, effort."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from pydantic import BeforeValidator, WithJsonSchema

from smart_filter_shared.catalog.scalars import Scalar, quote_value
from smart_filter_shared.recipe.declaration import (
    MAX_BYTES_LOWER_BOUND,
    MAX_BYTES_UPPER_BOUND,
    declare,
    parsed,
)
from smart_filter_wire.words import Output

# What `filename` may name: the photo's name, its number in its batch, the background.
NAME_PARTS: Final = re.compile(r"\{(name|n|background)\}")
MAX_NAME_CHARACTERS: Final = 100

# Units of 1,000 bytes, as in file managers, not of 1,024.
_UNITS: Final[Mapping[str, int]] = {"": 1, "b": 1, "kb": 1_000, "mb": 1_000_000}
_PICTURES: Final = frozenset({Output.IMAGE, Output.CUTOUT})
_SIZE = re.compile(r"([0-9]{1,10}(?:\.[0-9]{1,3})?) ?([KkMm]?[Bb])?")


class Effort(StrEnum):
    """The goal of the encoder: speed, or fewer bytes."""

    FAST = "fast"
    SMALL = "small"


class Provenance(StrEnum):
    """The marks of provenance that image and cutout carry."""

    NONE = "none"
    C2PA = "c2pa"


def read_matte_bits(text: str) -> int:
    """Parse `8` or `16`; return the bits."""
    if text not in {"8", "16"}:
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


@dataclass(frozen=True, slots=True)
class Files:
    """Properties of the output files; None for no limit, and for the service's own name."""

    max_bytes: int | None = declare(
        None,
        f"""Size limit of `image` and of `cutout`, such as `200000`, `200kB` or `1.5MB`; at least
        {MAX_BYTES_LOWER_BOUND} bytes

        The quality goes down to 40; then, and for a png, they shrink evenly. With `png` and a
        `size` in pixels or `print:`: `contradiction`
        """,
        [
            parsed(read_max_bytes),
            WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "validation"),
        ],
        unit="bytes",
        outputs=_PICTURES,
    )
    effort: Effort = declare(
        Effort.FAST,
        "`small`: encode more slowly, for fewer bytes",
    )
    matte_bits: Literal[8, 16] = declare(
        8,
        "Bits of a pixel of the matte, with 255 levels in both",
        [parsed(read_matte_bits)],
        unit="bits",
        outputs=frozenset({Output.MATTE}),
    )
    keep_metadata: bool = declare(
        False,
        """Keep description, artist, copyright, camera and times; never the location

        `image` and `cutout` carry them, the lens and the camera settings of the photo's EXIF;
        never owner, serial numbers, maker notes or a thumbnail
        """,
        outputs=_PICTURES,
    )
    provenance: Provenance = declare(
        Provenance.NONE,
        """`c2pa`: image and cutout carry signed Content Credentials and the IPTC's digital source
        type

        [Content Credentials](../provenance.md); `DigitalSourceType` for composites. Without a
        certificate on the server: `not_available`. With avif or `max_bytes`:
        `contradiction`
        """,
        outputs=_PICTURES,
    )
    filename: str | None = declare(
        None,
        f"""Name of downloads: `{{name}}` of the photo, its number `{{n}}` in the batch,
        `{{background}}`

        The number is 1 without a batch, and `jobs download` counts its jobs; the extension
        follows from the format. At most {MAX_NAME_CHARACTERS} characters
        """,
        [BeforeValidator(read_filename)],
        longest=MAX_NAME_CHARACTERS,
        stages=(),
    )
