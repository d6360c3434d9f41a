"""Letting in what an operator brings: a configuration of their own, or a file of weights.

Both are read as data, tried on a small picture and put into the weights folder under their
digest; from then on nothing but that digest is trusted.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.errors import SetupFailed
from smart_filter_workers import admitted, foreign_file, weights
from smart_filter_workers.admitted import Admitted
from smart_filter_workers.networks.detectron2 import building, checkpoints, documents, shelf, zoo
from smart_filter_workers.networks.detectron2.building import Built
from smart_filter_workers.networks.detectron2.predictor import Options, Predictor

FOLDER: Final = "detectron2"
PROBE_SIDE_PX: Final = 64


def admit_config(path: Path, folder: Path, *, names: Sequence[str] = ()) -> str:
    """Let in a configuration; return the address by which it is asked for once it has weights.

    path: a YAML file whose `_BASE_`, if any, is a file of the zoo; folder: the weights folder.
    names: of its classes, those that it counts first, unless its data set is a known one.
    Raises SetupFailed naming what it says that it may not, or why no model comes of it.
    """
    content = foreign_file.content(path, most_bytes=documents.LONGEST_BYTES)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SetupFailed(f"{path} is no UTF-8 text") from error
    document = shelf.of_operator(text, path.name)
    probe(building.build(document, device=building.device(), names=names))
    digest = hashlib.sha256(content).hexdigest()
    name = f"{FOLDER}/{digest}.yaml"
    _put(folder, name, content)
    admitted.add(folder, Admitted(name, digest, shelf.CONFIG, classes=tuple(names)))
    return shelf.address_of(digest)


def admit_weights(
    path: Path,
    folder: Path,
    *,
    config: str,
    names: Sequence[str] = (),
    kind: str = shelf.WEIGHTS,
) -> Admitted:
    """Let in a file of weights for a configuration.

    path: an `.npz` of arrays, or a pickle as the zoo has them; folder: the weights folder.
    config: a name of the zoo, or the address of an own one that was let in.
    names: of its classes, those that it counts first, unless its data set is a known one.
    Raises SetupFailed when it holds more than arrays, or does not fit the configuration.
    """
    own = next(
        (
            one
            for one in admitted.read(folder)
            if one.kind == shelf.CONFIG and shelf.address_of(one.sha256) == config
        ),
        None,
    )
    document = shelf.of_zoo(config) if own is None else shelf.own(folder, own)
    classes = tuple(names) or (own.classes if own else ())
    content = foreign_file.content(path)
    checkpoint = checkpoints.parsed(content, path.name)
    built = building.build(document, device=building.device(), names=classes)
    building.fill(built, checkpoint)
    probe(built)
    suffix = ".npz" if content.startswith(b"PK") else ".pkl"
    stem = zoo.find(config).weights_name.removesuffix(".pkl") if own is None else own.name[:-5]
    # Another model with the same weights folder has files of its own.
    beside = "" if kind == shelf.WEIGHTS else f"-{kind}"
    let_in = Admitted(
        f"{stem}{beside}{suffix}",
        hashlib.sha256(content).hexdigest(),
        kind,
        config=config if own is None else f"{admitted.DIGEST}{own.sha256}",
        classes=classes,
    )
    _refuse_another(folder, let_in)
    _put(folder, let_in.name, content)
    admitted.add(folder, let_in)
    return let_in


def probe(built: Built) -> None:
    """Run a model on a small picture.  Raises SetupFailed when it cannot."""
    grey = np.full((PROBE_SIDE_PX, PROBE_SIDE_PX, 3), 128, np.uint8)
    options = Options(threshold=0.5, short_side_px=PROBE_SIDE_PX)
    try:
        Predictor(built)([grey], sorted(built.classes.all), options)
    # Whatever an odd configuration makes detectron2 raise, it is not let in.
    except Exception as error:
        raise SetupFailed(f"the model fails on a small picture: {error}") from error


def _refuse_another(folder: Path, file: Admitted) -> None:
    """Refuse other weights for a configuration that has some: results under a name stay."""
    for one in admitted.read(folder):
        is_same_use = (one.kind, one.config) == (file.kind, file.config)
        if is_same_use and one.sha256 != file.sha256 and (folder / one.name).is_file():
            raise SetupFailed(
                f"{file.config} has other weights here: results under one name must not change;"
                f" `smart-filter models remove {admitted.called(one)}` first"
            )


def _put(folder: Path, name: str, content: bytes) -> None:
    """Put a file in place in one step."""
    with weights.scratch_folder(folder, "admit") as scratch:
        (scratch / "whole").write_bytes(content)
        weights.put(scratch / "whole", folder / name)
