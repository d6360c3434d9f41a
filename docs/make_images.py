"""Make the pictures of README and tutorial with the program itself: `make images`.

Run it by hand when the resulting pictures have changed; it needs a complete installation. The
photos are in tests/data, with their terms.
"""
# ruff: noqa: INP001 - this folder of documents is no package

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from make_gallery import shown, stack
from PIL import Image, ImageDraw, ImageFont

from smart_filter_client import Client, Job

CHECKOUT: Final = Path(__file__).parents[1]
PHOTOS: Final = CHECKOUT / "tests" / "data"
FOLDER: Final = CHECKOUT / "docs" / "images"
ASTRONAUT, HOPPER = "astronaut.png", "grace_hopper.jpg"
SIDE_PX, GAP_PX, QUALITY = 596, 8, 90
TILE_PX: Final = 400
HAIR: Final = (140, 10, 240, 110)  # in the astronaut's photo: left, top, right, bottom
ACCENT: Final = "#ff8d62"


def main() -> None:
    """Make all pictures."""
    with (
        stack() as environment,
        Client(environment["SMART_FILTER_URL"], environment["SMART_FILTER_API_KEY"]) as client,
    ):
        before_after(client)
        stages(client)
        tutorial(client)
        edges(client)


def before_after(client: Client) -> None:
    """Make the README's picture: the sample photo, and what the default recipe makes of it."""
    _, made = picture(client, ASTRONAUT, {"background": "auto"})
    save("before-after", [Image.open(PHOTOS / ASTRONAUT), made["image"]], side_px=SIDE_PX)


def stages(client: Client) -> None:
    """Make the row of a photo, its matte, its marked face, and the result."""
    asked = {"background": "preset:meadow-wash", "outputs": ["image", "matte", "faces", "rating"]}
    job, made = picture(client, ASTRONAUT, asked)
    photo = Image.open(PHOTOS / ASTRONAUT).convert("RGB")
    save("stages", [photo, made["matte"], marked(photo, job), made["image"]])


def tutorial(client: Client) -> None:
    """Make the two pictures that the tutorial's commands make."""
    portrait = {"background": "preset:studio-blue", "crop": "faces", "aspect": "4:5"}
    sticker = {"background": "transparent", "outline": "2% white", "crop": True, "margin": "5%"}
    _, first = picture(client, HOPPER, portrait)
    _, second = picture(client, ASTRONAUT, sticker)
    pictures = [shown(first["image"]), shown(second["image"])]
    width = sum(each.width for each in pictures) + GAP_PX
    both = Image.new("RGB", (width, pictures[0].height), "white")
    both.paste(pictures[0], (0, 0))
    both.paste(pictures[1], (pictures[0].width + GAP_PX, 0))
    write("tutorial-pictures", both)


def edges(client: Client) -> None:
    """Make enlarged hair of the photo, and on navy at each effort."""
    photo = Image.open(PHOTOS / ASTRONAUT)
    made = [
        picture(client, ASTRONAUT, {"background": "color:navy", "edge": effort})[1]["image"]
        for effort in ("fast", "balanced", "best")
    ]
    save("edges", [each.crop(HAIR) for each in (photo, *made)])


def picture(
    client: Client, photo: str, recipe: Mapping[str, object]
) -> tuple[Job, dict[str, Image.Image]]:
    """Return the job of a photo, with a fixed seed, and its outputs that are pictures."""
    job = client.submit(PHOTOS / photo, {**recipe, "format": "png", "seed": 1}, wait=60)
    outputs = {name: client.output(job.id, name) for name in job.outputs}
    return job, {
        name: Image.open(io.BytesIO(output.content))
        for name, output in outputs.items()
        if output.media_type.startswith("image/")
    }


def marked(photo: Image.Image, job: Job) -> Image.Image:
    """Return a photo with each face's box, landmarks and smile."""
    drawn = photo.copy()
    pen = ImageDraw.Draw(drawn)
    for face in job.faces or ():
        left, top, width, height = face.box
        pen.rounded_rectangle((left, top, left + width, top + height), 8, outline=ACCENT, width=3)
        for x, y in face.landmarks:
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=ACCENT)
        label = f"{face.smile.level} smile" if face.smile else ""
        pen.text(
            (left, top + height + 8),
            label,
            fill="white",
            font=ImageFont.load_default(22),
            stroke_width=3,
            stroke_fill="#1d1814",
        )
    return drawn


def save(name: str, pictures: Sequence[Image.Image], *, side_px: int = TILE_PX) -> None:
    """Write square pictures side by side."""
    whole = Image.new("RGB", (len(pictures) * (side_px + GAP_PX) - GAP_PX, side_px), "white")
    for index, picture in enumerate(pictures):
        tile = picture.convert("RGB").resize((side_px, side_px), Image.Resampling.LANCZOS)
        whole.paste(tile, (index * (side_px + GAP_PX), 0))
    write(name, whole)


def write(name: str, whole: Image.Image) -> None:
    """Write a picture for the pages."""
    path = FOLDER / f"{name}.jpg"
    whole.save(path, quality=QUALITY, subsampling=0, optimize=True, progressive=True)


if __name__ == "__main__":
    main()
