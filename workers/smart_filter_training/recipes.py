"""What can be trained, found as folders, and what each folder holds.

A model is trained by `models/<name>/`: `configuration`, `data`, `train`, `evaluate` and
`export`; adding the folder adds the model.
"""

import dataclasses
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from smart_filter_shared.cards import TaskName
from smart_filter_shared.errors import SetupFailed
from smart_filter_training import models
from smart_filter_training.checks import Finding
from smart_filter_training.exporting import Exported
from smart_filter_training.record import Record
from smart_filter_workers.evaluation.intervals import Figure

# What only a model's own modules look into.
Data = Any
Network = Any
Configuration = Any  # a frozen dataclass of numbers and words, with defaults

# What brings a package that is missing; the extra `train` brings the others.
_REMEDIES = {
    "torch": "pip install 'smart-filter[torch]'",
    "detectron2": "docs/detectron2.md says how to build it",
}
# Of these nothing comes at 0.
_LENGTHS = frozenset({"epochs", "iterations"})
_ABOVE_ZERO = _LENGTHS | {"batch_size", "learning_rate", "held_out_share", "validation_share"}
# Below 1; no other number of a run reaches the bound of NumPy's and Keras's seeds.
_SHARES = ("_share", "dropout")
_MOST = 2**31


class DataModule(Protocol):
    """`data`: reads folders, with no framework."""

    def read(self, folder: Path, configuration: Configuration, /) -> Data:
        """Read a folder; the answer has a `digest`.  Raises FolderUnreadable."""
        ...

    def findings(self, folder: Path, configuration: Configuration, /) -> Iterator[Finding]:
        """Find everything that is wrong with a folder."""
        ...


class TrainModule(Protocol):
    """`train`."""

    def train(self, data: Data, configuration: Configuration, record: Record, /) -> Network:
        """Train a network, or go on where the record's run was killed."""
        ...


class EvaluateModule(Protocol):
    """`evaluate`."""

    def figures(self, network: Network, data: Data, /) -> Mapping[str, Figure]:
        """Return the figures of a network on the examples that validate."""
        ...

    def measured(self, file: Path, folder: Path, /) -> Mapping[str, Figure]:
        """Return the figures of an exported file on a folder whose answers are known."""
        ...


class ExportModule(Protocol):
    """`export`."""

    def export(self, network: Network, data: Data, folder: Path, /) -> Exported:
        """Write the file of weights that the product runs.  Raises SetupFailed."""
        ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is trained; a module of it is imported when it is asked for.

    task, model: whose weights it makes; file: the name of that file in the weights folder.
    packages: what must be installed to train.
    """

    name: str
    task: TaskName
    model: str
    file: str
    packages: tuple[str, ...]

    @property
    def data(self) -> DataModule:
        """What reads the data."""
        return cast("DataModule", self._module("data"))

    @property
    def train(self) -> TrainModule:
        """What trains."""
        return cast("TrainModule", self._module("train"))

    @property
    def evaluate(self) -> EvaluateModule:
        """What measures."""
        return cast("EvaluateModule", self._module("evaluate"))

    @property
    def export(self) -> ExportModule:
        """What writes the file."""
        return cast("ExportModule", self._module("export"))

    def configuration(self, settings: Iterable[str] = ()) -> Configuration:
        """Return the settings of a run, some of them given as `name=value`.

        Raises SetupFailed naming what cannot be set.
        """
        known = self._module("configuration").Configuration()
        names = {one.name for one in dataclasses.fields(known)}
        # Who counts in both judges them together.
        above_zero = _ABOVE_ZERO - _LENGTHS if names >= _LENGTHS else _ABOVE_ZERO
        given: dict[str, object] = {}
        for setting in settings:
            name, mark, text = setting.partition("=")
            if not mark or name not in names:
                listed = ", ".join(one.name for one in dataclasses.fields(known))
                raise SetupFailed(f"--set {setting}: expected name=value with one of {listed}")
            given[name] = _read(name, text, getattr(known, name), above_zero=name in above_zero)
        return dataclasses.replace(known, **given)

    def fine_tuning(self, settings: Iterable[str] = ()) -> Configuration:
        """Return the settings of a run on corrections, some of them given as `name=value`.

        Raises SetupFailed naming what cannot be set, or when no correction teaches this model.
        """
        usual = getattr(self._module("configuration"), "FINE_TUNING", None)
        if usual is None:
            raise SetupFailed(f"{self.name} does not learn from corrections; train it with --data")
        return self.configuration([*(f"{name}={text}" for name, text in usual.items()), *settings])

    def lacking(self) -> str | None:
        """Return which packages are missing, with the remedy, or None."""
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if not missing:
            return None
        usual = "pip install 'smart-filter[train]'"
        remedies = dict.fromkeys(_REMEDIES.get(name, usual) for name in missing)
        return f"training {self.name} needs {', '.join(missing)}: {'; '.join(remedies)}"

    def _module(self, part: str) -> Any:  # noqa: ANN401 - each caller says which one it is
        return importlib.import_module(f"{models.__name__}.{self.name}.{part}")


def find() -> dict[str, Recipe]:
    """Return every model that can be trained, by name."""
    return {name: _recipe(name) for name in _names()}


def find_one(name: str) -> Recipe:
    """Return one of them.  Raises SetupFailed listing them."""
    every = find()
    if name not in every:
        raise SetupFailed(f"nothing trains {name}: it is none of {', '.join(every)}")
    return every[name]


def _names() -> list[str]:
    return sorted(found.name for found in pkgutil.iter_modules(models.__path__) if found.ispkg)


def _recipe(name: str) -> Recipe:
    package = importlib.import_module(f"{models.__name__}.{name}")
    return Recipe(name, package.TASK, package.MODEL, package.FILE, tuple(package.PACKAGES))


def _read(name: str, text: str, default: object, *, above_zero: bool) -> object:
    """Return a setting of the type that its default has.  Raises SetupFailed."""
    value = _parsed(name, text, default)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    most = 1 if name.endswith(_SHARES) else _MOST
    # A default below 0 says that such a value has a meaning of its own.
    lowest = min(0, default) if isinstance(default, int | float) else 0
    least = "above 0" if above_zero else f"{lowest} or more"
    if not lowest <= value < most or (above_zero and value == 0):
        raise SetupFailed(f"--set {name}={text}: expected a number {least} and below {most}")
    return value


def _parsed(name: str, text: str, default: object) -> object:
    try:
        match default:
            case bool():
                return {"true": True, "false": False}[text]
            case int():
                return int(text)
            case float():
                return float(text)
            case _:
                return text
    except (KeyError, ValueError):
        kind = "true or false" if isinstance(default, bool) else f"a number like {default}"
        raise SetupFailed(f"--set {name}={text}: expected {kind}") from None
