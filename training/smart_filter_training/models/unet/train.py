"""Train the network of portraits."""

import contextlib
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.errors import FolderUnreadable, SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_training import onnx_export
from smart_filter_training.card import KERAS, TrainingCard
from smart_filter_training.evaluation import (
    confidence_intervals,
    drawing,
    measure_in_process,
    metrics,
    tasks,
)
from smart_filter_training.evaluation.confidence_intervals import Figure
from smart_filter_training.models.unet import batches, pairs, teaching
from smart_filter_training.models.unet.batches import AugmentedPairs, PairCache
from smart_filter_training.models.unet.pairs import Example, Pair
from smart_filter_training.onnx_export import PARITY, Exported
from smart_filter_training.preflight import Finding
from smart_filter_training.run_record import RunRecord
from smart_filter_workers import images
from smart_filter_workers.networks.runtimes.litert import LiteRtNetwork
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Doubles, Floats, Matte8, Srgb8
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.stages.segmentation.models.portrait import Portrait

Network = Any  # keras ships no types

CARD: Final = TrainingCard(
    TaskName.SEGMENTATION,
    "portrait",
    "portrait.tflite",
    KERAS,
    # Corrections are few.
    fine_tuning={
        "start": "own",
        "epochs": "4",
        "learning_rate": "5e-5",
        "validation_share": "0.2",
    },
)
OWN_WEIGHTS: Final = Path(__file__).parent / "portrait.weights.h5"
# The networks that start with the weights of a LiteRT file.
CARRIED: Final = ("grown", "carried")

