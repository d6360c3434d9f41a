"""The recipe of a job as a type, with the meaning of each field.

client/generate_recipe.py writes this file from the fields that the service declares.
"""
# ruff: noqa: E501

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, TypedDict

from smart_filter_wire.words import OutputName

Format = Literal["auto", "png", "webp", "jpg", "avif"]
LogoPlace = Literal[
    "bottom-right",
    "bottom",
    "bottom-left",
    "right",
    "center",
    "left",
    "top-right",
    "top",
    "top-left",
]
FilterName = Literal["grade", "sparkle", "glasses", "hat", "sticker", "caption"]
# Where an output is saved: a file, or a function of its media type and of the server's name for it.
Place = Path | Callable[[str, str], Path]


class ModelChoice(TypedDict, total=False):
    """The model of a task, `auto` or a name that `models` lists, and its parameters."""

    model: str | None
    params: Mapping[str, str | float | bool | None]


# Names with dots that cannot be nested, because `filters` is a list.
_FilterParameters = TypedDict(
    "_FilterParameters",
    {
        "filters.grade.look": Literal[
            "auto", "sunny", "airy", "blush", "pop", "editorial", "dusk", "steel", "mono"
        ]
        | None,
        "filters.grade.strength": float | None,
        "filters.sparkle.amount": float | None,
        "filters.glasses.kind": Literal["round", "cat-eye", "shades"] | None,
        "filters.glasses.color": Literal[
            "black", "red", "navy", "teal", "green", "purple", "pink", "gold", "white", "brown"
        ]
        | None,
        "filters.glasses.who": str | None,
        "filters.hat.kind": Literal["party", "santa", "crown", "beanie"] | None,
        "filters.hat.color": Literal[
            "auto",
            "black",
            "red",
            "navy",
            "teal",
            "green",
            "purple",
            "pink",
            "gold",
            "white",
            "brown",
        ]
        | None,
        "filters.hat.who": str | None,
        "filters.sticker.kind": Literal["heart", "star", "flower", "bow", "cat-ears", "moustache"]
        | None,
        "filters.sticker.who": str | None,
        "filters.caption.text": str | None,
        "filters.caption.place": Literal["bottom", "top"] | None,
        "filters.caption.style": Literal["auto", "plate", "outline"] | None,
    },
    total=False,
)


