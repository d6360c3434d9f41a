"""The runnable configurations: those with admitted weights, loaded on first use.

The allow-list of configurations of the model zoo, by name.
"""

import threading
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cachetools import LRUCache

from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_workers.networks.detectron2 import checkpoints, configs, model_builder
from smart_filter_workers.networks.detectron2.configs import Document
from smart_filter_workers.networks.detectron2.predictor import Predictor
from smart_filter_workers.weights import allowlist, files
from smart_filter_workers.weights.allowlist import DIGEST_PREFIX, AdmittedFile

# Kinds in `admitted.json`: weights for segmentation, own configurations, weights for faces.
WEIGHTS_KIND: Final = "detectron2"
CONFIG_KIND: Final = "detectron2-config"
FACES_KIND: Final = "detectron2-faces"
KINDS: Final = frozenset({WEIGHTS_KIND, CONFIG_KIND, FACES_KIND})
# Each loaded model takes 0.2 to 0.6 GB.
MAX_LOADED: Final = 2


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
        device = model_builder.choose_device()
        names = model.weights.classes or (model.config.classes if model.config else ())
        built = model_builder.build_model(document, device=device, names=names)
        content = files.read_verified(self._folder, model.weights.file)
        model_builder.load_weights(built, checkpoints.parse(content, model.weights.name))
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
