"""The runnable configurations: how one is admitted with weights, and loaded on first use.

What an operator adds, a configuration or a file of weights, is read as data, tested on a small
picture and stored in the weights folder under its digest. From then on only this digest is trusted.
"""

import hashlib
import threading
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from cachetools import LRUCache

from smart_filter_shared.catalog.model_card import Commercial
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_workers.networks.detectron2 import checkpoints, configs
from smart_filter_workers.networks.detectron2 import predictor as detectron2_predictor
from smart_filter_workers.networks.detectron2.configs import Document
from smart_filter_workers.networks.detectron2.predictor import BuiltModel, PredictOptions, Predictor
from smart_filter_workers.weights import allowlist, files
from smart_filter_workers.weights.allowlist import DIGEST_PREFIX, AdmittedFile

# Kinds in `admitted.json`: weights for segmentation, own configurations, weights for faces.
WEIGHTS_KIND: Final = "detectron2"
CONFIG_KIND: Final = "detectron2-config"
FACES_KIND: Final = "detectron2-faces"
KINDS: Final = frozenset({WEIGHTS_KIND, CONFIG_KIND, FACES_KIND})
# Each loaded model takes 0.2 to 0.6 GB.
MAX_LOADED: Final = 2

FOLDER: Final = "detectron2"
PROBE_SIDE_PX: Final = 64


@dataclass(frozen=True, slots=True)
class AdmittedModel:
    """A configuration with weights.

    config: the operator's file; None for a configuration of the zoo, which `weights` names.
    """

    weights: AdmittedFile
    config: AdmittedFile | None

    @property
    def key(self) -> tuple[str, str]:
        """The unique key: the configuration and the digest of its weights."""
        return self.weights.config, self.weights.sha256


class PredictorCache:
    """Caches loaded configurations of a weights folder; any thread may call it.

    kind: the kind of admitted weights to use.
    """

    def __init__(self, folder: Path, *, kind: str = WEIGHTS_KIND) -> None:
        self._folder = folder
        self._kind = kind
        self._loaded: LRUCache[tuple[str, str], Predictor] = LRUCache(MAX_LOADED)
        self._lock = threading.Lock()

    def predictor(self, address: str) -> Predictor:
        """Return the model of a configuration, loading it if necessary.

        address: a name of the zoo, or `sha256:` and the first letters of an own file's digest.
        Raises ModelNotLoaded when this machine lacks its weights, or its files differ from the
        admitted ones: another worker may have good ones.
        """
        try:
            return self._predictor(self._find_model(address))
        except SetupFailed as error:
            raise ModelNotLoaded(f"{self._kind}: {error}", leads=False) from error

    def _find_model(self, address: str) -> AdmittedModel:
        model = list_models(self._folder, kind=self._kind).get(address)
        if model is None:
            raise SetupFailed(f"no weights for {address} here: {allowlist.REMEDY}")
        return model

    def _predictor(self, model: AdmittedModel) -> Predictor:
        # Load one at a time: two at once would take twice the memory.
        with self._lock:
            predictor = self._loaded.get(model.key)
            if predictor is None:
                if len(self._loaded) == MAX_LOADED:  # before loading, which needs its memory
                    self._loaded.popitem()
                predictor = self._load(model)
                self._loaded[model.key] = predictor
            return predictor

    def _load(self, model: AdmittedModel) -> Predictor:
        document = (
            load_zoo_config(model.weights.config)
            if model.config is None
            else load_own_config(self._folder, model.config)
        )
        device = detectron2_predictor.choose_device()
        names = model.weights.classes or (model.config.classes if model.config else ())
        built = detectron2_predictor.build_model(document, device=device, names=names)
        content = files.read_verified(self._folder, model.weights.file)
        detectron2_predictor.load_weights(built, checkpoints.parse(content, model.weights.name))
        return Predictor(built)


def list_models(folder: Path, *, kind: str = WEIGHTS_KIND) -> Mapping[str, AdmittedModel]:
    """Return the models by address.  Raises SetupFailed for an unreadable list."""
    there = [file for file in allowlist.read_allowlist(folder) if (folder / file.name).is_file()]
    configs = {f"{DIGEST_PREFIX}{file.sha256}": file for file in there if file.kind == CONFIG_KIND}
    by_address: dict[str, AdmittedModel] = {}
    for file in there:
        if file.kind != kind:
            continue
        if file.config in configs:
            by_address[file.address] = AdmittedModel(file, configs[file.config])
        elif file.config in list_configs():
            by_address[file.config] = AdmittedModel(file, None)
    return by_address


