"""The recipe of a job as a type: names, values and defaults are those of docs/api/recipes.md."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypedDict

from smart_filter_wire.words import OutputName

# Where an output is saved: a file, or a function of its media type and of the server's name for it.
Place = Path | Callable[[str, str], Path]
Format = Literal["auto", "png", "webp", "jpg", "avif"]
LogoPlace = Literal[
    "top-left",
    "top",
    "top-right",
    "left",
    "center",
    "right",
    "bottom-left",
    "bottom",
    "bottom-right",
]
FilterName = Literal["grade", "sparkle", "glasses", "hat", "sticker", "caption"]

_Color = Literal[
    "black", "red", "navy", "teal", "green", "purple", "pink", "gold", "white", "brown"
]

# Names with dots that cannot be nested, because `filters` is a list.
_FilterParameters = TypedDict(
    "_FilterParameters",
    {
        "filters.grade.look": Literal[
            "auto", "sunny", "airy", "blush", "pop", "editorial", "dusk", "steel", "mono"
        ],
        "filters.grade.strength": float,
        "filters.sparkle.amount": float,
        "filters.glasses.kind": Literal["round", "cat-eye", "shades"],
        "filters.glasses.color": _Color,
        "filters.glasses.who": str,
        "filters.hat.kind": Literal["party", "santa", "crown", "beanie"],
        "filters.hat.color": Literal["auto", _Color],
        "filters.hat.who": str,
        "filters.sticker.kind": Literal["heart", "star", "flower", "bow", "cat-ears", "moustache"],
        "filters.sticker.who": str,
        "filters.caption.text": str,
        "filters.caption.place": Literal["bottom", "top"],
        "filters.caption.style": Literal["auto", "plate", "outline"],
    },
    total=False,
)


class ModelChoice(TypedDict, total=False):
    """The model of a task, `auto` or a name that `models` lists, and its parameters."""

    model: str
    params: Mapping[str, str | float | bool]


class Recipe(_FilterParameters, total=False):
    """What to make of a photo; every name is optional.

    recipe: a name that `recipes` lists, or several; a later one takes precedence.
    background: `auto`, `keep`, `transparent`, `color:navy`, `blur:0.5`, `preset:rainbow`,
        `keywords:beach,sunset`, `file` or `url:https://…`.
    persons: `all`, `main`, `front`, `largest`, or numbers from the left such as `1,3`.
    run_at: RFC 3339.  deadline_ms: from the submission.
    """

    recipe: str | Sequence[str]
    background: str
    outputs: OutputName | Sequence[OutputName]
    format: Format
    quality: int
    max_bytes: int | str
    effort: Literal["fast", "small"]
    matte_bits: Literal[8, 16]
    keep_metadata: bool
    provenance: Literal["none", "c2pa"]
    filename: str
    style: Literal["clean", "playful", "brand", "seasonal", "spring", "summer", "autumn", "winter"]
    edge: Literal["balanced", "fast", "best", "hard"]
    grow: int
    mask: Literal["model", "upload"]
    crop: bool | Literal["faces"]
    margin: str
    scale: str
    position: str
    roi: str
    aspect: str
    size: str
    shadow: str
    outline: str
    light_wrap: float | Literal["auto"]
    harmonize: float | Literal["auto"]
    logo: str
    logo_place: LogoPlace
    logo_size: str
    logo_margin: str
    filters: FilterName | Sequence[FilterName]
    segmentation: ModelChoice
    face: ModelChoice
    smile: ModelChoice
    eyes: ModelChoice
    persons: str
    subject: Literal["auto", "people", "any"]
    require_person: bool
    seed: int
    priority: Literal["standard", "interactive", "batch"]
    deadline_ms: int
    run_at: str
    metadata: Mapping[str, str]


# The default of methods. Not None: for a union, type checkers do not name the misspelled field.
NO_FIELDS: Final[Recipe] = {}