class Recipe(_FilterParameters, total=False):
    """What to make of a photo; every name is optional, and None counts as absent."""

    background: Annotated[
        str | None,
        "`auto`, `keep`, `transparent`, `color:CSS-COLOR`, `preset:NAME`, `keywords:WORD,WORD`, `blur:0..1`, `url:https://HOST/PATH`, or `file`: a form's part `background_file`; `auto` by default",
    ]
    style: Annotated[
        Literal["clean", "playful", "brand", "seasonal", "spring", "summer", "autumn", "winter"]
        | None,
        "What `auto` chooses from: `clean`: papers, walls, gardens, skies; `playful`: patterns; `brand`: your own pictures; `seasonal`: the season of the northern year; or one season; `clean` by default",
    ]
    outputs: Annotated[
        OutputName | Sequence[OutputName] | None, "The files to make; `image` by default"
    ]
    subject: Annotated[
        Literal["auto", "people", "any"] | None,
        "What to cut out: `people`; `any`, whatever stands out; `auto`: people, and if there are none, whatever stands out; `auto` by default",
    ]
    persons: Annotated[
        str | None,
        "`all`; `main`, whom the photo is of; `front`, those nearest to the camera; `largest`; or numbers such as `1,3`, counted from the left of the photo; `all` by default",
    ]
    require_person: Annotated[
        bool | None, "Fail when the photo shows no person; `false` by default"
    ]
    seed: Annotated[
        int | None, "The same photo, recipe and seed give the same image; random by default"
    ]
    recipe: Annotated[
        str | Sequence[str] | None,
        "A name from `GET /v1/recipes`, or up to 4: their fields apply where the request gives none, and a later recipe takes precedence",
    ]
    segmentation: Annotated[ModelChoice | None, "Cuts the people out; `auto` by default"]
    face: Annotated[ModelChoice | None, "Finds the faces; `auto` by default"]
    smile: Annotated[ModelChoice | None, "Rates the smiles; `auto` by default"]
    eyes: Annotated[ModelChoice | None, "Tells open eyes from closed ones; `auto` by default"]
    crop: Annotated[
        Literal["false", "true", "faces"] | bool | None,
        "`true`: crop around the people; `faces`: frame a portrait of the faces; `false` by default",
    ]
    margin: Annotated[
        str | None,
        "Margin around the crop: 1, 2 or 4 values in CSS order, such as `30px` (at most 500) or `10%` (at most 50); `0px` by default",
    ]
    aspect: Annotated[
        str | None,
        "Aspect ratio, such as `1:1`, `4:5` or `9:16`; at most 10:1; `original` by default",
    ]
    size: Annotated[
        str | None,
        "Output size: `full`, `preview`, `medium`, `hd`, `1080x1350`, `print:10x15`; `full` by default",
    ]
    scale: Annotated[
        str | None, "Size of the people in the image, `10%` to `100%`; `original` by default"
    ]
    position: Annotated[
        str | None,
        "Position of the people: `center`, or one or two values from `0%` to `100%`, across and down; `original` by default",
    ]
    max_enlarge: Annotated[
        int | None, "How many times a small photo may be enlarged at most; `1000` by default"
    ]
    roi: Annotated[
        str | None,
        "Region that holds the people: left, top, right, bottom, in `px` or `%`; `0% 0% 100% 100%` by default",
    ]
    document: Annotated[
        str | None,
        "Photo for a document, such as `us`, `uk`, `schengen` or `badge`: its size, place of the head, background, file size and checks; `none` by default",
    ]
    require: Annotated[
        Literal["none", "pass"] | None,
        "`pass`: fail when a check of `document` fails or is unsure; `none` by default",
    ]
    sheet: Annotated[
        Literal["10x15", "4x6", "a4"] | None,
        "Paper of the output `sheet`, the document's photo many times with cutting marks; `10x15` by default",
    ]
    edge: Annotated[
        Literal["balanced", "fast", "best", "hard"] | None,
        "Effort spent on the edge of the people; `hard` leaves no partial transparency; `balanced` by default",
    ]
    mask: Annotated[
        Literal["model", "upload"] | None,
        "`upload`: the transparency of the photo is the matte, exactly; `model` by default",
    ]
    grow: Annotated[
        int | None,
        "Pixels of the photo by which the people's outline moves outward; `0` by default",
    ]
    shadow: Annotated[
        str | None,
        "`auto`, `none`, `drop` or `contact`; the last two take a strength: `drop:0.4`; `auto` by default",
    ]
    outline: Annotated[
        str | None,
        "`none`, or a width and a CSS color: `1.5% white`, `12px #f80`; `none` by default",
    ]
    light_wrap: Annotated[
        float | str | None,
        "How much light of the background falls on the people's edge: `auto`, or 0 to 1; `auto` by default",
    ]
    harmonize: Annotated[
        float | str | None,
        "How far the people's colors move toward the background's light: `auto`, or 0 to 1; `auto` by default",
    ]
    format: Annotated[
        Format | None,
        "Encoding of the image; `auto` is png when it has transparency, else jpg; `auto` by default",
    ]
    quality: Annotated[int | None, "Quality of jpg, webp and avif; `90` by default"]
    max_bytes: Annotated[
        int | str | None,
        "Size limit of `image` and of `cutout`, such as `200000`, `200kB` or `1.5MB`; at least 10000 bytes",
    ]
    effort: Annotated[
        Literal["fast", "small"] | None,
        "`small`: encode more slowly, for fewer bytes; `fast` by default",
    ]
    matte_bits: Annotated[
        Literal[8, 16] | None,
        "Bits of a pixel of the matte, with 255 levels in both; `8` by default",
    ]
    keep_metadata: Annotated[
        bool | None,
        "Keep description, artist, copyright, camera and times; never the location; `false` by default",
    ]
    provenance: Annotated[
        Literal["none", "c2pa"] | None,
        "`c2pa`: image and cutout carry signed Content Credentials and the IPTC's digital source type; `none` by default",
    ]
    filename: Annotated[
        str | None,
        "Name of downloads: `{name}` of the photo, its number `{n}` in the batch, `{background}`",
    ]
    filters: Annotated[FilterName | Sequence[FilterName] | None, "Drawn on the image in this order"]
    logo: Annotated[
        str | None,
        "A logo that is drawn on the finished image: `none`, or a name of `logos` in `GET /v1/recipes`; `none` by default",
    ]
    logo_place: Annotated[LogoPlace | None, "Where the logo is; `bottom-right` by default"]
    logo_size: Annotated[
        str | None, "The logo's share of the image's width, `1%` to `100%`; `15%` by default"
    ]
    logo_margin: Annotated[
        str | None,
        "Border that stays free of the logo: 1, 2 or 4 values such as `30px` or `10%` of the image's sides; `4%` by default",
    ]
    priority: Annotated[
        Literal["standard", "interactive", "batch"] | None,
        "How early the job runs; `standard` by default",
    ]
    run_at: Annotated[str | None, "The job does not start before this time, at most 30 days ahead"]
    deadline_ms: Annotated[int | None, "Milliseconds from acceptance within which the job must end"]
    metadata: Annotated[
        Mapping[str, str | None] | None,
        "Own values by name, returned with the job; names have at most 64 letters, digits, `_`, `.` and `-`",
    ]


# The default of methods. Not None: for a union, type checkers do not name the misspelled field.
NO_FIELDS: Final[Recipe] = {}
