"""Draw pictures with discs for faces and upright shapes for persons, and their annotations.

A network learns nothing about people from them: they prove that the training loop learns.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from smart_filter_workers.results import Srgb8

FACE_SRGB = (224, 172, 140)
PERSON_SRGB = (40, 70, 160)
CATEGORIES = ({"id": 1, "name": "person"}, {"id": 7, "name": "face"})
PERSON, FACE = (category["id"] for category in CATEGORIES)


@dataclass(frozen=True)
class DrawnPicture:
    """A picture, the boxes of its faces and the polygons of its persons, in pixels."""

    name: str
    srgb: Srgb8
    faces: tuple[tuple[float, float, float, float], ...]
    persons: tuple[tuple[float, ...], ...]


def draw_picture(name: str, seed: int, *, width: int = 128, height: int = 96) -> DrawnPicture:
    """Draw one or two persons with faces in front of a grainy wall."""
    drawing = np.random.default_rng(seed)
    level = int(drawing.integers(90, 190))
    grain = drawing.normal(level, 8, (height, width, 3))
    srgb = np.clip(grain, 0, 255).astype(np.uint8)
    faces, persons = [], []
    for place in range(int(drawing.integers(1, 3))):
        radius = int(drawing.integers(11, 17))
        x = int(drawing.integers(radius + 4, width // 2 - radius - 4)) + place * (width // 2)
        y = int(drawing.integers(radius + 2, height // 2))
        left, right = x - radius, x + radius
        cv2.rectangle(srgb, (left, y), (right, height), PERSON_SRGB, cv2.FILLED)
        cv2.circle(srgb, (x, y), radius, FACE_SRGB, cv2.FILLED)
        faces.append((x - radius, y - radius, 2 * radius + 1.0, 2 * radius + 1.0))
        corners = cv2.ellipse2Poly((x, y), (radius, radius), 0, 180, 360, 15)
        persons.append(
            tuple(float(value) for value in (*corners.ravel(), right, height, left, height))
        )
    return DrawnPicture(name, srgb, tuple(faces), tuple(persons))


def coco_document(pictures: list[DrawnPicture]) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, start=1):
        marks = [(FACE, list(box), []) for box in picture.faces]
        marks += [(PERSON, _bounds(points), [list(points)]) for points in picture.persons]
        annotations += [
            {
                "id": len(annotations) + place,
                "image_id": number,
                "category_id": category,
                "bbox": box,
                "area": box[2] * box[3],
                "segmentation": outline,
                "iscrowd": 0,
            }
            for place, (category, box, outline) in enumerate(marks, start=1)
        ]
    images = [
        {
            "id": number,
            "file_name": picture.name,
            "width": picture.srgb.shape[1],
            "height": picture.srgb.shape[0],
        }
        for number, picture in enumerate(pictures, start=1)
    ]
    return {"images": images, "annotations": annotations, "categories": list(CATEGORIES)}


def dataturks_line(picture: DrawnPicture) -> dict[str, Any]:
    """Return the faces of a picture as one line of a Dataturks file."""
    height, width = picture.srgb.shape[:2]
    marks = [
        {
            "label": ["Face"],
            "points": [
                {"x": left / width, "y": top / height},
                {"x": (left + across) / width, "y": (top + down) / height},
            ],
            "imageWidth": width,
            "imageHeight": height,
        }
        for left, top, across, down in picture.faces
    ]
    return {"content": f"https://example.org/uploads/{picture.name}", "annotation": marks}


def write_folder(folder: Path, *, train: int, validation: int) -> Path:
    """Write pictures with COCO annotations for training and validation; return the folder."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for part, seeds in (("train", range(train)), ("val", range(1000, 1000 + validation))):
        pictures = [draw_picture(f"{part}_{seed}.png", seed) for seed in seeds]
        for picture in pictures:
            Image.fromarray(picture.srgb).save(folder / "images" / picture.name)
        content = json.dumps(coco_document(pictures))
        (folder / "annotations" / f"instances_{part}.json").write_text(content)
    return folder


def _bounds(points: tuple[float, ...]) -> list[float]:
    across, down = points[0::2], points[1::2]
    return [min(across), min(down), max(across) - min(across), max(down) - min(down)]
