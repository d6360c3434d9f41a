"""Parse the fields of remove.bg's interface and translate them to a recipe.

Names, values and defaults follow remove.bg's OpenAPI document 1.0.0 and its changelog;
docs/removebg-reference.md lists the differences. Empty fields count as absent and unknown ones are
ignored, so that old and new clients work.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from smart_filter_api.removebg.errors import Fault, RequestRefused
from smart_filter_shared.catalog.scalars import format_number, quote_value
from smart_filter_shared.priority import Priority
from smart_filter_shared.recipe import Length, Output, Subject
from smart_filter_shared.recipe.declaration import has_alpha, is_color, suggest_color
from smart_filter_shared.recipe.fields import Fields
from smart_filter_shared.recipe.recipe import declared_fields
from smart_filter_shared.security import urls
from smart_filter_shared.security.outbound_rules import OutboundRules

_LENGTH: Final = re.compile(r"([+-]?[0-9]{1,5}(?:\.[0-9]{1,4})?)(px|%)?")
_WHOLE: Final = "0% 0% 100% 100%"
_SIDES: Final = 4
_ALL_PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class Region:
    """A box given by two corners, in pixels of the upright photo or percent of its sides."""

    left: Length
    top: Length
    right: Length
    bottom: Length

    def __str__(self) -> str:
        """Return the region as a recipe writes it."""
        return f"{self.left} {self.top} {self.right} {self.bottom}"

    def fault(self, width: int, height: int) -> Fault | None:
        """Return the fault of the region for an upright photo of this size; None if it fits."""
        across = self.left.to_px(width), self.right.to_px(width)
        down = self.top.to_px(height), self.bottom.to_px(height)
        if min(*across, *down) < 0 or across[1] > width or down[1] > height:
            return Fault(
                "roi_exceeds_bounds", f"the region {self} exceeds the image, {width}x{height}px"
            )
        if across[0] >= across[1] or down[0] >= down[1]:
            return Fault("roi_region_empty", f"the region {self} of {width}x{height}px is empty")
        return None

    def fault_in_any_orientation(self, size: tuple[int, int] | None) -> Fault | None:
        """Return the fault of the region in every orientation of a photo; None if it can fit.

        size: the photo's width and height in pixels; None if unknown.
        """
        if size is not None:
            width, height = size
            return self.fault(width, height) and self.fault(height, width)
        corners = (self.left, self.top, self.right, self.bottom)
        if any(
            corner.value < 0 or (corner.percent and corner.value > _ALL_PERCENT)
            for corner in corners
        ):
            return Fault("roi_exceeds_bounds", f"the region {self} exceeds any image")
        for low, high in ((self.left, self.right), (self.top, self.bottom)):
            if low.percent == high.percent and low.value >= high.value:
                return Fault("roi_region_empty", f"the region {self} is empty")
        return None


def parse_region(text: str) -> Region:
    """Return the region of `x1 y1 x2 y2`, each with `px` or `%`; the default unit is px.

    Raises ValueError, which names the expected form.
    """
    matches = [_LENGTH.fullmatch(part) for part in (text or _WHOLE).split()]
    lengths = [
        Length(float(match[1]), percent=match[2] == "%") for match in matches if match is not None
    ]
    if len(matches) != _SIDES or len(lengths) != _SIDES:
        raise ValueError(f"{quote_value(text)} is not x1 y1 x2 y2 such as 10% 0% 90% 100%")
    return Region(*lengths)


IMAGE_FILE: Final = "image_file"
IMAGE_BASE64: Final = "image_file_b64"
IMAGE_URL: Final = "image_url"
BACKGROUND_FILE: Final = "bg_image_file"
BACKGROUND_URL: Final = "bg_image_url"
BACKGROUND_COLOR: Final = "bg_color"
# Ours: saved recipes, as in POST /v1/jobs.
RECIPE: Final = "recipe"
# The fields that set a field of the recipe; where none was sent, a saved recipe applies.
_SENT_AS: Final[Mapping[str, Collection[str]]] = {
    "background": (BACKGROUND_COLOR, BACKGROUND_URL),
    "crop": ("crop",),
    "margin": ("crop", "crop_margin"),
    "scale": ("scale",),
    "position": ("scale", "position"),
    "roi": ("roi",),
    "shadow": ("shadow_type", "add_shadow"),
    "format": ("format",),
    "size": ("size",),
    "subject": ("type",),
}

# The recipe's name of each remove.bg size. Here `full` is limited only by the photo's own size.
SIZES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("preview", "small", "regular"), "preview"),
    "medium": "medium",
    "hd": "hd",
    **dict.fromkeys(("full", "4k", "auto", "50MP"), "full"),
}
TYPES: Final = (
    *("auto", "person", "product", "car"),
    *("animal", "graphic", "graphics", "transportation", "other"),
    *("car_interior", "car_part"),
)
# The recipe's subject for the types that concern people; any other type is whatever stands out.
SUBJECTS: Final = {"auto": Subject.AUTO, "person": Subject.PEOPLE}
TYPE_LEVELS: Final = ("1", "none", "2", "latest")
# The class of an object in X-Type, by the type that the request names; any other type is "other".
# Objects themselves are not told apart.  Source: remove.bg's type_level, its levels 1 and 2.
OBJECT_CLASSES: Final = {
    **{name: name for name in ("product", "animal", "car", "car_interior", "car_part")},
    **{name: name for name in ("transportation", "graphics")},
    "graphic": "graphics",
}
_COARSE_CLASSES: Final = {
    **{name: name for name in ("product", "animal", "car")},
    **dict.fromkeys(("car_interior", "car_part"), "car"),
}
OTHER_CLASS: Final = "other"
PERSON_CLASS: Final = "person"
ZIP: Final = "zip"
FORMATS: Final = ("auto", "png", "jpg", ZIP, "webp")
ALPHA: Final = "alpha"
CHANNELS: Final = ("rgba", ALPHA)
# The recipe's name of each remove.bg shadow.
SHADOWS: Final[Mapping[str, str]] = {
    "none": "none",
    "drop": "drop",
    "3D": "contact",
    "car": "contact",
}
# The shadow of the older field add_shadow: on the ground.
_GROUND_SHADOWS: Final = "contact"
_DEFAULT_OPACITY: Final = 50.0
_MAX_OPACITY: Final = 100.0

_HEX: Final = re.compile(r"#?([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", re.IGNORECASE)
_NAME: Final = re.compile(r"[a-z]{3,30}", re.IGNORECASE)
_PERCENT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)%?")
_WORDS: Final = {"true": True, "1": True, "false": False, "0": False}

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class RemovalOptions:
    """The parsed options of a request.

    recipe: fields of the equivalent recipe.  implied: more of them, which saved recipes override.
    output: the job's output that is answered.
    region: where to look for people.
    object_type: X-Type of an object; empty when the answer has no header X-Type.
    image_url: normalized URL of the photo; empty when the request holds the photo itself.
    takes_background: whether the request's background file is used.
    """

    recipe: Fields
    output: Output
    region: Region
    object_type: str
    image_url: str
    takes_background: bool
    implied: Fields


def parse(
    sent: Mapping[str, str],
    *,
    has_image: bool,
    has_background: bool,
    outbound: OutboundRules,
    takes_any_subject: bool,
    size: tuple[int, int] | None = None,
) -> RemovalOptions:
    """Parse fields and return the options.

    sent: the non-empty fields.  has_image: whether the request holds an image as file or base64.
    has_background: whether it holds a background file.
    outbound: refuses URLs that can never be fetched.
    takes_any_subject: whether a model is offered that cuts out more than people; if not, people are
    cut out whatever the type.
    size: width and height of the image in pixels as stored; None if unknown.
    Raises RequestRefused, which names every fault.
    """
    reader = _FieldReader(sent)
    image_url = reader.url(IMAGE_URL, outbound, "failed_image_download")
    background_url = reader.url(BACKGROUND_URL, outbound, "failed_bg_download")
    if not has_image and IMAGE_URL not in sent:
        reader.add_fault(
            "missing_source", "send the image as image_file, image_file_b64, image_url"
        )
    if has_image and IMAGE_URL in sent:
        reader.add_fault("multiple_sources", "send one of image_file, image_file_b64, image_url")
    if has_background + (BACKGROUND_COLOR in sent) + (BACKGROUND_URL in sent) > 1:
        reader.add_fault("multiple_bg_sources", "send one of bg_color, bg_image_url, bg_image_file")
    type_ = reader.choice("type", TYPES)
    reader.read_field("semitransparency", _read_boolean, default=True)
    format_ = reader.choice("format", FORMATS)
    output = _output(format_, reader.choice("channels", CHANNELS))
    background = _background(reader, format_, background_url, has_background=has_background)
    wanted = parse_region("")
    if "roi" in sent:
        wanted = reader.read_field("roi", parse_region, wanted)
        reader.add(wanted.fault_in_any_orientation(size))
    recipe: Fields = {
        **_framing(reader),
        "roi": str(wanted),
        "background": background if output == Output.IMAGE else "transparent",
        "shadow": _shadow(reader),
        "outputs": output,
        "format": "auto" if output != Output.IMAGE else format_,
        "size": SIZES[reader.choice("size", SIZES)],
        "subject": SUBJECTS.get(type_, Subject.ANY if takes_any_subject else Subject.AUTO),
        "priority": Priority.INTERACTIVE,
        # Set explicitly, so that the tenant's defaults do not apply.
        "outline": "none",
        "light_wrap": 0,
        "harmonize": 0,
        "aspect": "original",
        "filters": [],
    }
    object_type = _object_type(type_, reader.choice("type_level", TYPE_LEVELS))
    reader.raise_errors()
    implied: Fields = {}
    if RECIPE in sent:
        given = {"outputs", "priority", *(("background",) if has_background else ())}
        given |= {name for name, names in _SENT_AS.items() if not sent.keys().isdisjoint(names)}
        implied = {name: value for name, value in recipe.items() if name not in given}
        recipe = {RECIPE: sent[RECIPE], **{name: recipe[name] for name in given}}
    return RemovalOptions(
        recipe=recipe,
        implied=implied,
        output=output,
        region=wanted,
        object_type=object_type,
        image_url=image_url,
        takes_background=has_background and output == Output.IMAGE,
    )


def imply_white(implied: Fields, saved: Sequence[Mapping[str, object]]) -> Fields:
    """Return implied fields with a white background if saved recipes, the weakest first, want jpg.

    As where the request itself has format=jpg.
    """
    formats = [str(fields["format"]) for fields in saved if "format" in fields]
    is_opaque = bool(formats) and formats[-1].removeprefix("image/") in {"jpg", "jpeg"}
    return {**implied, "background": "color:white"} if is_opaque else implied


class _FieldReader:
    """Read fields and collect every fault."""

    def __init__(self, sent: Mapping[str, str]) -> None:
        self._sent = sent
        self._faults: list[Fault] = []

    def read_field(self, name: str, read: Callable[[str], Value], default: Value) -> Value:
        """Return the value of a field, or the default when it is absent or wrong."""
        if name not in self._sent:
            return default
        try:
            return read(self._sent[name].strip())
        except ValueError as error:
            self.add_fault(f"invalid_{name}", str(error))
            return default

    def url(self, name: str, outbound: OutboundRules, unreachable: str) -> str:
        """Return a URL in normalized form, by default empty.

        unreachable: the code of the fault that it can never be fetched.
        """
        url = self.read_field(name, urls.parse, None)
        fault = None if url is None else outbound.find_fault(url)
        if fault is not None:
            self.add_fault(unreachable, f"{name} {fault}")
        return "" if url is None else str(url)

    def choice(self, name: str, choices: Collection[str]) -> str:
        """Return one of the choices in any case, by default the first."""
        return self.read_field(name, partial(_read_choice, choices), next(iter(choices)))

    def add_fault(self, code: str, detail: str) -> None:
        """Record a fault."""
        self._faults.append(Fault(code, detail))

    def add(self, fault: Fault | None) -> None:
        """Record a fault, if there is one."""
        if fault is not None:
            self._faults.append(fault)

    def raise_errors(self) -> None:
        """Raise RequestRefused if there are faults."""
        if self._faults:
            raise RequestRefused(self._faults)


def _object_type(type_: str, level: str) -> str:
    if level == "none":
        return ""
    classes = _COARSE_CLASSES if level == "1" else OBJECT_CLASSES
    return classes.get(type_, OTHER_CLASS)


def _output(format_: str, channels: str) -> Output:
    # A zip always holds the mask, whatever the channels.
    if format_ == ZIP:
        return Output.ZIP
    return Output.MATTE if channels == ALPHA else Output.IMAGE


def _background(reader: _FieldReader, format_: str, url: str, *, has_background: bool) -> str:
    opaque = format_ == "jpg"
    color = reader.read_field(BACKGROUND_COLOR, _read_color, "white" if opaque else "transparent")
    if has_background:
        return "file"
    if url:
        return f"url:{url}"
    if opaque:
        color = _blend_on_white(color)
    return color if color == "transparent" else f"color:{color}"


def _framing(reader: _FieldReader) -> Fields:
    crops = reader.read_field("crop", _read_boolean, default=False)
    margin = reader.read_field("crop_margin", _checked_text("margin"), "0px")
    scale = reader.read_field("scale", _checked_text("scale"), "original")
    position = reader.read_field("position", _checked_text("position"), "original")
    if scale != "original" and position == "original":
        position = "center"
    return {
        "crop": crops,
        # The margin has no effect without a crop.
        "margin": margin if crops else "0px",
        "scale": scale,
        "position": position,
    }


def _shadow(reader: _FieldReader) -> str:
    kind = SHADOWS[reader.choice("shadow_type", SHADOWS)]
    opacity = reader.read_field("shadow_opacity", _read_opacity, _DEFAULT_OPACITY)
    if reader.read_field("add_shadow", _read_boolean, default=False) and kind == "none":
        kind = _GROUND_SHADOWS
    return kind if kind == "none" else f"{kind}:{format_number(opacity / _MAX_OPACITY)}"


def _read_choice(choices: Collection[str], text: str) -> str:
    for choice in choices:
        if choice.lower() == text.lower():
            return choice
    raise ValueError(f"{quote_value(text)} is not one of {', '.join(choices)}")


def _checked_text(name: str) -> Callable[[str], str]:
    """Return a reader that checks a text as a field of the recipe and returns it unchanged."""

    def checked(text: str) -> str:
        declared_fields()[name].read(text)
        return text

    return checked


def _read_boolean(text: str) -> bool:
    if text.lower() not in _WORDS:
        raise ValueError(f"{quote_value(text)} is neither true nor false")
    return _WORDS[text.lower()]


def _read_opacity(text: str) -> float:
    match = _PERCENT.fullmatch(text)
    if match is None or float(match[1]) > _MAX_OPACITY:
        raise ValueError(f"{quote_value(text)} is not a number from 0 to 100")
    return float(match[1])


def _read_color(text: str) -> str:
    match = _HEX.fullmatch(text)
    if match is not None:
        return f"#{match[1]}"
    if not _NAME.fullmatch(text) or not is_color(text):
        raise ValueError(
            f"{quote_value(text)} is not a color such as 81d4fa, fff, 81d4fa77 or green"
            f"{suggest_color(text)}"
        )
    return text.lower()


def _blend_on_white(color: str) -> str:
    """Blend a color on white and return the opaque result.  Source: Porter & Duff 1984, over."""
    if not has_alpha(color):
        return color
    from coloraide import Color  # noqa: PLC0415 - takes 0.1 s and 6 MB, and few jobs need it

    seen = Color(color).convert("srgb")
    alpha = seen.alpha(nans=False)
    levels = [alpha * level + 1 - alpha for level in seen.coords(nans=False)]
    return Color("srgb", levels).to_string(hex=True)
