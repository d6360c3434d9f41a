"""Golden pictures: stored results of recipes on the portrait, to compare with.

`make golden` renews them; look at each changed picture before committing it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from smart_filter_shared.recipe.fields import parse
from smart_filter_tests.portrait import as_job
from smart_filter_workers.results import EncodedFile, Srgb8
from smart_filter_workers.stages.composite import stage
from smart_filter_workers.stages.composite.models import layers

FOLDER = Path(__file__).parents[1] / "golden"
SIDE = 320
SEED = 7

# One recipe for each code path; every other field has its default.
RECIPES: Mapping[str, Mapping[str, str]] = {
    "auto": {},
    "auto-fast": {"edge": "fast"},
    "keywords": {"background": "keywords:rainbow,linen"},
    "gradient": {"background": "preset:sunrise"},
    "bokeh": {"background": "preset:fairy-lights"},
    "blur": {"background": "blur:0.6"},
    "colour": {"background": "color:oklch(0.8 0.1 200)"},
    "half-transparent": {"background": "color:rgb(255 120 0 / 40%)"},
    "sticker": {
        "background": "transparent",
        "outline": "2.5% white",
        "crop": "true",
        "margin": "6%",
    },
    "portrait": {"background": "preset:studio", "crop": "faces", "aspect": "4:5"},
    "story": {"background": "preset:lagoon", "size": "270x480"},
    "corner": {"background": "preset:paper", "scale": "55%", "position": "100% 100%"},
    "drop-shadow": {"background": "color:ivory", "shadow": "drop:0.6"},
    "in-the-light": {"background": "preset:ember", "light_wrap": "1", "harmonize": "1"},
}


def job(fields: Mapping[str, str], *, seed: int = SEED) -> stage.Inputs:
    """Return the portrait as a job with these recipe fields."""
    return as_job(parse({"format": "png", **fields}, offered={}), side=SIDE, seed=seed)


def render(jobs: Sequence[stage.Inputs]) -> list[EncodedFile]:
    models: stage.Models = {"composite": layers.load(Path())}
    images = [result.image for result in stage.run(models, jobs)]
    return [image for image in images if image is not None]


def read(name: str) -> Srgb8:
    """Return a golden picture, (H, W, 4) uint8.  Raises FileNotFoundError with the remedy."""
    path = FOLDER / f"{name}.png"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: look at it after `make golden`, then commit it")
    return pixels(path.read_bytes())


def pixels(content: bytes) -> Srgb8:
    bgra = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    code = cv2.COLOR_BGRA2RGBA if bgra.shape[2] > 3 else cv2.COLOR_BGR2RGBA
    return np.asarray(cv2.cvtColor(bgra, code), np.uint8)


def renew() -> None:
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.png"):
        stale.unlink()
    for name, fields in RECIPES.items():
        [image] = render([job(fields)])
        (FOLDER / f"{name}.png").write_bytes(image.content)


if __name__ == "__main__":
    renew()
