"""Admit what an operator adds: a configuration of their own, or a file of weights.

Both are read as data, tested on a small picture and stored in the weights folder under their
digest. From then on only this digest is trusted.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog.model_card import Commercial
from smart_filter_shared.errors import SetupFailed
from smart_filter_workers.networks.detectron2 import (
    checkpoints,
    configs,
    model_builder,
    predictor_cache,
)
from smart_filter_workers.networks.detectron2.model_builder import BuiltModel
from smart_filter_workers.networks.detectron2.predictor import PredictOptions, Predictor
from smart_filter_workers.weights import allowlist, files
from smart_filter_workers.weights.allowlist import AdmittedFile

FOLDER: Final = "detectron2"
PROBE_SIDE_PX: Final = 64


def admit_config(path: Path, folder: Path, *, names: Sequence[str] = ()) -> AdmittedFile:
    """Admit a configuration, and return its entry; it still needs weights.

    path: a YAML file whose `_BASE_`, if any, is a file of the zoo; folder: the weights folder.
    names: of its classes, countable ones first; needed unless detectron2 knows its data set. Raises
    SetupFailed naming the forbidden entry, or why no model can be built from it.
    """
    content = files.read_content(path, most_bytes=configs.MAX_BYTES)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SetupFailed(f"{path} is not UTF-8 text") from error
    document = predictor_cache.parse_own_config(text, path.name)
    probe(model_builder.build_model(document, device=model_builder.choose_device(), names=names))
    digest = hashlib.sha256(content).hexdigest()
    listed = AdmittedFile(
        f"{FOLDER}/{digest}.yaml", digest, predictor_cache.CONFIG_KIND, classes=tuple(names)
    )
    files.write_file(folder, listed.name, content)
    allowlist.add(folder, listed)
    return listed


def admit_weights(
    path: Path,
    folder: Path,
    *,
    config: str,
    names: Sequence[str] = (),
    kind: str = predictor_cache.WEIGHTS_KIND,
    source: str = "",
    license: str = "",
    data_terms: str = "",
    commercial: Commercial = Commercial.ASK,
) -> AdmittedFile:
    """Admit a file of weights for a configuration, and return its entry.

    path: an `.npz` of arrays, or a pickle as in the zoo; folder: the weights folder.
    config: a name of the zoo, or the address of an admitted configuration.
    names: of its classes, countable ones first; needed unless detectron2 knows its data set.
    source, license, data_terms, commercial: its origin and its terms, for the list.
    Raises SetupFailed when the file holds more than arrays, or does not fit the configuration.
    """
    configs = [
        listed
        for listed in allowlist.read_allowlist(folder)
        if listed.kind == predictor_cache.CONFIG_KIND
    ]
    config_file = next((listed for listed in configs if listed.address == config), None)
    document = (
        predictor_cache.load_zoo_config(config)
        if config_file is None
        else predictor_cache.load_own_config(folder, config_file)
    )
    classes = tuple(names) or (config_file.classes if config_file else ())
    content = files.read_content(path)
    checkpoint = checkpoints.parse(content, path.name)
    built = model_builder.build_model(document, device=model_builder.choose_device(), names=classes)
    model_builder.load_weights(built, checkpoint)
    probe(built)
    suffix = ".npz" if content.startswith(b"PK") else ".pkl"
    stem = (
        predictor_cache.find(config).weights_name.removesuffix(".pkl")
        if config_file is None
        else config_file.name[:-5]
    )
    # The same weights admitted for another model are stored in a file of their own.
    kind_suffix = "" if kind == predictor_cache.WEIGHTS_KIND else f"-{kind}"
    let_in = AdmittedFile(
        f"{stem}{kind_suffix}{suffix}",
        hashlib.sha256(content).hexdigest(),
        kind,
        config=config if config_file is None else f"{allowlist.DIGEST_PREFIX}{config_file.sha256}",
        classes=classes,
        source=source,
        license=license,
        data_terms=data_terms,
        commercial=commercial,
    )
    _refuse_replacement(folder, let_in)
    files.write_file(folder, let_in.name, content)
    allowlist.add(folder, let_in)
    return let_in


def probe(built: BuiltModel) -> None:
    """Run a model on a small picture.  Raises SetupFailed when it fails."""
    gray = np.full((PROBE_SIDE_PX, PROBE_SIDE_PX, 3), 128, np.uint8)
    options = PredictOptions(threshold=0.5, short_side_px=PROBE_SIDE_PX)
    try:
        Predictor(built)([gray], sorted(built.classes.all), options)
    # A bad configuration can make detectron2 raise anything.
    except Exception as error:
        raise SetupFailed(f"the model fails on a small picture: {error}") from error


def _refuse_replacement(folder: Path, file: AdmittedFile) -> None:
    """Refuse to replace a configuration's weights: results under one name must not change."""
    for other in allowlist.read_allowlist(folder):
        is_same_use = (other.kind, other.config) == (file.kind, file.config)
        if is_same_use and other.sha256 != file.sha256 and (folder / other.name).is_file():
            raise SetupFailed(
                f"{file.config} has other weights here: results under one name must not change;"
                f" `smart-filter models remove {other.full_name}` first"
            )
