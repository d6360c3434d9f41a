"""Handling of a third-party network: its input and output formats, as data, not code.

Each network has its own input size, normalization and place of the matte. A manifest or the entry
of an admitted file states them, and this module parses them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Annotated, ClassVar, Final, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, Strict, TypeAdapter, ValidationError

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.weights.allowlist import AdmittedFile

MAX_SIDE_PX: Final = 4096
MAX_OUTPUTS: Final = 64
MAX_CHANNELS: Final = 4096

# Handling as written in a manifest.
RawHandling: TypeAlias = Mapping[str, object]
Triple: TypeAlias = tuple[
    Annotated[float, Strict()], Annotated[float, Strict()], Annotated[float, Strict()]
]
_Side: TypeAlias = Annotated[int, Strict(), Field(ge=1, le=MAX_SIDE_PX)]


def _refuse_zero(divisors: Triple) -> Triple:
    if 0.0 in divisors:
        raise ValueError("divides by 0")
    return divisors


class Fit(StrEnum):
    """How a picture is fitted to the input's size.

    CENTERED and CORNER keep its shape and pad the rest, on all sides or right and below.
    """

    STRETCH = "stretch"
    CENTERED = "centred"
    CORNER = "corner"


class ChannelOrder(StrEnum):
    """The order of the network's color channels."""

    RGB = "rgb"
    BGR = "bgr"


class Layout(StrEnum):
    """The place of the channels in the network's input and output."""

    NCHW = "nchw"
    NHWC = "nhwc"


class OutputKind(StrEnum):
    """The kind of output of the network.

    MATTE: a map of the whole picture.  YOLO: boxes with coefficients, and prototypes of masks.
    RTMDET: boxes with scores, labels, and a mask of each at the input's size.
    """

    MATTE = "matte"
    YOLO = "yolo"
    RTMDET = "rtmdet"


class Activation(StrEnum):
    """The function that turns the network's values into coverage.

    MINMAX stretches them to 0..1 unless nothing is found; SOFTMAX compares the channels.
    """

    NONE = "none"
    SIGMOID = "sigmoid"
    MINMAX = "minmax"
    SOFTMAX = "softmax"


class TrainedTask(StrEnum):
    """The network's task: edges of a SEGMENTATION are refined, edges of a MATTING are kept."""

    MATTING = "matting"
    SEGMENTATION = "segmentation"


@dataclass(frozen=True, slots=True)
class Handling:
    """How one network is used.

    width, height: of its input, in pixels.  padding: level 0..255 around a picture.
    mean, std: subtracted from values 0..1 and dividing them, in the network's channel order.
    brightest: whether values are shares of the picture's brightest level, not of 255.
    output: index of the output to read; channel: its channel, or the class of an instance, that is
        a person.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    width: _Side
    height: _Side
    fit: Fit = Fit.STRETCH
    padding: Annotated[int, Strict(), Field(ge=0, le=255)] = 0
    order: ChannelOrder = ChannelOrder.RGB
    layout: Layout = Layout.NCHW
    mean: Triple = (0.0, 0.0, 0.0)
    std: Annotated[Triple, AfterValidator(_refuse_zero)] = (1.0, 1.0, 1.0)
    brightest: Annotated[bool, Strict()] = False
    answer: OutputKind = OutputKind.MATTE
    output: Annotated[int, Strict(), Field(ge=0, le=MAX_OUTPUTS)] = 0
    channel: Annotated[int, Strict(), Field(ge=0, le=MAX_CHANNELS)] = 0
    activation: Activation = Activation.NONE
    task: TrainedTask = TrainedTask.MATTING

    @property
    def non_defaults(self) -> dict[str, object]:
        """The fields that differ from the defaults, in the form that `parse` reads."""
        plain = {field.name: field.default for field in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value != plain[name]
        }


_HANDLING: Final = TypeAdapter(Handling)


def mediapipe_detector(side_px: int) -> Handling:
    """Return how mediapipe's detectors take a picture: whole, amid black, in values of -1..1."""
    return Handling(
        width=side_px,
        height=side_px,
        fit=Fit.CENTERED,
        layout=Layout.NHWC,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )


def for_file(file: AdmittedFile, given: RawHandling | None = None) -> Handling:
    """Return the handling of an admitted file: `given`, or its entry's.

    Raises SetupFailed when it cannot be parsed.
    """
    try:
        return parse(file.handling if given is None else given)
    except ValueError as error:
        raise SetupFailed(f"{file.name}: its handling is invalid: {error}") from error


def parse(given: RawHandling) -> Handling:
    """Return the handling in a manifest.

    Raises ValueError naming the error.
    """
    lacking = [f"{name}=PIXELS" for name in ("width", "height") if name not in given]
    if lacking:
        raise ValueError(f"its input size is missing: give --set {' --set '.join(lacking)}")
    try:
        return _HANDLING.validate_python(dict(given))
    except ValidationError as error:
        faults = (f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise ValueError("; ".join(dict.fromkeys(faults))) from error


def are_equivalent(first: RawHandling, second: RawHandling) -> bool:
    """Return whether two handlings mean the same; an invalid one equals only its copy."""
    # A missing size is the network's own size.
    no_size = {"width": MAX_SIDE_PX, "height": MAX_SIDE_PX}
    try:
        return parse({**no_size, **first}) == parse({**no_size, **second})
    except ValueError:
        return dict(first) == dict(second)