# Files in a run's folder: the network, for runs that join it; the answers next to the truth; the
# facts of the exported files.
NETWORK: Final = "network.keras"
SHEET: Final = "sheet.png"
_FACTS: Final = "export.json"
# For phones: weights in half precision, and in eight bits.
_HALF, _BYTES = "portrait_float16.tflite", "portrait_int8.tflite"
MAX_FILE_BYTES: Final = 2_000_000
_PREDICT_BATCH: Final = 16
# Photos on which the exported networks are compared.
_COMPARED: Final = 16
# A source with fewer photos gets no figure of its own.
MIN_OF_SOURCE: Final = 5
# The sheet: its photos, the size of a cell (width, height), and the photos in a row.
SHEET_PHOTOS: Final = 24
_CELL_PX: Final = (180, 240)
_PHOTOS_PER_ROW: Final = 2


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of a run; the defaults made the weights in the repository.

    network: "grown" (the selfie network with more layers at coarse resolutions), "carried" (the
        selfie network alone), or from random weights "classic", "residual" or "mobile".
    begin: the LiteRT file in the weights folder with which "grown" and "carried" start; weights:
        that folder, "" for the usual one.
    start: a file of Keras weights to start with, `own` for those in the repository, or "".
    size_px: the side of the input; width: channels of the finest resolution, for random weights.
    cut_out_share: the share of examples that get another photo's background, 0..1.
    teacher: a model of the catalog that labels the photos of the folder `unlabelled`; the
        pairs go to the folder `taught`, and the run trains on them too.  Without a teacher,
        `taught` is read as it is.
    join: folders of finished runs, separated by commas: further figures are those of the mean of
        their mattes and the new network's.
    """

    seed: int = 0
    epochs: int = 13
    batch_size: int = 8
    learning_rate: float = 4e-4
    weight_decay: float = 1e-4
    network: str = "grown"
    begin: str = "selfie_general.tflite"
    start: str = ""
    size_px: int = 256
    width: int = 16
    validation_share: float = 0.125
    cut_out_share: float = 0.35
    teacher: str = ""
    unlabelled: str = ""
    weights: str = ""
    taught: str = ""
    join: str = ""

    @property
    def weights_folder(self) -> Path:
        """The weights folder of the product."""
        return Path(self.weights or data_folder() / "weights")


@dataclass(frozen=True, slots=True)
class Data:
    """Pairs to train on and to validate on.

    digest: SHA-256 of names, photos and masks, in lower-case hex.  joined: folders of finished
    runs for the figures of the mean.
    """

    train: PairCache
    validation: PairCache
    digest: str
    joined: tuple[Path, ...] = ()


def read_folder(folder: Path, configuration: Configuration) -> Data:
    """Find the pairs of a folder and split them; photos that look alike stay on one side.

    Raises FolderUnreadable in one line.
    """
    listed = pairs.find_pairs(folder)
    missing = [pair.mask for pair in listed if not pair.mask.is_file()]
    if missing:
        raise FolderUnreadable(
            f"{len(missing)} masks are missing, the first is {missing[0]}: see --check"
        )
    taught = _find_taught(configuration)
    learning, checking = pairs.split_pairs(
        listed,
        [pairs.hash_photo(pair) for pair in listed],
        validation_share=configuration.validation_share,
    )
    if not learning or not checking:
        raise FolderUnreadable(f"{folder} {pairs.describe_too_few(listed)}")
    return Data(
        train=PairCache([*learning, *taught]),
        validation=PairCache(checking),
        digest=_compute_digest([*listed, *taught]),
        joined=tuple(Path(run) for run in configuration.join.split(",") if run),
    )


def check_data(folder: Path, configuration: Configuration) -> Iterator[Finding]:
    """Find the problems of a folder: each file is read."""
    return pairs.check_data(folder, validation_share=configuration.validation_share)


def train(data: Data, configuration: Configuration, record: RunRecord) -> Network:
    """Train a network, or resume the record's run.

    Raises SetupFailed when the configuration is wrong, or the weights to start with are missing.
    """
    from smart_filter_training import keras_learner  # noqa: PLC0415 - checks need no framework
    from smart_filter_training.models.unet import network as networks  # noqa: PLC0415 - as above

    network = keras_learner.start(build_network, configuration, trained=OWN_WEIGHTS)
    size_px, seed = configuration.size_px, configuration.seed
    augmented = AugmentedPairs(data.train, size_px, configuration.cut_out_share, seed)
    keras_learner.fit(
        network,
        keras_learner.Batches(
            len(data.train), augmented.make_examples, configuration.batch_size, seed
        ),
        configuration,
        record,
        validation=batches.stack_all(data.validation, size_px),
        loss=networks.MatteLoss(),
        metrics=[networks.Overlap()],
    )
    network.save(record.folder / NETWORK)
    coverages = _predict(network, data.validation)
    _write_sheet(record.folder / SHEET, data.validation, coverages)
    return network


def build_network(configuration: Configuration) -> Network:
    """Return the network that training starts with.  Raises SetupFailed."""
    from smart_filter_training.models.unet import network as networks  # noqa: PLC0415 - as above

    kind, side = configuration.network, configuration.size_px
    if side % networks.MULTIPLE_PX:
        raise SetupFailed(f"size_px is {side}: set a multiple of {networks.MULTIPLE_PX}")
    if kind in CARRIED:
        file = configuration.weights_folder / configuration.begin
        carried = networks.convert_litert(file, side_px=side)
        return networks.grow(carried) if kind == "grown" else carried
    if kind in networks.BLOCKS:
        return networks.build(kind, size_px=side, width=configuration.width)
    names = ", ".join((*CARRIED, *networks.BLOCKS))
    raise SetupFailed(f"network is {kind}: set one of {names}")


def load_network(run: Path) -> Network:
    """Return the network of a finished run.  Raises SetupFailed."""
    import keras  # noqa: PLC0415 - figures of files need no framework

    try:
        return keras.saving.load_model(run / NETWORK, compile=False, safe_mode=True)
    except (OSError, ValueError) as error:
        why = str(error).partition("\n")[0]
        raise SetupFailed(f"{run} holds no finished run to join: {why}") from error


def compute_figures(network: Network, data: Data) -> dict[str, Figure]:
    """Return the figures on the validation split: of all photos, and of each source.

    With runs to join, `ensemble_…` are the figures of the mean of their mattes and this network's.
    """
    coverage = _predict(network, data.validation)
    figures = _coverage_figures(coverage, data.validation)
    if data.joined:
        every = [coverage, *(_predict(load_network(run), data.validation) for run in data.joined)]
        means = [np.mean(coverages, axis=0) for coverages in zip(*every, strict=True)]
        joined = _coverage_figures(means, data.validation)
        figures |= {f"ensemble_{name}": figure for name, figure in joined.items()}
    return figures


def measure(file: Path, folder: Path) -> dict[str, Figure]:
    """Return the figures of an exported file on a folder of photos with masks.

    They are those of `smart-filter eval segmentation`: by the product's model, with its edges.
    Raises FolderUnreadable.
    """
    model = Portrait(LiteRtNetwork(file), _input_size(file))
    scores = measure_in_process.score_model(tasks.get_task(CARD.task), model, folder)
    numbers = np.array([score.numbers for score in scores], np.float64)
    return _figures_by_source(numbers, [score.group for score in scores])


def export(network: Network, data: Data, folder: Path) -> Exported:
    """Write the file of weights that the product runs, and others with their costs.

    The product's file answers (1, S, S, 1) float32 coverage, 0..1, for (1, S, S, 3) of 0..1.
    `export.json` has the size of each file, the difference of its answers from Keras's, and the
    difference of its mean IoU on the validation split.
    Raises SetupFailed when the file is larger than MAX_FILE_BYTES, or its answers differ.
    """
    covering = _add_sigmoid(network)
    size_px = int(network.input_shape[1])
    sample = PairCache(data.validation.pairs[:: max(1, len(data.validation) // _COMPARED)])
    expected = _predict(network, sample)
    facts: dict[str, dict[str, float]] = {}
    for name in (CARD.file, _HALF, _BYTES):
        content = _convert(covering, name)
        (folder / name).write_bytes(content)
        coverages = _predict_litert(folder / name, sample, size_px)
        facts[name] = {
            "bytes": len(content),
            "difference": max(
                float(np.abs(a - b).max()) for a, b in zip(coverages, expected, strict=True)
            ),
            "iou_difference": _compute_iou(coverages, sample) - _compute_iou(expected, sample),
        }
    inputs = batches.to_inputs(sample, range(len(sample)), size_px)
    onnx = onnx_export.to_onnx(covering, folder / f"{Path(CARD.file).stem}.onnx", inputs=inputs)
    facts[onnx.file.name] = {"bytes": onnx.file.stat().st_size, "difference": onnx.parity}
    (folder / _FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    file = facts[CARD.file]
    if file["bytes"] > MAX_FILE_BYTES:
        raise SetupFailed(
            f"{CARD.file} has {file['bytes']:.0f} bytes, at most {MAX_FILE_BYTES}: --set a smaller"
            " width"
        )
    if file["difference"] > PARITY:
        raise SetupFailed(
            f"the answers of {CARD.file} differ from Keras by {file['difference']:.4f}"
        )
    return Exported(folder / CARD.file, file["difference"])


def to_probability(logits: Floats) -> Floats:
    """Return the logistic function of logits."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -40, 40))), dtype=np.float32)


