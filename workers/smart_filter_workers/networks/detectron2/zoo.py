"""The allow-list of configurations of the model zoo, by name."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files as resources
from types import MappingProxyType

from smart_filter_shared.errors import SetupFailed


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
