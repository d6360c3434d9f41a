"""Make the README's picture by the program itself: `python docs/make_images.py [PRESET] [SEED]`.

Run by hand when the pictures that come out have changed; needs a whole installation.
"""
# ruff: noqa: INP001 - a script beside documents is no package

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from PIL import Image

CHECKOUT = Path(__file__).parents[1]
PHOTO = CHECKOUT / "tests" / "data" / "astronaut.png"
TARGET = CHECKOUT / "docs" / "images" / "before-after.jpg"
WIDTH_PX, GAP_PX, QUALITY = 1200, 8, 90


def main(preset: str = "sky", seed: str = "1") -> None:
    """Cut the sample's person out, and show both pictures side by side."""
    with tempfile.TemporaryDirectory() as folder:
        after = Path(folder) / "after.png"
        program = Path(sysconfig.get_path("scripts")) / "smart-filter"
        recipe = ("--background", f"preset:{preset}", "--set", f"seed={seed}")
        command = (program, "run", PHOTO, *recipe, "-o", after)
        subprocess.run(command, check=True)  # noqa: S603 - this very program
        pair = [Image.open(path).convert("RGB") for path in (PHOTO, after)]
    side = (WIDTH_PX - GAP_PX) // 2
    both = Image.new("RGB", (WIDTH_PX, side), "white")
    for index, picture in enumerate(pair):
        both.paste(
            picture.resize((side, side), Image.Resampling.LANCZOS), (index * (side + GAP_PX), 0)
        )
    TARGET.parent.mkdir(exist_ok=True)
    both.save(TARGET, quality=QUALITY, subsampling=0, optimize=True, progressive=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