def _find_taught(configuration: Configuration) -> list[Pair]:
    """Return the pairs that a teacher made, or makes now."""
    if not configuration.taught:
        return []
    into = Path(configuration.taught)
    if configuration.teacher:
        teaching.teach(
            Path(configuration.unlabelled),
            into,
            teacher=configuration.teacher,
            weights=configuration.weights_folder,
        )
    return pairs.find_pairs(into)


def _compute_digest(listed: Iterable[Pair]) -> str:
    whole = hashlib.sha256()
    for pair in listed:
        whole.update(pair.name.encode())
        whole.update(pair.photo.read_bytes())
        whole.update(pair.mask.read_bytes())
    return whole.hexdigest()


def _predict(network: Network, pairs: PairCache) -> list[Floats]:
    """Return the coverage of each photo by a network: (S, S) float32, 0..1."""
    size_px = int(network.input_shape[1])
    coverages: list[Floats] = []
    for start in range(0, len(pairs), _PREDICT_BATCH):
        numbers = range(start, min(start + _PREDICT_BATCH, len(pairs)))
        logits = network.predict_on_batch(batches.to_inputs(pairs, numbers, size_px))
        coverages += list(to_probability(np.asarray(logits, np.float32)[..., 0]))
    return coverages


def _predict_litert(file: Path, pairs: PairCache, size_px: int) -> list[Floats]:
    """Return the coverage of each photo by a LiteRT file: (S, S) float32, 0..1."""
    network = LiteRtNetwork(file)
    coverages = []
    for number in range(len(pairs)):
        (coverage,) = network(batches.to_inputs(pairs, [number], size_px)).values()
        coverages.append(coverage[0, :, :, 0])
    return coverages


def _to_matte(coverage: Floats, example: Example) -> Matte8:
    """Return the matte that the product makes of a coverage: (h, w) uint8."""
    height, width = example.matte.shape
    resized = cv2.resize(coverage, (width, height), interpolation=cv2.INTER_LINEAR)
    return refine_edges(np.asarray(resized, dtype=np.float32), example.srgb)


