"""A network that gives the coverage of a picture of any size, by ONNX Runtime."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.networks.runtimes.network_input import sigmoid
from smart_filter_workers.networks.runtimes.onnx_network import OnnxNetwork
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Bytes, Floats, Srgb8

# A longer picture is squeezed to this ratio of its sides: at 768² pixels the short one keeps 512.
MAX_ASPECT: Final = 2.2


@dataclass(frozen=True, slots=True)
class InputForm:
    """The form in which a network takes pictures.

    mean, standard_deviation: of the levels 0..255, for all channels or for red, green and blue.
    side_multiple_px: divides both sides.
    """

    mean: float | tuple[float, float, float]
    standard_deviation: float | tuple[float, float, float]
    side_multiple_px: int

    def input_size(self, width: int, height: int, side_px: int) -> tuple[int, int]:
        """Return the width and height in pixels of the network's input for a picture.

        side_px: the input has about as many pixels as a square of this side.
        """
        aspect = np.clip(width / height, 1 / MAX_ASPECT, MAX_ASPECT) ** 0.5
        across, down = (
            round(side_px * share / self.side_multiple_px) * self.side_multiple_px
            for share in (aspect, 1 / aspect)
        )
        return int(across), int(down)

    def scale_values(self, pictures: Bytes) -> Floats:
        """Return pictures as the network takes them: (n, 3, H, W) float32.

        pictures: (n, H, W, 3) uint8 sRGB.
        """
        values = pictures.astype(np.float32) - np.asarray(self.mean, np.float32)
        values /= np.asarray(self.standard_deviation, np.float32)
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


class CoverageNetwork:
    """The network, callable from any thread.

    content: an ONNX network for any number of pictures of any size; its first output is
    (n, 1, H, W) coverage.  side_px: the size of its input, as for `InputForm.input_size`.
    gives_logits: whether the output is logits of the coverage.  keeps_memory, threads: as for
    OnnxNetwork.
    Raises SetupFailed when it does not load.
    """

    def __init__(
        self,
        content: bytes,
        form: InputForm,
        *,
        side_px: int,
        gives_logits: bool = False,
        keeps_memory: bool = False,
        threads: int = 1,
    ) -> None:
        self._network = OnnxNetwork(content, keeps_memory=keeps_memory, threads=threads)
        self._form = form
        self._side_px = side_px
        self._gives_logits = gives_logits

    def __call__(self, srgb: Srgb8) -> Floats:
        """Return the (H, W) float32 coverage, 0..1, at the picture's size.

        srgb: (H, W, 3) uint8.
        """
        across, down = self._form.input_size(srgb.shape[1], srgb.shape[0], self._side_px)
        (coverage,) = self._pass([srgb], across, down)
        return coverage

    def segment_batch(self, pictures: Sequence[Srgb8], *, side_px: int) -> list[Floats]:
        """Return the coverage of each picture as for one; a GPU takes them in one pass.

        pictures: each (H, W, 3) uint8.  side_px: the input has about as many pixels as a square of
        this side; on a GPU it is that square, because a pass has one size.
        """
        if pictures and self._network.device != onnx_network.CPU:
            return self._pass(pictures, side_px, side_px)
        sizes = [
            self._form.input_size(picture.shape[1], picture.shape[0], side_px)
            for picture in pictures
        ]
        return [self._pass([srgb], *size)[0] for srgb, size in zip(pictures, sizes, strict=True)]

    def _pass(self, pictures: Sequence[Srgb8], across: int, down: int) -> list[Floats]:
        seen = np.stack([resize(srgb, width=across, height=down) for srgb in pictures])
        coverages = self._network(self._form.scale_values(seen))[0]
        if self._gives_logits:
            coverages = sigmoid(coverages)
        return [
            resize(np.clip(coverage[0], 0, 1), width=srgb.shape[1], height=srgb.shape[0])
            for coverage, srgb in zip(coverages, pictures, strict=True)
        ]
