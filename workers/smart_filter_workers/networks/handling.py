"""How a picture is handed to somebody else's network, and how its answer is read: data, no code.

A network comes with habits: the size of its input, what is taken from its numbers, where its
matte is. They stand in a manifest or beside an admitted file, and are read here once.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Final, TypeAlias, TypeVar, cast

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.admitted import Admitted

LARGEST_SIDE_PX: Final = 4096
MOST_OUTPUTS: Final = 64
MOST_CHANNELS: Final = 4096

# As it stands in a manifest.
Told: TypeAlias = Mapping[str, object]
Three: TypeAlias = tuple[float, float, float]
Word = TypeVar("Word", bound=StrEnum)


class Fit(StrEnum):
    """How a picture is brought to the input's size.

    CENTRED and CORNER keep its shape and fill what is left, on all sides or right and below.
    """

    STRETCH = "stretch"
    CENTRED = "centred"
    CORNER = "corner"


class Order(StrEnum):
    """In which order the network wants its colours."""

    RGB = "rgb"
    BGR = "bgr"


class Layout(StrEnum):
    """Where the channels are in the network's input and answer."""

    NCHW = "nchw"
    NHWC = "nhwc"


class Answer(StrEnum):
    """What the network answers.

    MATTE: a map of the whole picture.  YOLO: boxes with coefficients, and prototypes of masks.
    RTMDET: boxes with scores, labels, and a mask of each at the input's size.
    """

    MATTE = "matte"
    YOLO = "yolo"
    RTMDET = "rtmdet"


class Activation(StrEnum):
    """What makes coverage of the network's numbers.

    MINMAX spreads them over 0..1 unless nothing is seen; SOFTMAX compares the channels.
    """

    NONE = "none"
    SIGMOID = "sigmoid"
    MINMAX = "minmax"
    SOFTMAX = "softmax"


class Task(StrEnum):
    """What the network was trained for: the edges of a SEGMENTATION are drawn to the picture's."""

    MATTING = "matting"
    SEGMENTATION = "segmentation"


@dataclass(frozen=True, slots=True)
class Handling:
    """How one network is used.

    width, height: of its input, in pixels.  padding: the level 0..255 beside a picture.
    mean, std: subtracted from, then dividing, values 0..1 in the network's order of colours.
    brightest: whether values are shares of the picture's brightest, not of 255.
    output: which of the answers is read; channel: which of its channels, or which class of
        an instance, is a person.
    """

    width: int
    height: int
    fit: Fit = Fit.STRETCH
    padding: int = 0
    order: Order = Order.RGB
    layout: Layout = Layout.NCHW
    mean: Three = (0.0, 0.0, 0.0)
    std: Three = (1.0, 1.0, 1.0)
    brightest: bool = False
    answer: Answer = Answer.MATTE
    output: int = 0
    channel: int = 0
    activation: Activation = Activation.NONE
    task: Task = Task.MATTING

    @property
    def told(self) -> dict[str, object]:
        """What differs from the defaults, as `read` takes it."""
        plain = {one.name: one.default for one in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value != plain[name]
        }


def of(file: Admitted, told: Told | None = None) -> Handling:
    """Return how an admitted file is used: what its list says, or what is told here.

    Raises SetupFailed when that cannot be read.
    """
    try:
        return read(file.handling if told is None else told)
    except ValueError as error:
        raise SetupFailed(f"{file.name}: how to use it cannot be read: {error}") from error


def read(told: Told) -> Handling:
    """Return the handling that a manifest tells of.

    Raises ValueError that names what is wrong.
    """
    unknown = sorted(told.keys() - {one.name for one in fields(Handling)})
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such way to handle a network")
    lacking = [f"{name}=PIXELS" for name in ("width", "height") if name not in told]
    if lacking:
        raise ValueError(
            f"the size of its input must be told, with --set {' --set '.join(lacking)}"
        )
    return Handling(
        width=_whole(told, "width", least=1, most=LARGEST_SIDE_PX),
        height=_whole(told, "height", least=1, most=LARGEST_SIDE_PX),
        fit=_one(told, "fit", Fit.STRETCH),
        padding=_whole(told, "padding", least=0, most=255, default=0),
        order=_one(told, "order", Order.RGB),
        layout=_one(told, "layout", Layout.NCHW),
        mean=_three(told, "mean", default=(0.0, 0.0, 0.0)),
        std=_three(told, "std", default=(1.0, 1.0, 1.0)),
        brightest=told.get("brightest", False) is True,
        answer=_one(told, "answer", Answer.MATTE),
        output=_whole(told, "output", least=0, most=MOST_OUTPUTS, default=0),
        channel=_whole(told, "channel", least=0, most=MOST_CHANNELS, default=0),
        activation=_one(told, "activation", Activation.NONE),
        task=_one(told, "task", Task.MATTING),
    )


def are_alike(one: Told, other: Told) -> bool:
    """Whether two tell of the same handling; what cannot be read is like nothing else."""
    # A size that is not told is the network's own.
    no_size = {"width": LARGEST_SIDE_PX, "height": LARGEST_SIDE_PX}
    try:
        return read({**no_size, **one}) == read({**no_size, **other})
    except ValueError:
        return dict(one) == dict(other)


def _one(told: Told, name: str, default: Word) -> Word:
    value, kind = told.get(name, default), type(default)
    try:
        return kind(str(value))
    except ValueError as error:
        raise ValueError(f"{name}: {value!r} is none of {', '.join(kind)}") from error


def _whole(told: Told, name: str, *, least: int, most: int, default: int | None = None) -> int:
    value = told.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name}: {value!r} is no integer from {least} to {most}")
    return value


def _three(told: Told, name: str, *, default: Three) -> Three:
    values = told.get(name, default)
    is_three = isinstance(values, list | tuple) and len(values) == 3  # noqa: PLR2004 - colours
    if not is_three or not all(_is_number(one) for one in cast("list[object]", values)):
        raise ValueError(f"{name}: {values!r} is not three numbers")
    first, second, third = (float(one) for one in cast("list[float]", values))
    if name == "std" and 0.0 in {first, second, third}:
        raise ValueError(f"std: {values!r} divides by nothing")
    return first, second, third


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