def _coverage_figures(coverages: Sequence[Floats], pairs: PairCache) -> dict[str, Figure]:
    """Return the figures of the coverages of the pairs' photos, with the product's edges."""
    rows = []
    for number, coverage in enumerate(coverages):
        example = pairs.example(number)
        compared = _to_matte(coverage, example), example.matte, example.counted
        rows.append(
            (
                metrics.matte_iou(*compared),
                metrics.boundary_f(*compared),
                metrics.mean_difference(*compared),
            )
        )
    return _figures_by_source(np.array(rows, np.float64), [pair.source for pair in pairs.pairs])


def _compute_iou(coverages: list[Floats], pairs: PairCache) -> float:
    return _coverage_figures(coverages, pairs)["iou"].value


def _figures_by_source(numbers: Doubles, sources: Sequence[str]) -> dict[str, Figure]:
    compute = tasks.get_task(CARD.task).figures
    figures = confidence_intervals.compute_figures(numbers, compute)
    for source in sorted(set(sources)):
        some = numbers[[name == source for name in sources]]
        if source and len(some) >= MIN_OF_SOURCE:
            figures[f"iou_{source}"] = confidence_intervals.compute_figures(some, compute)["iou"]
    return figures


def _input_size(file: Path) -> tuple[int, int]:
    """Return width and height of the input of a LiteRT file."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - only for files

    _, height, width, _ = Interpreter(model_content=file.read_bytes()).get_input_details()[0][
        "shape"
    ]
    return int(width), int(height)


def _add_sigmoid(network: Network) -> Network:
    """Return a network that answers coverage instead of logits."""
    import keras  # noqa: PLC0415 - figures of files need no framework

    coverage = keras.layers.Activation("sigmoid", name="coverage")(network.output)
    return keras.Model(network.input, coverage, name="portrait")


def _convert(network: Network, name: str) -> bytes:
    """Return a network as the content of one of the LiteRT files."""
    import keras  # noqa: PLC0415 - figures of files need no framework
    import tensorflow as tf  # noqa: PLC0415 - as above

    # One picture at a time: the runtime on a phone allocates memory for this shape.
    picture = keras.Input(batch_shape=(1, *network.input_shape[1:]), name="picture")
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(picture, network(picture)))
    if name != CARD.file:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if name == _HALF:
        converter.target_spec.supported_types = [tf.float16]
    # The converter prints all variables of the network.
    with contextlib.redirect_stdout(io.StringIO()):
        return bytes(converter.convert())


def _write_sheet(file: Path, pairs: PairCache, coverages: Sequence[Floats]) -> None:
    """Write a PNG of at most SHEET_PHOTOS photos: half are the worst, others are spread evenly.

    coverages: (S, S) float32, 0..1, of each photo.  Each photo has four cells: the photo, the
    truth, the answer, and over the faint photo what the answer adds and misses.
    """
    mattes = [_to_matte(map_, pairs.example(n)) for n, map_ in enumerate(coverages)]
    overlaps = [
        metrics.matte_iou(matte, pairs.example(n).matte, pairs.example(n).counted)
        for n, matte in enumerate(mattes)
    ]
    worst = [int(number) for number in np.argsort(overlaps)[: SHEET_PHOTOS // 2]]
    others = [number for number in range(len(mattes)) if number not in worst]
    chosen = worst + others[:: max(1, len(others) // (SHEET_PHOTOS - len(worst)))]
    rows: list[Srgb8] = []
    for number in chosen[:SHEET_PHOTOS]:
        example = pairs.example(number)
        cells = (
            example.srgb,
            drawing.draw_matte(example.matte),
            drawing.draw_matte(mattes[number]),
            drawing.draw_difference(example.srgb, mattes[number], example.matte, example.counted),
        )
        rows.append(np.hstack([_fit_cell(cell) for cell in cells]))
    rows += [np.zeros_like(rows[0])] * (-len(rows) % _PHOTOS_PER_ROW)
    lines = [
        np.hstack(rows[start : start + _PHOTOS_PER_ROW])
        for start in range(0, len(rows), _PHOTOS_PER_ROW)
    ]
    file.write_bytes(images.encode_png(np.ascontiguousarray(np.vstack(lines))).content)


def _fit_cell(srgb: Srgb8) -> Srgb8:
    width, height = _CELL_PX
    scale = min(width / srgb.shape[1], height / srgb.shape[0])
    size = (max(1, round(srgb.shape[1] * scale)), max(1, round(srgb.shape[0] * scale)))
    cell = np.zeros((height, width, 3), np.uint8)
    cell[: size[1], : size[0]] = cv2.resize(srgb, size, interpolation=cv2.INTER_AREA)
    return cell
