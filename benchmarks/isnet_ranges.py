"""Measure the ranges of IS-Net's activations: `PYTHONPATH=tests python -m benchmarks.isnet_ranges`.

Needs `smart-filter models pull isnet`, and writes the file that the conversion to eight bits reads.
The photos are the two portraits of the tests, whole, in parts, mirrored, and in the dark.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.config.paths import data_folder
from smart_filter_workers import images
from smart_filter_workers.networks.coverage import isnet
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Srgb8
from smart_filter_workers.weights import files

PORTRAITS: Final = ("astronaut.png", "grace_hopper.jpg")
SIDE_PX: Final = 640
# Five digits are enough for 256 levels.
DIGITS: Final = 5


def main() -> None:
    """Write the lowest and the highest value of each activation."""
    library = onnx_network.load_quantization()
    content = isnet.widen(files.read_verified(data_folder() / "weights", isnet.WEIGHTS))
    with tempfile.TemporaryDirectory() as folder:
        network = Path(folder) / "network.onnx"
        network.write_bytes(content)
        calibrator = library.create_calibrator(
            network,
            list(isnet.OPERATORS),
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
        )
        calibrator.collect_data(_Photos())
        measured = calibrator.compute_data()
    ranges = {
        name: [_rounded(data.lowest), _rounded(data.highest)]
        for name, data in sorted(measured.items())
        if not name.startswith(isnet.SINGLE_PRECISION)
    }
    target = Path(isnet.__file__).with_name(isnet.RANGES_FILE)
    lines = ",\n".join(f"{json.dumps(name)}: {ends}" for name, ends in ranges.items())
    target.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    print(f"{len(ranges)} ranges: {target}")


class _Photos:
    """The network's inputs, as ONNX Runtime's `CalibrationDataReader` gives them."""

    def __init__(self) -> None:
        self._inputs = map(_input, _photos())

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next input by its name; None after the last."""
        values = next(self._inputs, None)
        return None if values is None else {"input": values}


def _photos() -> Iterator[Srgb8]:
    tests = Path(__file__).parent.parent / "tests"
    for name in PORTRAITS:
        srgb = images.decode((tests / "data" / name).read_bytes()).srgb
        height, width = srgb.shape[:2]
        yield srgb
        yield srgb[: height * 2 // 3, ::-1]
        yield srgb[height // 8 : height * 5 // 8, width // 6 : width - width // 6]
        yield srgb[:, : width * 5 // 8] // 2


def _input(srgb: Srgb8) -> NDArray[np.float32]:
    across, down = isnet.FORM.input_size(srgb.shape[1], srgb.shape[0], SIDE_PX)
    seen = resize(np.ascontiguousarray(srgb), width=across, height=down)
    return isnet.FORM.scale_values(seen[np.newaxis])


def _rounded(value: NDArray[np.float32]) -> float:
    return float(f"{value.item():.{DIGITS}g}")


if __name__ == "__main__":
    main()
