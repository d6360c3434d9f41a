"""Draw crops of faces with known votes for tests of expression networks."""

import csv
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_training.models.expression import votes

SIDE_PX = 48


def crop(rng: np.random.Generator, *, happy: bool) -> NDArray[np.uint8]:
    """Draw a face, (48, 48) uint8 gray, whose mouth is an arc up or down."""
    picture = np.full((SIDE_PX, SIDE_PX), int(rng.integers(20, 90)), np.uint8)
    skin, dark = int(rng.integers(140, 230)), int(rng.integers(0, 60))
    x, y = (int(value) for value in rng.integers(-2, 3, 2))
    cv2.ellipse(picture, (24 + x, 24 + y), (18, 23), 0, 0, 360, skin, -1)
    for eye in (15, 33):
        cv2.circle(picture, (eye + x, 18 + y), 3, dark, -1)
    start, center = (20, 31) if happy else (200, 41)
    cv2.ellipse(picture, (24 + x, center + y), (9, 6), 0, start, start + 140, dark, 2)
    noise = rng.normal(0, 6, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def folder(place: Path, count: int, *, seed: int = 0) -> Path:
    """Write crops and votes as `smart-filter eval smile` reads them; every other face is happy."""
    place.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    crops = [crop(rng, happy=number % 2 == 1) for number in range(count)]
    np.savez(place / "drawn.npz", images=np.stack(crops))
    with (place / "drawn_labels.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Image name", *votes.COLUMNS, "level"])
        for number in range(count):
            rows.writerow(_row(rng, number, happy=number % 2 == 1))
    return place


def _row(rng: np.random.Generator, number: int, *, happy: bool) -> list[str | int]:
    """Return votes that are never quite unanimous, so that every level occurs."""
    smiles = int(rng.integers(4, 11)) if happy else int(rng.integers(0, 4))
    counts = dict.fromkeys(votes.COLUMNS, 0)
    counts["happiness"] = smiles
    counts["sadness"] = votes.RATERS - smiles
    level = ("none", "mild", "moderate", "huge")[int(votes.levels(np.array([smiles]))[0])]
    return [f"drawn{number:05d}.png", *counts.values(), level]
