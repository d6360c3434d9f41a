"""Make the gallery's pictures and page with the program itself: `make gallery`.

Run it by hand when the resulting pictures have changed; it needs a complete installation. The
photos are in tests/data, with their terms.
"""
# ruff: noqa: INP001 - this folder of documents is no package

import json
import os
import shlex
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from PIL import Image

CHECKOUT: Final = Path(__file__).parents[1]
PHOTOS: Final = CHECKOUT / "tests" / "data"
FOLDER: Final = CHECKOUT / "docs" / "gallery"
PROGRAM: Final = Path(sysconfig.get_path("scripts")) / "smart-filter"
HEIGHT_PX: Final = 480
QUALITY: Final = 85
CHECKER_PX, LIGHT, DARK = 12, 245, 205
PREFACE: Final = (
    "Each picture is shown with the command that makes it. The photos are works of NASA and of the"
    " US Navy, in the public domain, and are in `tests/data`; `make gallery` makes all pictures"
    " again."
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of the gallery: its title, its photo, and the fields of its recipe."""

    name: str
    title: str
    photo: str = "astronaut.png"
    fields: Mapping[str, str] = field(default_factory=dict)


ENTRIES: Final = (
    Entry("chosen", "Nothing asked for: the background is chosen by the people"),
    Entry("chosen-too", "The same for another mood", "grace_hopper.jpg"),
    Entry("words", "By words", fields={"background": "keywords:rainbow,linen"}),
    Entry(
        "words-too", "By other words", "grace_hopper.jpg", {"background": "keywords:forest,mist"}
    ),
    Entry("blur", "The photo's own background, out of focus", fields={"background": "blur:0.6"}),
    Entry(
        "sticker",
        "A sticker",
        fields={
            "background": "transparent",
            "outline": "2% white",
            "crop": "true",
            "margin": "5%",
        },
    ),
    Entry(
        "portrait",
        "Framed by the face, 4:5",
        "grace_hopper.jpg",
        {"background": "preset:studio-blue", "crop": "faces", "aspect": "4:5"},
    ),
    Entry(
        "story",
        "9:16 for a story",
        fields={"background": "preset:lagoon", "crop": "faces", "aspect": "9:16"},
    ),
    Entry(
        "banner",
        "3:1, on a third",
        "grace_hopper.jpg",
        {
            "background": "preset:city-night",
            "size": "1500x500",
            "scale": "90%",
            "position": "15% 100%",
        },
    ),
    Entry(
        "light",
        "In the background's light",
        fields={"background": "preset:ember", "light_wrap": "0.8", "harmonize": "0.8"},
    ),
    Entry("shadow", "With a shadow", fields={"background": "color:ivory", "shadow": "drop:0.5"}),
    Entry(
        "party",
        "Dressed up, because she smiles",
        fields={"background": "preset:confetti", "aspect": "4:5", "filters": "hat,sparkle"},
    ),
    Entry(
        "shades",
        "Shades and a crown",
        fields={
            "background": "preset:pop-art",
            "crop": "faces",
            "aspect": "1:1",
            "filters": "glasses,hat",
            "filters.glasses.kind": "shades",
            "filters.hat.kind": "crown",
        },
    ),
    Entry(
        "caption",
        "Graded, with a caption",
        "grace_hopper.jpg",
        {
            "background": "preset:paper",
            "aspect": "3:4",
            "filters": "grade,caption",
            "filters.grade.look": "mono",
            "filters.caption.text": "Amazing Grace",
            "filters.caption.place": "top",
        },
    ),
)


def main() -> None:
    """Make every picture, and the page with the pictures and their commands."""
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.jpg"):
        stale.unlink()
    with tempfile.TemporaryDirectory() as folder, stack() as environment:
        for entry in ENTRIES:
            made = Path(folder) / f"{entry.name}.png"
            subprocess.run(  # noqa: S603 - this very program
                [PROGRAM, "run", PHOTOS / entry.photo, *options(entry), "-o", made],
                check=True,
                env=environment,
            )
            shown(Image.open(made)).save(
                FOLDER / f"{entry.name}.jpg", quality=QUALITY, optimize=True, progressive=True
            )
    (FOLDER / "README.md").write_text(page())


def options(entry: Entry) -> list[str]:
    """Return the options of `smart-filter run` for an entry, with a fixed seed."""
    fields = {**entry.fields, "seed": "1"}
    arguments: list[str] = []
    for name, value in fields.items():
        arguments += (
            ["--background", value] if name == "background" else ["--set", f"{name}={value}"]
        )
    return arguments


@contextmanager
def stack() -> Iterator[dict[str, str]]:
    """Run the stack while the block lasts; yield an environment with its URL and key."""
    process = subprocess.Popen([PROGRAM, "up"], stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        yield {
            **os.environ,
            "SMART_FILTER_URL": started["url"],
            "SMART_FILTER_API_KEY": started["api_key"],
        }
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def shown(picture: Image.Image) -> Image.Image:
    """Return a picture at the gallery's height, on a checkerboard where it is transparent."""
    width = round(picture.width * HEIGHT_PX / picture.height)
    rgba = picture.convert("RGBA").resize((width, HEIGHT_PX), Image.Resampling.LANCZOS)
    ground = Image.new("RGB", rgba.size, (LIGHT,) * 3)
    for top in range(0, HEIGHT_PX, CHECKER_PX):
        for left in range(top // CHECKER_PX % 2 * CHECKER_PX, width, 2 * CHECKER_PX):
            ground.paste((DARK,) * 3, (left, top, left + CHECKER_PX, top + CHECKER_PX))
    ground.paste(rgba, mask=rgba.getchannel("A"))
    return ground


def page() -> str:
    """Return the page: each picture with the command that makes it."""
    parts = [
        "# Gallery",
        PREFACE,
    ]
    for entry in ENTRIES:
        arguments = " ".join(shlex.quote(option) for option in options(entry))
        parts.append(
            f"**{entry.title}**\n\n![]({entry.name}.jpg)\n\n"
            f"    ./smart-filter run {entry.photo} {arguments}"
        )
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