def load_zoo_config(name: str) -> Document:
    """Return a configuration of the zoo that is on the list.  Raises SetupFailed."""
    return configs.strip_training(
        configs.load_zoo_document(f"{find(name).name}.yaml", read_packaged_config)
    )


def load_own_config(folder: Path, file: AdmittedFile) -> Document:
    """Return an operator's own configuration.  Raises SetupFailed when it was changed."""
    content = files.read_verified(folder, file.file)
    return parse_own_config(content.decode("utf-8"), str(folder / file.name))


def parse_own_config(text: str, title: str) -> Document:
    """Return an operator's configuration, each key checked.  Raises SetupFailed."""
    configs.check(configs.parse(text, title), title)
    whole = configs.load_own_document(text, title, read_packaged_config)
    return configs.strip_training(whole)


def read_packaged_config(path: str) -> str:
    """Return the text of a zoo file of the installed detectron2; raises FileNotFoundError."""
    configs = resources("detectron2").joinpath("model_zoo", "configs")
    return configs.joinpath(*path.split("/")).read_text(encoding="utf-8")


class OutputKind(StrEnum):
    """The kind of output of a configuration's model."""

    INSTANCE = "instance"
    PANOPTIC = "panoptic"
    SEMANTIC = "semantic"
    BOXES = "boxes"


@dataclass(frozen=True, slots=True)
class ZooConfig:
    """One configuration of the zoo.

    name: its path below the zoo's folder, without `.yaml`.
    checkpoint: the end of its weights' address, "" when its authors give none.
    person: its data set's name of a person.
    """

    name: str
    makes: OutputKind
    checkpoint: str
    person: str

    @property
    def weights_name(self) -> str:
        """The conventional path of its weights below the weights folder."""
        return f"detectron2/{self.name.replace('/', '-')}.pkl"


def find(name: str) -> ZooConfig:
    """Return a configuration by name.  Raises SetupFailed when it is not on the list."""
    config = list_configs().get(name)
    if config is None:
        raise SetupFailed(
            f"{name!r} is not in the zoo: docs/detectron2.md lists the configurations"
        )
    return config


@cache
def list_configs() -> Mapping[str, ZooConfig]:
    """Return every configuration on the list by name."""
    text = resources(__package__).joinpath("zoo.toml").read_text(encoding="utf-8")
    listed = tomllib.loads(text)
    persons: dict[str, str] = listed["persons"]
    configs = (
        ZooConfig(name, makes, checkpoint, persons.get(name.partition("/")[0], "person"))
        for makes in OutputKind
        for name, checkpoint in listed[makes].items()
    )
    return MappingProxyType({config.name: config for config in configs})


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
    document = parse_own_config(text, path.name)
    probe(
        detectron2_predictor.build_model(
            document, device=detectron2_predictor.choose_device(), names=names
        )
    )
    digest = hashlib.sha256(content).hexdigest()
    listed = AdmittedFile(f"{FOLDER}/{digest}.yaml", digest, CONFIG_KIND, classes=tuple(names))
    files.write_file(folder, listed.name, content)
    allowlist.add(folder, listed)
    return listed


def admit_weights(
    path: Path,
    folder: Path,
    *,
    config: str,
    names: Sequence[str] = (),
    kind: str = WEIGHTS_KIND,
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
    configs = [listed for listed in allowlist.read_allowlist(folder) if listed.kind == CONFIG_KIND]
    config_file = next((listed for listed in configs if listed.address == config), None)
    document = (
        load_zoo_config(config) if config_file is None else load_own_config(folder, config_file)
    )
    classes = tuple(names) or (config_file.classes if config_file else ())
    content = files.read_content(path)
    checkpoint = checkpoints.parse(content, path.name)
    built = detectron2_predictor.build_model(
        document, device=detectron2_predictor.choose_device(), names=classes
    )
    detectron2_predictor.load_weights(built, checkpoint)
    probe(built)
    suffix = ".npz" if content.startswith(b"PK") else ".pkl"
    stem = (
        find(config).weights_name.removesuffix(".pkl")
        if config_file is None
        else config_file.name[:-5]
    )
    # The same weights admitted for another model are stored in a file of their own.
    kind_suffix = "" if kind == WEIGHTS_KIND else f"-{kind}"
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
