"""The allow-list: which configurations of the model zoo may be asked for by name."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files as resources
from types import MappingProxyType

from smart_filter_shared.errors import SetupFailed


class Makes(StrEnum):
    """What a configuration's model answers."""

    INSTANCE = "instance"
    PANOPTIC = "panoptic"
    SEMANTIC = "semantic"
    BOXES = "boxes"


@dataclass(frozen=True, slots=True)
class ZooConfig:
    """One configuration of the zoo.

    name: its path below the zoo's folder, without `.yaml`.
    checkpoint: the end of its weights' address, "" when its authors give none.
    person: what its data set calls a person.
    """

    name: str
    makes: Makes
    checkpoint: str
    person: str

    @property
    def weights_name(self) -> str:
        """Where its weights lie below the weights folder by convention."""
        return f"detectron2/{self.name.replace('/', '-')}.pkl"


def find(name: str) -> ZooConfig:
    """Return a configuration by name.  Raises SetupFailed when it is not on the list."""
    found = configs().get(name)
    if found is None:
        raise SetupFailed(f"{name!r} is no configuration of the zoo: docs/detectron2.md lists them")
    return found


@cache
def configs() -> Mapping[str, ZooConfig]:
    """Return every configuration on the list by name."""
    text = resources(__package__).joinpath("zoo.toml").read_text(encoding="utf-8")
    told = tomllib.loads(text)
    persons: dict[str, str] = told["persons"]
    found = (
        ZooConfig(name, makes, checkpoint, persons.get(name.partition("/")[0], "person"))
        for makes in Makes
        for name, checkpoint in told[makes].items()
    )
    return MappingProxyType({one.name: one for one in found})
