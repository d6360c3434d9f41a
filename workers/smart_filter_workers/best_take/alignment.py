"""Align the shots of a burst to its base by what does not move."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_shared.results import Face
from smart_filter_wire.formats import FaceBox
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bytes, Doubles, Srgb8

# Longest side on which features are found: a hand moves a camera by many pixels, so a third of a
# pixel here is enough to begin with.
FEATURES_PX: Final = 1280
FEATURES: Final = 4000
# Source: Lowe 2004, section 7.1, the ratio of the two nearest distances.
RATIO: Final = 0.75
# In pixels of the shrunk shot.
INLIER_PX: Final = 2.0
MIN_INLIERS, MIN_INLIER_SHARE = 30, 0.35
# Shares of the shot's diagonal by which a corner may move, and by which lengths may change.
MAX_CORNER_SHIFT, MAX_STRETCH = 0.12, 1.12
# Why a shot cannot be aligned, as the rest of a sentence on it.
OTHER_SIZE: Final = "it has another size"
OTHER_SCENE: Final = "it shows another scene, or too few details to align it"
MOVED_CAMERA: Final = "the camera moved too far"
MOVED_SCENE: Final = "too much moved between the photos"


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of a picture, in whole pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


@dataclass(frozen=True, slots=True)
class Alignment:
    """The homography, (3, 3) float64, from pixels of a shot to pixels of the base."""

    matrix: Doubles

    def move(self, face: Face) -> Face:
        """Return a face at its place in the base."""
        x, y, width, height = face.box
        points = np.array(
            [(x, y), (x + width, y), (x, y + height), (x + width, y + height), *face.landmarks],
            np.float64,
        )
        moved = cv2.perspectiveTransform(points[np.newaxis], self.matrix)[0]
        left, top = moved[:4].min(axis=0)
        right, bottom = moved[:4].max(axis=0)
        marks = [(float(a), float(b)) for a, b in moved[4:]]
        return Face(
            (float(left), float(top), float(right - left), float(bottom - top)),
            face.score,
            (marks[0], marks[1], marks[2], marks[3], marks[4]),
        )

    def warp(self, srgb: Srgb8, window: Window) -> Srgb8:
        """Return a window of the base as the shot shows it, (H, W, 3) uint8."""
        shift = np.array([[1.0, 0.0, -window.left], [0.0, 1.0, -window.top], [0.0, 0.0, 1.0]])
        moved = cv2.warpPerspective(
            srgb,
            shift @ self.matrix,
            (window.width, window.height),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(moved, np.uint8)


class Aligner:
    """Aligns shots to a base, (H, W, 3) uint8 sRGB."""

    def __init__(self, base_srgb: Srgb8) -> None:
        self._shape = base_srgb.shape
        self._scale = min(1.0, FEATURES_PX / max(self._shape[:2]))
        self._sift = cv2.SIFT.create(FEATURES)
        self._points, self._marks = self._sift.detectAndCompute(self._shrink(base_srgb), None)

    def align(self, srgb: Srgb8, faces: Sequence[FaceBox]) -> Alignment | str:
        """Return the alignment of a shot, or the reason for which there is none.

        srgb: (H, W, 3) uint8.  faces: boxes of the shot, in which features may move.
        """
        if srgb.shape != self._shape:
            return OTHER_SIZE
        shot = self._shrink(srgb)
        points, marks = self._sift.detectAndCompute(shot, self._mask_still(shot.shape, faces))
        if marks is None or self._marks is None or len(self._marks) < 2:  # noqa: PLR2004 - nearest
            return OTHER_SCENE
        nearest = cv2.BFMatcher().knnMatch(marks, self._marks, k=2)
        good = [first for first, second in nearest if first.distance < RATIO * second.distance]
        if len(good) < MIN_INLIERS:
            return OTHER_SCENE
        start = np.array([points[match.queryIdx].pt for match in good])
        end = np.array([self._points[match.trainIdx].pt for match in good])
        matrix, inliers = cv2.findHomography(start, end, cv2.USAC_MAGSAC, INLIER_PX)
        if matrix is None or inliers.sum() < max(MIN_INLIERS, MIN_INLIER_SHARE * len(good)):
            return MOVED_SCENE
        grow = np.diag([self._scale, self._scale, 1.0])
        alignment = Alignment(np.linalg.inv(grow) @ matrix @ grow)
        return alignment if _is_small(alignment.matrix, self._shape) else MOVED_CAMERA

    def _shrink(self, srgb: Srgb8) -> Bytes:
        gray = cv2.cvtColor(srgb, cv2.COLOR_RGB2GRAY)
        size = {"fx": self._scale, "fy": self._scale}
        return np.asarray(cv2.resize(gray, None, **size, interpolation=cv2.INTER_AREA), np.uint8)

    def _mask_still(self, size: tuple[int, ...], faces: Sequence[FaceBox]) -> Bytes:
        still = np.full(size, 255, np.uint8)
        for x, y, width, height in faces:
            corners = [(x - width / 4) * self._scale, (y - height / 4) * self._scale]
            ends = [(x + width * 5 / 4) * self._scale, (y + height * 5 / 4) * self._scale]
            cv2.rectangle(still, tuple(map(int, corners)), tuple(map(int, ends)), 0, -1)
        return still


def _is_small(matrix: Doubles, size: tuple[int, ...]) -> bool:
    height, width = size[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    moved = cv2.perspectiveTransform(corners[np.newaxis], matrix)[0]
    shift = np.linalg.norm(moved - corners, axis=1).max() / np.hypot(width, height)
    sides = np.linalg.norm(np.roll(moved, 1, axis=0) - moved, axis=1)
    stretch = sides / np.linalg.norm(np.roll(corners, 1, axis=0) - corners, axis=1)
    return bool(shift <= MAX_CORNER_SHIFT and max(stretch.max(), 1 / stretch.min()) <= MAX_STRETCH)
