"""Write each person on a transparent ground to a file, all in one archive."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.recipe import Edge, Effort, Recipe
from smart_filter_workers import images
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import EncodedFile, InstanceMap, Matte8, Srgba8
from smart_filter_workers.stages.composite.matting.shaping import harden_matte

INDEX_FILE: Final = "persons.json"
# Pixels with less coverage than this, of 255, are outside a person's outline.
_SEEN_FROM: Final = 26
_WHOLE: Final = 255


@dataclass(frozen=True, slots=True)
class Person:
    """One person: number, 1 is the leftmost; x, y, width, height in pixels of the photo."""

    number: int
    box: tuple[int, int, int, int]
    rgba: Srgba8


def zip_persons(rgba: Srgba8, owners: InstanceMap, recipe: Recipe) -> EncodedFile:
    """Return a zip of cropped `person-1.png` and so on, and an index of their positions.

    rgba: (H, W, 4), all people on a transparent ground, as large as the photo; owners: (h, w)
    uint8.
    """
    small = recipe.files.effort == Effort.SMALL
    files, index = {}, []
    for person in split_persons(rgba, owners, hard=recipe.edge == Edge.HARD):
        name = f"person-{person.number}.png"
        files[name] = images.encode_png(person.rgba, small=small).content
        index.append({"number": person.number, "file": name, "box": person.box})
    height, width = rgba.shape[:2]
    listed = {"photo": {"width": width, "height": height}, "persons": index}
    files[INDEX_FILE] = json.dumps(listed).encode()
    return EncodedFile(images.make_zip(files), "application/zip", width, height, "zip")


def split_persons(rgba: Srgba8, owners: InstanceMap, *, hard: bool = False) -> Iterator[Person]:
    """Yield each person, by number, as a part of the picture of all of them.

    hard: whether each pixel belongs to one person, wholly.

    An edge pixel without an owner belongs to the nearest one.
    """
    numbers = [int(number) for number in np.unique(owners) if number]
    if not numbers:
        return
    nearest = _nearest(owners)
    size = (rgba.shape[1], rgba.shape[0])
    for number in numbers:
        share = np.where(nearest == number, np.uint8(_WHOLE), np.uint8(0))
        if len(numbers) > 1:
            share = np.asarray(cv2.resize(share, size, interpolation=cv2.INTER_LINEAR), np.uint8)
            if hard:
                share = harden_matte(share)
            alpha: Matte8 = np.asarray(
                cv2.multiply(rgba[..., 3], share, scale=1 / _WHOLE), dtype=np.uint8
            )
        else:
            alpha = rgba[..., 3]
        x, y, width, height = cv2.boundingRect(cv2.inRange(alpha, _SEEN_FROM, _WHOLE))
        if width:
            part = (slice(y, y + height), slice(x, x + width))
            cut = np.dstack([rgba[part][..., :3], alpha[part]])
            yield Person(number, (x, y, width, height), cut)


def _nearest(owners: InstanceMap) -> InstanceMap:
    """Return the owner of each pixel; for a pixel without one, the nearest owner."""
    unowned = (owners == 0).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(
        unowned, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Labels number the owned pixels; map each label to its pixel's owner.
    by_label = np.zeros(int(labels.max()) + 1, np.uint8)
    owned = unowned == 0
    by_label[labels[owned]] = owners[owned]
    return by_label[labels]
