"""Measure how often an album chooses the one good shot of a burst with seven degraded ones.

python -m benchmarks.best_shot WEIGHTS PHOTO…: the folder of weights, and photos with faces. With
--glasses first, dark glasses or lids are drawn over the eyes, and the readings are counted.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from smart_filter_shared import albums, best_shot
from smart_filter_shared.best_shot import AlbumPhoto, Term
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.results import Face, Faces, Smiles
from smart_filter_workers import images
from smart_filter_workers.networks.faces.face_mesh import FaceMesh, Mesh
from smart_filter_workers.results import Floats, PreparedPhoto, Srgb8
from smart_filter_workers.stages.face import stage as face_stage
from smart_filter_workers.stages.face.models import centerface
from smart_filter_workers.stages.prepare.models import light
from smart_filter_workers.stages.prepare.stage import compute_perceptual_hash, make_proxy
from smart_filter_workers.stages.smile import stage as smile_stage
from smart_filter_workers.stages.smile.models import expression, lids

LEAST_FACE_PX: Final = 60
MOST_FACES: Final = 8
# Dark glass, 0..1, and the share of the contrast behind it that it lets through.
LENS_LEVEL, LENS_CLEARNESS = 0.14, 0.1
# Source: Fitzpatrick's mesh has 468 points; those of the upper and lower lids, from the outer
# corner inwards, are of MediaPipe's face mesh.
RIGHT_LIDS = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133),
    (33, 7, 163, 144, 145, 153, 154, 155, 133),
)
LEFT_LIDS = (
    (263, 466, 388, 387, 386, 385, 384, 398, 362),
    (263, 249, 390, 373, 374, 380, 381, 382, 362),
)
GOOD: Final = "the good shot"


class Reader:
    """Runs the stages that an album's ranking uses, with the default models."""

    def __init__(self, weights: Path) -> None:
        self.propose = light.load(weights)
        self.mesh = FaceMesh(weights)
        self._faces = face_stage.Models(face=centerface.load(weights))
        rate, given = expression.load(weights), expression.CARD.completed({})
        self._smiles = smile_stage.Models(
            smile=lambda views: rate(views, parameters=given), eyes=lids.load(weights)
        )

    def read(self, srgb: Srgb8) -> tuple[PreparedPhoto, Faces, Smiles]:
        """Return the results of a photo, (H, W, 3) uint8 sRGB."""
        height, width = srgb.shape[:2]
        proxy = make_proxy(srgb)
        prepared = PreparedPhoto(
            width,
            height,
            "jpg",
            proxy_srgb=proxy,
            fingerprint=compute_perceptual_hash(proxy),
        )
        return prepared, *self.rate(prepared)

    def rate(self, prepared: PreparedPhoto) -> tuple[Faces, Smiles]:
        """Return the faces of a prepared photo, and their smiles."""
        (faces,) = face_stage.run(self._faces, [face_stage.Inputs(prepared)])
        (smiles,) = smile_stage.run(self._smiles, [smile_stage.Inputs(prepared, faces)])
        return faces, smiles


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photo, (H, W, 3) uint8 sRGB, its large faces, and their meshes.

    has_open_eyes: whether both eyes of any face are known to be open, so that closing them shows.
    is_cut: whether a head is cut already, so that cutting it changes little.
    """

    srgb: Srgb8
    faces: tuple[Face, ...]
    meshes: tuple[Mesh, ...]
    has_open_eyes: bool
    is_cut: bool


def main(weights: Path, photos: Iterable[Path]) -> None:
    """Print how often the good shot is the best, and against which degradations it loses."""
    reader = Reader(weights)
    rng = np.random.default_rng(53)
    wins, count, losses = 0, 0, Counter[str]()
    for portrait in _portraits(reader, photos):
        shots = [build_photo(reader, name, srgb) for name, srgb in degrade(portrait, rng)]
        # Ties go to the first id: the good shot has the last.
        shots.append(build_photo(reader, GOOD, portrait.srgb))
        count += 1
        wins += best_shot.order_scene(shots)[0].id == GOOD
        losses += Counter(
            shot.id
            for shot in shots[:-1]
            if best_shot.order_scene([shot, shots[-1]])[0].id == shot.id
        )
    print(f"{count} bursts, the good shot is the best in {wins} ({wins / count:.1%})")
    print(f"pairs lost: {dict(losses)}")


def measure_glasses(weights: Path, photos: Iterable[Path]) -> None:
    """Print how eyes behind drawn dark glasses, and closed eyes, are read."""
    reader = Reader(weights)
    read = {"glasses": Counter[str](), "closed": Counter[str]()}
    count = 0
    for portrait in _portraits(reader, photos):
        count += 1
        for name, srgb in (("glasses", draw_glasses(portrait)), ("closed", close_eyes(portrait))):
            _, faces, smiles = reader.read(srgb)
            for face, eyes in zip(faces.faces, smiles.eyes, strict=True):
                if face.box[2] >= LEAST_FACE_PX:
                    read[name] += Counter(map(_name_eye, (eyes.left_open, eyes.right_open)))
    print(f"{count} photos; behind dark glasses {dict(read['glasses'])}")
    print(f"closed eyes {dict(read['closed'])}")


def _name_eye(is_open: object) -> str:
    if is_open is None:
        return "unknown"
    return "open" if is_open else "closed"


def _portraits(reader: Reader, photos: Iterable[Path]) -> Iterator[Portrait]:
    for path in photos:
        portrait = read_portrait(reader, images.decode(path.read_bytes()).srgb)
        if portrait is not None:
            yield portrait


def read_portrait(reader: Reader, photo_srgb: Srgb8) -> Portrait | None:
    """Return a photo, shrunk to its proxy, with its large faces; None for none or a crowd."""
    srgb = make_proxy(photo_srgb)
    _, faces, smiles = reader.read(srgb)
    large = tuple(face for face in faces.faces if face.box[2] >= LEAST_FACE_PX)
    are_open = [
        bool(eyes.left_open and eyes.right_open)
        for face, eyes in zip(faces.faces, smiles.eyes, strict=True)
        if face in large
    ]
    if not 0 < len(large) <= MOST_FACES:
        return None
    meshes = tuple(reader.mesh(srgb, face) for face in large)
    cut = build_photo(reader, GOOD, srgb).fault(Term.CROP)
    return Portrait(srgb, large, meshes, any(are_open), cut > Term.CROP.fine)


def build_photo(reader: Reader, id_: str, srgb: Srgb8) -> AlbumPhoto:
    """Return a photo of an album, by the stages that its ranking uses."""
    return to_album_photo(id_, *reader.read(srgb))


def to_album_photo(id_: str, prepared: PreparedPhoto, faces: Faces, smiles: Smiles) -> AlbumPhoto:
    """Return a photo of an album, by the results of its stages."""
    facts = {
        StageName.PREPARE: {
            "facts": {
                "width": prepared.width,
                "height": prepared.height,
                "format": prepared.format,
                "fingerprint": prepared.fingerprint,
                "traces": prepared.traces and asdict(prepared.traces),
            }
        },
        StageName.FACE: {"facts": asdict(faces)},
        StageName.SMILE: {"facts": asdict(smiles)},
    }
    return albums.build_album_photo(id_, facts)  # type: ignore[arg-type]


def degrade(portrait: Portrait, rng: np.random.Generator) -> Iterator[tuple[str, Srgb8]]:
    """Yield degraded copies of a photo, each with the kind of its degradation."""
    srgb = portrait.srgb
    unit = max(1.0, max(face.box[2] for face in portrait.faces) / 160)
    yield "blur", _asarray(cv2.GaussianBlur(srgb, (0, 0), 2.0 * unit))
    yield "shake", _asarray(cv2.blur(srgb, (round(9 * unit), 1)))
    yield "dark", _expose(srgb, portrait.faces, share=0.95, level=0.28)
    yield "bright", _expose(srgb, portrait.faces, share=0.5, level=1.0)
    yield "noise", _asarray(np.clip(srgb + rng.normal(0, 16 * unit, srgb.shape), 0, 255))
    if not portrait.is_cut:
        yield "cut head", _cut_head(portrait)
    if portrait.has_open_eyes:
        yield "closed eyes", close_eyes(portrait)


def _expose(srgb: Srgb8, faces: Sequence[Face], *, share: float, level: float) -> Srgb8:
    """Return the photo exposed so that a share of all faces' pixels is darker than a level, 0..1.

    Light is taken as proportional to the power 2.2 of the pixels.
    """
    light_of = (srgb / 255) ** 2.2
    inner = np.concatenate(
        [
            light_of[
                max(0, int(y + h / 4)) : int(y + h), max(0, int(x + w / 4)) : int(x + w * 3 / 4)
            ].reshape(-1, 3)
            for x, y, w, h in (face.box for face in faces)
        ]
    )
    gain = level**2.2 / max(1e-3, float(np.quantile(inner.mean(axis=1), share)))
    return _asarray(np.round(255 * np.clip(light_of * gain, 0, 1) ** (1 / 2.2)))


def _cut_head(portrait: Portrait) -> Srgb8:
    """Return the photo cut through the highest forehead."""
    rows = []
    for face in portrait.faces:
        (_, right), (_, left), _, (_, first), (_, second) = face.landmarks
        eyes, mouth = (right + left) / 2, (first + second) / 2
        rows.append(eyes - 0.6 * abs(mouth - eyes))
    return np.ascontiguousarray(portrait.srgb[max(0, int(min(rows))) :])


def close_eyes(portrait: Portrait) -> Srgb8:
    """Return the photo with all eyes covered by lids."""
    srgb = portrait.srgb
    for mesh in portrait.meshes:
        for upper, lower in (RIGHT_LIDS, LEFT_LIDS):
            srgb = _cover_eye(srgb, mesh.points[list(upper)], mesh.points[list(lower)])
    return srgb


def draw_glasses(portrait: Portrait) -> Srgb8:
    """Return the photo with dark glasses on all faces."""
    srgb = portrait.srgb
    for mesh in portrait.meshes:
        lenses = [mesh.points[list(upper + lower)] for upper, lower in (RIGHT_LIDS, LEFT_LIDS)]
        (right, left), sides = (
            [lens.mean(axis=0) for lens in lenses],
            [float(np.linalg.norm(lens[0] - lens[8])) for lens in lenses],
        )
        angle = float(np.degrees(np.arctan2(*(left - right)[::-1])))
        shape = np.zeros(srgb.shape[:2], np.float32)
        thick = max(1, round(0.15 * max(sides)))
        ends = [(int(center[0]), int(center[1])) for center in (right, left)]
        cv2.line(shape, ends[0], ends[1], 1.0, thick)
        for center, side in zip((right, left), sides, strict=True):
            axes = (max(1, round(0.95 * side)), max(1, round(0.7 * max(sides))))
            middle = (round(float(center[0])), round(float(center[1] + 0.12 * max(sides))))
            cv2.ellipse(shape, middle, axes, angle, 0, 360, 1.0, -1)
        soft = cv2.GaussianBlur(shape, (0, 0), max(0.5, 0.03 * max(sides)))[..., np.newaxis]
        glass = LENS_LEVEL * 255 + LENS_CLEARNESS * (srgb.astype(np.float32) - 128)
        srgb = _asarray(np.clip(srgb + (glass - srgb) * soft, 0, 255))
    return srgb


def _cover_eye(srgb: Srgb8, upper: Floats, lower: Floats) -> Srgb8:
    """Return the photo with the skin below an eye mirrored over it, and lashes where it ends.

    upper, lower: (n, 2) points of the lids, from corner to corner, in pixels.
    """
    start, length = upper[0], max(1.0, float(np.linalg.norm(upper[-1] - upper[0])))
    along = (upper[-1] - start) / length
    down = np.array([-along[1], along[0]])
    down = down if (lower.mean(axis=0) - upper.mean(axis=0)) @ down > 0 else -down
    rows, columns = np.mgrid[0 : srgb.shape[0], 0 : srgb.shape[1]].astype(np.float32)
    x = (columns - start[0]) * along[0] + (rows - start[1]) * along[1]
    y = (columns - start[0]) * down[0] + (rows - start[1]) * down[1]
    top, bottom = _lid(upper - start, along, down, x), _lid(lower - start, along, down, x)
    bottom = np.asarray(np.maximum(bottom, top) + 0.05 * length, np.float32)
    shift = np.where(y < bottom, 2 * (bottom - y), 0)
    skin = cv2.remap(
        srgb,
        (columns + shift * down[0]).astype(np.float32),
        (rows + shift * down[1]).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    eye = (y > top - 0.1 * length) & (y < bottom) & (x > -0.08 * length) & (x < 1.08 * length)
    soft = cv2.GaussianBlur(eye.astype(np.float32), (0, 0), 0.04 * length)[..., np.newaxis]
    lash = (abs(y - bottom + 0.06 * length) < 0.03 * length) & (x > 0) & (x < length)
    dark = cv2.GaussianBlur(lash.astype(np.float32), (0, 0), 0.02 * length)[..., np.newaxis]
    return _asarray((srgb + (skin - srgb.astype(np.float32)) * soft) * (1 - 0.6 * dark))


def _lid(points: Floats, along: Floats, down: Floats, x: Floats) -> Floats:
    """Return the height of a lid at each position along the eye."""
    order = np.argsort(points @ along)
    return np.asarray(np.interp(x, (points @ along)[order], (points @ down)[order]), np.float32)


def _asarray(picture: object) -> Srgb8:
    return np.ascontiguousarray(np.asarray(picture).astype(np.uint8))


if __name__ == "__main__":
    is_about_glasses = sys.argv[1] == "--glasses"
    folder, *files = [Path(argument) for argument in sys.argv[1 + is_about_glasses :]]
    (measure_glasses if is_about_glasses else main)(folder, files)
