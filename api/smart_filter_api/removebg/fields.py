"""The fields of remove.bg's interface, and what each asks of a recipe.

Names, values and defaults are those of remove.bg's OpenAPI document 1.0.0 and of its list of
changes; docs/removebg.md says where ours mean less. Fields that are empty are as if they were not
sent, and those that nobody knows are passed over: so do clients of every age work.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from coloraide import Color

from smart_filter_api.removebg import region
from smart_filter_api.removebg.errors import Fault, Refused
from smart_filter_api.removebg.region import Region
from smart_filter_shared import web_address
from smart_filter_shared.recipe import Output, Priority, framing
from smart_filter_shared.recipe.recipe import has_alpha
from smart_filter_shared.recipe.words import is_colour, plain, shown

IMAGE_FILE: Final = "image_file"
IMAGE_BASE64: Final = "image_file_b64"
IMAGE_URL: Final = "image_url"
BACKGROUND_FILE: Final = "bg_image_file"
BACKGROUND_URL: Final = "bg_image_url"
BACKGROUND_COLOUR: Final = "bg_color"

# What each of their sizes is called in a recipe. Ours has no bound below the photo's own.
SIZES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("preview", "small", "regular"), "preview"),
    "medium": "medium",
    "hd": "hd",
    **dict.fromkeys(("full", "4k", "auto", "50MP"), "full"),
}
TYPES: Final = (
    *("auto", "person", "product", "car"),
    *("animal", "graphic", "graphics", "transportation", "other"),
)
TYPE_LEVELS: Final = ("1", "none", "2", "latest")
ZIP: Final = "zip"
FORMATS: Final = ("auto", "png", "jpg", ZIP, "webp")
ALPHA: Final = "alpha"
CHANNELS: Final = ("rgba", ALPHA)
# What each of their shadows is called in a recipe.
SHADOWS: Final[Mapping[str, str]] = {
    "none": "none",
    "drop": "drop",
    "3D": "contact",
    "car": "contact",
}
# As add_shadow drew them: on the ground.
_ON_THE_GROUND: Final = "contact"
_USUAL_OPACITY: Final = 50.0
_MOST_OPACITY: Final = 100.0

_HEX: Final = re.compile(r"#?([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", re.IGNORECASE)
_NAME: Final = re.compile(r"[a-z]{3,30}", re.IGNORECASE)
_PERCENT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)%?")
_WORDS: Final = {"true": True, "1": True, "false": False, "0": False}

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a photo.

    recipe: the fields of a recipe that yields it.  output: what of the job is answered.
    region: where somebody is looked for.  tells_type: whether the answer says what was found.
    image_url: where the photo lies when no file came, in its usual spelling.
    takes_background: whether the background that came along is used at all.
    """

    recipe: Mapping[str, list[str]]
    output: Output
    region: Region
    tells_type: bool
    image_url: str
    takes_background: bool


def parse(
    sent: Mapping[str, str],
    *,
    has_image: bool,
    has_background: bool,
    size: tuple[int, int] | None = None,
) -> Wish:
    """Return what is wanted.

    sent: the fields that are not empty.  has_image: whether an image came as file or base64.
    has_background: whether a file came as background.  size: of the image, as it is stored.
    Raises Refused, which names every fault.
    """
    reader = _Reader(sent)
    image_url = reader.read(IMAGE_URL, _address, "")
    if not has_image and IMAGE_URL not in sent:
        reader.complain("missing_source", "send the image as image_file, image_file_b64, image_url")
    if has_image and IMAGE_URL in sent:
        reader.complain("multiple_sources", "send one of image_file, image_file_b64, image_url")
    if has_background + (BACKGROUND_COLOUR in sent) + (BACKGROUND_URL in sent) > 1:
        reader.complain("multiple_bg_sources", "send one of bg_color, bg_image_url, bg_image_file")
    for name, choices in (("type", TYPES), ("semitransparency", None), ("shadow_method", ())):
        if choices is None:
            reader.read(name, _boolean, default=True)
        elif choices:
            reader.read(name, _among(choices), choices[0])
    format_ = reader.read("format", _among(FORMATS), FORMATS[0])
    output = _output(format_, reader.read("channels", _among(CHANNELS), CHANNELS[0]))
    background = _background(reader, format_, has_background=has_background)
    wanted = region.read("")
    if "roi" in sent:
        wanted = reader.read("roi", region.read, wanted)
        reader.add(wanted.fault_however_turned(size))
    recipe = {
        **_framing(reader),
        "roi": str(wanted),
        "background": background if output == Output.IMAGE else "transparent",
        "shadow": _shadow(reader),
        "outputs": str(output),
        "format": "auto" if output != Output.IMAGE else format_,
        "size": SIZES[reader.read("size", _among(SIZES), "preview")],
        "require_person": "true",
        "priority": str(Priority.INTERACTIVE),
        # A tenant's own defaults have no say here.
        "outline": "none",
        "light_wrap": "0",
        "harmonise": "0",
        "aspect": "original",
    }
    tells_type = reader.read("type_level", _among(TYPE_LEVELS), TYPE_LEVELS[0]) != "none"
    reader.raise_what_is_wrong()
    return Wish(
        recipe={**{name: [text] for name, text in recipe.items()}, "filters": []},
        output=output,
        region=wanted,
        tells_type=tells_type,
        image_url=image_url,
        takes_background=has_background and output == Output.IMAGE,
    )


