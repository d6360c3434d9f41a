import io
import json
import zipfile

import numpy as np
import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks import instances
from smart_filter_workers.networks.runtimes import keras_network, network_input
from smart_filter_workers.networks.runtimes.network_input import (
    Activation,
    ChannelOrder,
    Fit,
    Handling,
    Layout,
    OutputKind,
)
from smart_filter_workers.results import Srgb8

# Rounding of sizes moves an edge by at most a pixel.
ONE_PX = 1.01


def a_picture(height: int = 40, width: int = 80) -> Srgb8:
    """Make a picture with a red left half and a blue right half."""
    srgb = np.zeros((height, width, 3), np.uint8)
    srgb[:, : width // 2, 0] = 255
    srgb[:, width // 2 :, 2] = 255
    return srgb


def black(height: int, width: int) -> Srgb8:
    return np.zeros((height, width, 3), np.uint8)


SQUARE = {"width": 64, "height": 64}


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({"width": 0, "height": 64}, "width"),
        ({"width": 64}, "height"),
        ({"width": 64, "height": 1e9}, "height"),
        ({"width": True, "height": 64}, "width"),
        (SQUARE | {"mean": [1, 2]}, "mean"),
        (SQUARE | {"mean": ["a", "b", "c"]}, "mean"),
        (SQUARE | {"std": [1, 0, 1]}, "std"),
        (SQUARE | {"fit": "squeeze"}, "fit"),
        (SQUARE | {"activation": 3}, "activation"),
        (SQUARE | {"code": "print()"}, "code"),
    ],
)
def test_impossible_handling_is_refused_by_name(sent: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        network_input.parse(sent)


def test_input_has_the_networks_channel_order_mean_and_deviation() -> None:
    used = Handling(
        64, 64, order=ChannelOrder.BGR, layout=Layout.NHWC, mean=(0, 0, 0.5), std=(1, 1, 0.5)
    )

    placed = network_input.prepare(a_picture(), used)

    assert placed.values.shape == (1, 64, 64, 3)
    assert placed.values[0, 5, 5] == pytest.approx([0, 0, 1]), "red is last: (1 - 0.5) / 0.5"


@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize("size", [(40, 80), (80, 40), (200, 30), (64, 64), (1, 7)])
def test_output_map_is_aligned_with_the_picture(fit: Fit, size: tuple[int, int]) -> None:
    srgb = a_picture(*size)
    used = Handling(64, 64, fit=fit)
    placed = network_input.prepare(srgb, used)

    back = network_input.map_to_picture(placed.values[0, 0], placed, used, srgb)

    red = srgb[..., 0] / 255
    assert back.shape == red.shape
    assert np.abs(back - red).sum() <= ONE_PX * size[0] * max(1.0, size[1] / placed.width)


def test_every_layout_of_an_output_is_understood() -> None:
    seen = np.zeros((16, 16), np.float32)
    seen[4:8] = 1
    wanted = [seen, seen[None], seen[None, None], np.stack([seen, 1 - seen])[None]]

    assert all(
        np.array_equal(network_input.read_coverage(output, Handling(64, 64)), seen)
        for output in wanted
    )
    last = Handling(64, 64, layout=Layout.NHWC)
    assert np.array_equal(network_input.read_coverage(seen[None, :, :, None], last), seen)


@pytest.mark.parametrize("shape", [(1, 2, 3, 4, 5), (7,), (2, 1, 8, 8), (1, 1, 0, 8)])
def test_output_that_is_not_a_map_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no map"):
        network_input.read_coverage(np.zeros(shape, np.float32), Handling(64, 64))


def test_softmax_takes_the_channel_of_people() -> None:
    logits = np.zeros((1, 3, 8, 8), np.float32)
    logits[0, 2] = 50

    seen = network_input.read_coverage(
        logits, Handling(64, 64, activation=Activation.SOFTMAX, channel=2)
    )

    assert seen.min() > 0.999


@pytest.mark.parametrize(
    ("activation", "answer", "expected"),
    [
        (Activation.SIGMOID, [-1e9, 0, 1e9], [0, 0.5, 1]),
        (Activation.MINMAX, [0.1, 0.5], [0, 1]),
        # Noise is not stretched.
        (Activation.MINMAX, [0.01, 0.02], pytest.approx([0, 0], abs=0.05)),
        (Handling(64, 64).activation, [np.nan, np.inf, -np.inf], [0, 1, 0]),
    ],
    ids=["large numbers", "weak map", "noise", "no numbers"],
)
def test_output_becomes_a_coverage(
    activation: Activation, answer: list[float], expected: list[float]
) -> None:
    used = Handling(64, 64, activation=activation)

    assert network_input.read_coverage(np.array([answer], np.float32), used).tolist() == [expected]


def yolo_answers() -> list[network_input.Floats]:
    """Make answers with two persons and a dog in 64 px; the left person occurs twice."""
    person, dog = (0.9, 0.05), (0.1, 0.8)
    boxes = [(48, 32, 20, 40), (16, 32, 20, 40), (17, 32, 20, 40), (32, 8, 8, 8)]
    classes = [person, (0.8, 0.0), (0.7, 0.0), dog]
    masks = [(9.0, 0.0), (9.0, 0.0), (9.0, 0.0), (0.0, 9.0)]
    rows = np.array([[*b, *c, *m] for b, c, m in zip(boxes, classes, masks, strict=True)])
    prototypes = np.stack([np.ones((16, 16)), -np.ones((16, 16))])
    return [rows.T[None].astype(np.float32), prototypes[None].astype(np.float32)]


def found_by_yolo(width: int, *, threshold: float) -> list[instances.Instance]:
    used, srgb = Handling(64, 64, fit=Fit.CENTERED, answer=OutputKind.YOLO), black(64, width)
    placed = network_input.prepare(srgb, used)
    return instances.find_persons(yolo_answers(), placed, used, srgb, threshold=threshold)


def test_each_person_is_found_once_from_left_to_right_within_its_box() -> None:
    left, right = found_by_yolo(64, threshold=0.5)

    assert (left.box, right.box) == ((6, 12, 26, 52), (38, 12, 58, 52))
    assert (left.score, right.score) == pytest.approx((0.8, 0.9))
    assert left.coverage[30, 16] > 0.99
    assert left.coverage[30, 48] == 0, "the other person, in the same prototype"
    assert right.coverage[30, 48] > 0.99


@pytest.mark.parametrize("answer", [OutputKind.YOLO, OutputKind.RTMDET])
def test_answers_of_another_network_are_refused(answer: OutputKind) -> None:
    used, srgb = Handling(64, 64, answer=answer), black(64, 64)
    placed, maps = network_input.prepare(srgb, used), [np.zeros((1, 1, 64, 64), np.float32)]

    with pytest.raises(ValueError, match="outputs of shapes"):
        instances.find_persons(maps, placed, used, srgb, threshold=0.5)


def a_file(module: str, name: str) -> bytes:
    """Return a Keras file whose only layer has an object of a module as its initial weights."""
    given = {"module": module, "class_name": name, "config": {}}
    layer = {
        "module": "keras.layers",
        "class_name": "Conv2D",
        "config": {"kernel_initializer": given},
    }
    network = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(keras_network.CONFIG_FILE, json.dumps(network))
        archive.writestr(keras_network.WEIGHTS_FILE, b"")
        archive.writestr(keras_network.METADATA_FILE, "{}")
    return content.getvalue()


@pytest.mark.parametrize("name", ["get", "serialize", "deserialize"])
@pytest.mark.parametrize(
    "module", ["keras.initializers", "keras.regularizers", "keras.constraints"]
)
def test_function_next_to_harmless_classes_is_refused(module: str, name: str) -> None:
    with pytest.raises(SetupFailed, match=rf"^{module}\.{name} is not an allowed layer"):
        keras_network.check(a_file(module, name))


def test_allowed_names_are_of_classes() -> None:
    names = [name for allowed in keras_network.ALLOWED_CLASSES.values() for name in allowed]

    assert [name for name in names if name[0].islower()] == []
