"""Faces by the detector of OpenCV's samples: a single-shot detector on ResNet-10."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import Commercial, ModelCard, WeightsFile
from smart_filter_shared.catalog.parameters import Parameters, float_of, number
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.results import Face
from smart_filter_workers.networks.coordinates import estimate_landmarks
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Floats, Srgb8

LAYERS: Final = WeightsFile(
    "res10.prototxt", "dcd661dc48fc9de0a341db1f666a2164ea63a67265c7f779bc12d6b3f2fa67e9"
)
WEIGHTS: Final = WeightsFile(
    "res10.caffemodel", "2a56a11a57a4a295956b0660b4a3d76bbdca2206c4961cea8efe7d95c7cb2f2d"
)
SIZE_PX: Final = 300

CARD: Final = ModelCard(
    name="res10",
    version="1",
    task=TaskName.FACE,
    family="res10",
    title="SSD on ResNet-10 at 300 × 300 pixels; landmarks at their mean positions",
    source="github.com/opencv/opencv_3rdparty, dnn_samples_face_detector_20170830;"
    " Liu et al. 2016, SSD",
    license="Apache-2.0",
    # Source: OpenCV's samples/dnn/face_detector/how_to_train_face_detector.txt.
    data_terms="a large public set of pictures that its authors say they cannot name",
    commercial=Commercial.ASK,
    weights=(LAYERS, WEIGHTS),
    optional=True,
    input_size=(SIZE_PX, SIZE_PX),
    parameters=(number("threshold", 0.5, "Least score of a face", least=0.01, most=1),),
)
# Blue, green and red, in this order. Source: OpenCV's samples/dnn/models.yml, opencv_fd.
MEAN_BGR: Final = (104.0, 177.0, 123.0)
# The network's classes are 0, background, and 1, face.
FACE_CLASS: Final = 1


def load(weights: Path) -> "Res10":
    """Load the network from the weights folder."""
    return Res10(CaffeNetwork(layers=weights / LAYERS.name, weights=weights / WEIGHTS.name))


@dataclass(frozen=True, slots=True)
class Res10:
    """Finds faces of at least about a fifteenth of the picture; any thread may call it."""

    network: "CaffeNetwork"

    def __call__(
        self,
        pictures: Sequence[Srgb8],
        proposals: Sequence[tuple[Face, ...]] = (),  # noqa: ARG002 - finds its own faces
        *,
        parameters: Parameters,
    ) -> list[tuple[Face, ...]]:
        """Return the faces of each picture, best score first, in its pixels."""
        threshold = float_of(parameters, "threshold")
        return [
            tuple(
                decode_faces(
                    self.network(to_blob(picture)),
                    width=picture.shape[1],
                    height=picture.shape[0],
                    threshold=threshold,
                )
            )
            for picture in pictures
        ]


class CaffeNetwork:
    """A Caffe network with one input and one output, run by OpenCV; each thread has its own copy.

    layers: the .prototxt file; weights: the .caffemodel file.
    Such a network keeps its input and its layers' outputs between calls, so it must not be shared.
    Raises cv2.error when the files are no network that OpenCV supports.
    """

    def __init__(self, *, layers: Path, weights: Path) -> None:
        self._layers = np.frombuffer(layers.read_bytes(), np.uint8)
        self._weights = np.frombuffer(weights.read_bytes(), np.uint8)
        self._per_thread = threading.local()
        self._network()  # a file that cannot run fails here, not with the first photo

    def __call__(self, blob: Floats) -> Floats:
        """Return the network's output for blob, (N, C, H, W) float32.  The array is a new copy."""
        network = self._network()
        network.setInput(blob)
        return np.array(network.forward(), dtype=np.float32)

    def _network(self) -> cv2.dnn.Net:
        network: cv2.dnn.Net | None = getattr(self._per_thread, "network", None)
        if network is None:
            network = cv2.dnn.readNetFromCaffe(self._layers, self._weights)
            self._per_thread.network = network
        return network


def to_blob(picture: Srgb8) -> Floats:
    """Return the network's input: (1, 3, 300, 300) float32, BGR minus its mean.

    picture: (H, W, 3) uint8, RGB.
    """
    small = cv2.resize(picture, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_LINEAR)
    bgr = small[:, :, ::-1].astype(np.float32) - np.array(MEAN_BGR, np.float32)
    return np.ascontiguousarray(bgr.transpose(2, 0, 1)[np.newaxis])


def decode_faces(rows: Floats, *, width: int, height: int, threshold: float) -> Iterator[Face]:
    """Yield the detected faces, best score first, in pixels of the picture.

    rows: (1, 1, N, 7) float32: picture, class, score, then the corners x1, y1, x2, y2 (not width
    and height) as shares of the picture. Corners may lie outside it.
    """
    detections = rows.reshape(-1, 7)
    for _, kind, score, *corners in detections[np.argsort(-detections[:, 2], kind="stable")]:
        if kind != FACE_CLASS or score < threshold:
            continue
        left, top, right, bottom = (
            float(np.clip(corner, 0, 1) * side)
            for corner, side in zip(corners, (width, height, width, height), strict=True)
        )
        if right > left and bottom > top:
            box = (left, top, right - left, bottom - top)
            yield Face(box=box, score=min(1.0, float(score)), landmarks=estimate_landmarks(box))
