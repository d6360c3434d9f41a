"""Run a job through the composite stage and read its pixels back."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_workers import resampling
from smart_filter_workers.results import (
    CompositeResult,
    EncodedFile,
    Photo,
    PreparedPhoto,
    Segmentation,
)
from smart_filter_workers.stages.composite import stage
from smart_filter_workers.stages.composite.models import layers

WIDTH, HEIGHT, SCALE = 240, 180, 2
# Rows and columns that certainly show people, and certainly do not.
INSIDE, OUTSIDE = (slice(80, 150), slice(90, 150)), (slice(5, 40), slice(5, 40))
# JPEG at quality 90 with full chroma, away from edges.
JPEG_LEVELS = 8


def a_job(background: str = "keep", **recipe: object) -> stage.Inputs:
    """Make a job: a textured person in the middle of a photo, the matte half the photo's size."""
    kind, _, value = background.partition(":")
    random = np.random.default_rng(6)
    coarse = random.integers(60, 200, (HEIGHT // 20, WIDTH // 20, 3), dtype=np.uint8)
    srgb = np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT)))
    matte = np.zeros((HEIGHT // SCALE, WIDTH // SCALE), np.uint8)
    matte[25:, 35:85] = 255
    matte[24, 35:85] = matte[24:, 34] = matte[24:, 85] = 128
    proxy = resampling.shrink(srgb, longest_side=WIDTH // SCALE)
    return stage.Inputs(
        photo=Photo(srgb, "jpg"),
        background=None,
        prepared=PreparedPhoto(WIDTH, HEIGHT, "jpg", proxy_srgb=proxy),
        segmented=Segmentation(matte=matte, coverage=float((matte > 127).mean())),
        faces=None,
        smiles=None,
        recipe=Recipe(
            background=Background(BackgroundKind(kind), value or None),
            **recipe,  # type: ignore[arg-type]  # each test passes what Recipe takes
        ),
        seed=11,
    )


def composite(inputs: stage.Inputs) -> CompositeResult:
    models: stage.Models = {"composite": layers.load(Path("unused"))}
    (result,) = stage.run(models, [inputs])
    return result


def decode_pixels(encoded: EncodedFile | None, *, sized: bool = True) -> NDArray[np.int16]:
    """Decode a file; sized: it must have the photo's size."""
    assert encoded is not None
    picture = Image.open(io.BytesIO(encoded.content))
    assert picture.size == (encoded.width, encoded.height)
    assert picture.size == (WIDTH, HEIGHT) or not sized
    return np.asarray(picture).astype(np.int16)
