"""A network's handling: prepare a picture as its input, and map outputs back to the picture.

Each network has its own input size, normalization and place of the matte. A manifest or the entry
of an admitted file states them, and this module parses them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Annotated, ClassVar, Final, TypeAlias, assert_never

import numpy as np
from pydantic import AfterValidator, ConfigDict, Field, Strict, TypeAdapter, ValidationError

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Floats, Srgb8
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

# A map whose highest value is lower shows no person; stretching it would turn noise into one.
SEEN_FROM: Final = 0.2
_MAP_AXES: Final = 2


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


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """A picture placed in a network's input.

    values: (1, 3, H, W) or (1, H, W, 3) float32, in the network's layout.
    left, top, width, height: place of the picture in the input, in pixels of the input.
    """

    values: Floats
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ConfiguredNetwork:
    """A network with its handling.

    network: takes the values of a NetworkInput, and returns all outputs.
    """

    network: Callable[[Floats], Sequence[Floats]]
    handling: Handling


def prepare(srgb: Srgb8, handling: Handling) -> NetworkInput:
    """Return a picture resized, placed and normalized for a network.

    srgb: (H, W, 3) uint8.
    """
    height, width = srgb.shape[:2]
    across, down = handling.width, handling.height
    left = top = 0
    if handling.fit != Fit.STRETCH:
        scale = min(handling.width / width, handling.height / height)
        across = min(handling.width, max(1, round(width * scale)))
        down = min(handling.height, max(1, round(height * scale)))
    if handling.fit == Fit.CENTERED:
        left, top = (handling.width - across) // 2, (handling.height - down) // 2
    canvas = np.full((handling.height, handling.width, 3), handling.padding, np.uint8)
    canvas[top : top + down, left : left + across] = resize(srgb, width=across, height=down)
    return NetworkInput(_values(canvas, handling), left, top, across, down)


def read_coverage(answer: Floats, handling: Handling) -> Floats:
    """Return the (h, w) float32 coverage, 0..1, of people in a network's input.

    answer: (1, C, h, w), (1, h, w, C), (1, h, w) or (h, w), of any size.
    Raises ValueError for any other shape, or when the channel is missing.
    """
    maps = np.asarray(answer, dtype=np.float32)
    if maps.ndim > _MAP_AXES and maps.shape[0] == 1:
        maps = maps[0]
    if maps.ndim == _MAP_AXES:
        maps = maps[np.newaxis]
    elif maps.ndim == _MAP_AXES + 1 and handling.layout == Layout.NHWC:
        maps = np.moveaxis(maps, -1, 0)
    if maps.ndim != _MAP_AXES + 1 or handling.channel >= len(maps) or 0 in maps.shape:
        raise ValueError(f"an output of shape {np.shape(answer)} has no map {handling.channel}")
    return _activate(maps, handling)


def map_to_picture(map_01: Floats, placed: NetworkInput, handling: Handling, srgb: Srgb8) -> Floats:
    """Return a map of the whole input, mapped back to the picture: (H, W) float32.

    map_01: (h, w) float32, the input at any scale.
    """
    across = map_01.shape[1] / handling.width
    down = map_01.shape[0] / handling.height
    left, top = int(placed.left * across), int(placed.top * down)
    right = max(left + 1, round((placed.left + placed.width) * across))
    bottom = max(top + 1, round((placed.top + placed.height) * down))
    part = np.ascontiguousarray(map_01[top:bottom, left:right])
    return resize(part, width=srgb.shape[1], height=srgb.shape[0])


def _values(canvas: Srgb8, handling: Handling) -> Floats:
    highest = max(1, int(canvas.max())) if handling.brightest else 255
    ordered = canvas if handling.order == ChannelOrder.RGB else canvas[..., ::-1]
    values = np.divide(ordered, highest, dtype=np.float32)
    values = (values - np.array(handling.mean, np.float32)) / np.array(handling.std, np.float32)
    if handling.layout == Layout.NCHW:
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[np.newaxis], dtype=np.float32)


def _activate(maps: Floats, handling: Handling) -> Floats:
    """Return one of (C, h, w) maps as coverage 0..1; NaN counts as 0."""
    coverage = maps[handling.channel]
    match handling.activation:
        case Activation.NONE:
            pass
        case Activation.SIGMOID:
            coverage = sigmoid(coverage)
        case Activation.SOFTMAX:
            powers = np.exp(maps - maps.max(axis=0))
            coverage = powers[handling.channel] / powers.sum(axis=0)
        case Activation.MINMAX:
            lowest, highest = float(coverage.min()), float(coverage.max())
            coverage = (
                (coverage - lowest) / (highest - lowest)
                if highest > lowest + SEEN_FROM
                else coverage
            )
        case _:
            assert_never(handling.activation)
    return np.asarray(np.clip(np.nan_to_num(coverage, posinf=1.0), 0, 1), dtype=np.float32)


def sigmoid(values: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)) of each value, without overflow."""
    return np.asarray(0.5 * (np.tanh(0.5 * values) + 1), dtype=np.float32)