class _Reader:
    """Reads fields and collects every fault on the way."""

    def __init__(self, sent: Mapping[str, str]) -> None:
        self._sent = sent
        self._faults: list[Fault] = []

    def read(self, name: str, read: Callable[[str], Value], default: Value) -> Value:
        """Return the value of a field, or the default when it is absent or wrong."""
        if name not in self._sent:
            return default
        try:
            return read(self._sent[name].strip())
        except ValueError as error:
            self.complain(f"invalid_{name}", str(error))
            return default

    def complain(self, code: str, detail: str) -> None:
        """Note a fault."""
        self._faults.append(Fault(code, detail))

    def add(self, fault: Fault | None) -> None:
        """Note a fault, if there is one."""
        if fault is not None:
            self._faults.append(fault)

    def raise_what_is_wrong(self) -> None:
        """Raise what was found."""
        if self._faults:
            raise Refused(self._faults)


def _output(format_: str, channels: str) -> Output:
    # A zip holds the mask whatever channels are asked for.
    if format_ == ZIP:
        return Output.ZIP
    return Output.MATTE if channels == ALPHA else Output.IMAGE


def _background(reader: _Reader, format_: str, *, has_background: bool) -> str:
    opaque = format_ == "jpg"
    colour = reader.read(BACKGROUND_COLOUR, _colour, "white" if opaque else "transparent")
    url = reader.read(BACKGROUND_URL, _address, "")
    if has_background:
        return "file"
    if url:
        return f"url:{url}"
    if opaque:
        colour = _on_white(colour)
    return colour if colour == "transparent" else f"color:{colour}"


def _framing(reader: _Reader) -> dict[str, str]:
    crops = reader.read("crop", _boolean, default=False)
    margin = reader.read("crop_margin", _as_written(framing.read_margin), "0px")
    scale = reader.read("scale", _as_written(framing.read_scale), "original")
    position = reader.read("position", _as_written(framing.read_position), "original")
    if scale != "original" and position == "original":
        position = "center"
    return {
        "crop": "true" if crops else "false",
        # It has no effect on what is not cropped.
        "margin": margin if crops else "0px",
        "scale": scale,
        "position": position,
    }


def _shadow(reader: _Reader) -> str:
    kind = SHADOWS[reader.read("shadow_type", _among(SHADOWS), "none")]
    opacity = reader.read("shadow_opacity", _opacity, _USUAL_OPACITY)
    if reader.read("add_shadow", _boolean, default=False) and kind == "none":
        kind = _ON_THE_GROUND
    return kind if kind == "none" else f"{kind}:{plain(opacity / _MOST_OPACITY)}"


def _among(choices: Mapping[str, str] | tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        for one in choices:
            if one.lower() == text.lower():
                return one
        raise ValueError(f"{shown(text)} is none of {', '.join(choices)}")

    return read


def _as_written(read: Callable[[str], object]) -> Callable[[str], str]:
    """Return a reader that checks a text and hands it on as it is."""

    def checked(text: str) -> str:
        read(text)
        return text

    return checked


def _boolean(text: str) -> bool:
    if text.lower() not in _WORDS:
        raise ValueError(f"{shown(text)} is neither true nor false")
    return _WORDS[text.lower()]


def _opacity(text: str) -> float:
    match = _PERCENT.fullmatch(text)
    if match is None or float(match[1]) > _MOST_OPACITY:
        raise ValueError(f"{shown(text)} is not a number from 0 to 100")
    return float(match[1])


def _address(text: str) -> str:
    """Return an address in its usual spelling."""
    return str(web_address.read(text))


def _colour(text: str) -> str:
    match = _HEX.fullmatch(text)
    if match is not None:
        return f"#{match[1]}"
    if not _NAME.fullmatch(text) or not is_colour(text):
        raise ValueError(f"{shown(text)} is not a colour such as 81d4fa, fff, 81d4fa77 or green")
    return text.lower()


def _on_white(colour: str) -> str:
    """Return a colour as it looks on white.  Source: Porter & Duff 1984, over."""
    if not has_alpha(colour):
        return colour
    seen = Color(colour).convert("srgb")
    alpha = seen.alpha(nans=False)
    levels = [alpha * level + 1 - alpha for level in seen.coords(nans=False)]
    return Color("srgb", levels).to_string(hex=True)
