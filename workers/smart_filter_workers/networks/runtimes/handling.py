"""Handling of a third-party network: its input and output formats, as data, not code.

Each network has its own input size, normalization and place of the matte. A manifest or the entry
of an admitted file states them, and this module parses them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Final, TypeAlias, TypeVar, cast

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.weights.allowlist import AdmittedFile

MAX_SIDE_PX: Final = 4096
MAX_OUTPUTS: Final = 64
MAX_CHANNELS: Final = 4096

# Handling as written in a manifest.
RawHandling: TypeAlias = Mapping[str, object]
Triple: TypeAlias = tuple[float, float, float]
Word = TypeVar("Word", bound=StrEnum)


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

    width: int
    height: int
    fit: Fit = Fit.STRETCH
    padding: int = 0
    order: ChannelOrder = ChannelOrder.RGB
    layout: Layout = Layout.NCHW
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    brightest: bool = False
    answer: OutputKind = OutputKind.MATTE
    output: int = 0
    channel: int = 0
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
    unknown = sorted(given.keys() - {field.name for field in fields(Handling)})
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such setting of a network")
    lacking = [f"{name}=PIXELS" for name in ("width", "height") if name not in given]
    if lacking:
        raise ValueError(f"its input size is missing: give --set {' --set '.join(lacking)}")
    return Handling(
        width=_parse_integer(given, "width", least=1, most=MAX_SIDE_PX),
        height=_parse_integer(given, "height", least=1, most=MAX_SIDE_PX),
        fit=_parse_choice(given, "fit", Fit.STRETCH),
        padding=_parse_integer(given, "padding", least=0, most=255, default=0),
        order=_parse_choice(given, "order", ChannelOrder.RGB),
        layout=_parse_choice(given, "layout", Layout.NCHW),
        mean=_parse_triple(given, "mean", default=(0.0, 0.0, 0.0)),
        std=_parse_triple(given, "std", default=(1.0, 1.0, 1.0)),
        brightest=given.get("brightest", False) is True,
        answer=_parse_choice(given, "answer", OutputKind.MATTE),
        output=_parse_integer(given, "output", least=0, most=MAX_OUTPUTS, default=0),
        channel=_parse_integer(given, "channel", least=0, most=MAX_CHANNELS, default=0),
        activation=_parse_choice(given, "activation", Activation.NONE),
        task=_parse_choice(given, "task", TrainedTask.MATTING),
    )


def are_equivalent(first: RawHandling, second: RawHandling) -> bool:
    """Return whether two handlings mean the same; an invalid one equals only its copy."""
    # A missing size is the network's own size.
    no_size = {"width": MAX_SIDE_PX, "height": MAX_SIDE_PX}
    try:
        return parse({**no_size, **first}) == parse({**no_size, **second})
    except ValueError:
        return dict(first) == dict(second)


def _parse_choice(given: RawHandling, name: str, default: Word) -> Word:
    value, kind = given.get(name, default), type(default)
    try:
        return kind(str(value))
    except ValueError as error:
        raise ValueError(f"{name}: {value!r} is not one of {', '.join(kind)}") from error


def _parse_integer(
    given: RawHandling, name: str, *, least: int, most: int, default: int | None = None
) -> int:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name}: {value!r} is not an integer from {least} to {most}")
    return value


def _parse_triple(given: RawHandling, name: str, *, default: Triple) -> Triple:
    values = given.get(name, default)
    is_three = isinstance(values, list | tuple) and len(values) == 3  # noqa: PLR2004 - colors
    if not is_three or not all(_is_number(number) for number in cast("list[object]", values)):
        raise ValueError(f"{name}: {values!r} is not three numbers")
    first, second, third = (float(number) for number in cast("list[float]", values))
    if name == "std" and 0.0 in {first, second, third}:
        raise ValueError(f"std: {values!r} divides by 0")
    return first, second, third


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
