"""BiRefNet: the coverage of people, or of salient objects, by ONNX Runtime.

The files spell each deformable convolution out in a hundred operators. As one operator each, they
give the same with half of the memory and in two thirds of the time.
Source: Zheng, Gao, Fan, Liu, Laaksonen, Ouyang & Sebe 2024, "Bilateral reference for
high-resolution dichotomous image segmentation"; the files come from the authors' release.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.networks.coverage.coverage_network import CoverageNetwork, InputForm
from smart_filter_workers.weights import files

# Trained on people.
PORTRAIT: Final = WeightsFile(
    "birefnet-portrait.onnx", "1ba1c8ff5a7bbfadc8d8d13fb11d7be793f91f23d9d466549e37a854f6668f99"
)
# Smaller, trained on whatever stands out.
LITE: Final = WeightsFile(
    "birefnet-lite.onnx", "5600024376f572a557870a5eb0afb1e5961636bef4e1e22132025467d0f03333"
)
# The files take this size only; any picture is stretched to it.
SIDE_PX: Final = 1024
# Source: tutorials/BiRefNet_pth2onnx.ipynb of the repository, mean and deviation of 0..1.
FORM: Final = InputForm(
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    standard_deviation=(0.229 * 255, 0.224 * 255, 0.225 * 255),
    side_multiple_px=SIDE_PX,
)
# The end of the name of the node that gives the offsets; what is before it is the scope.
_OFFSETS: Final = "offset_conv/Conv"
# The first version of the operators with DeformConv.
_OPSET: Final = 19

_log = logger("models")


def load(weights: Path, file: WeightsFile) -> CoverageNetwork:
    """Load a network from the weights folder.

    file: PORTRAIT or LITE.  Raises SetupFailed when it is missing or does not load.
    """
    content = merge_convolutions(files.read_verified(weights, file))
    # Its caller runs one pass at a time, which takes half a minute of processor time.
    cores = len(os.sched_getaffinity(0))
    return CoverageNetwork(content, FORM, side_px=SIDE_PX, gives_logits=True, threads=cores)


def merge_convolutions(content: bytes) -> bytes:
    """Return the network with each deformable convolution as one operator.

    content: the ONNX file.  It is returned as it is when it spells one out in an unknown way.
    """
    import onnx  # noqa: PLC0415 - reading model cards loads no framework

    model = onnx.load_model_from_string(content)
    graph = model.graph
    ends = [node.name for node in graph.node if node.name.endswith(_OFFSETS)]
    scopes = tuple(name.removesuffix(_OFFSETS) for name in ends)
    try:
        convolutions = dict(_merge_convolution(graph.node, scope) for scope in scopes)
    except (KeyError, ValueError):
        convolutions = {}
    if not convolutions:
        _log.warning("deformable_convolutions_unknown")
        return content
    del content  # a gigabyte
    nodes, inputs = [], {output.name for output in graph.output}
    for original in reversed(graph.node):
        node = convolutions.get(original.output[0], original)
        # Leaves out what only the convolutions that were spelled out need.
        if inputs.intersection(node.output) or not original.name.startswith(scopes):
            nodes.append(node)
            inputs.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(nodes))
    _raise_version(model)
    packed: bytes = model.SerializeToString()
    return packed


# Any: protobuf's messages have no types.
def _merge_convolution(nodes: Iterable[Any], scope: str) -> tuple[str, Any]:
    """Return the result of a deformable convolution, and the node that gives it.

    scope: the beginning of the names of its nodes.
    Raises KeyError or ValueError when they are not the known ones.
    """
    from onnx import helper  # noqa: PLC0415

    inside = {node.name: node for node in nodes if node.name.startswith(scope)}
    offsets, seen = inside[scope + _OFFSETS], inside[f"{scope}Sigmoid"].output[0]
    (mask,) = (node.output[0] for node in inside.values() if seen in node.input)
    outputs = {node.output[0] for node in inside.values()}
    (result,) = {
        name for node in nodes if node.name not in inside for name in node.input if name in outputs
    }
    weights = inside[f"{scope}Conv"].input[1]
    # The two convolutions have the same size, stride and padding.
    attributes = {
        attribute.name: helper.get_attribute_value(attribute) for attribute in offsets.attribute
    }
    return result, helper.make_node(
        "DeformConv",
        [offsets.input[0], weights, offsets.output[0], "", mask],
        [result],
        name=f"{scope}DeformConv",
        **attributes,
    )


def _raise_version(model: Any) -> None:  # noqa: ANN401
    """Declare the version of the operators that has DeformConv.

    Not by onnx's converter, which takes 8 GB. Of the operators of the files only reductions change.
    """
    from onnx import helper, numpy_helper  # noqa: PLC0415

    for node in model.graph.node:
        axes = [attribute for attribute in node.attribute if attribute.name == "axes"]
        if node.op_type.startswith("Reduce") and axes:
            name = f"{node.output[0]}_axes"
            values = np.array(helper.get_attribute_value(axes[0]), np.int64)
            model.graph.initializer.append(numpy_helper.from_array(values, name))
            node.attribute.remove(axes[0])
            node.input.append(name)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", _OPSET))
