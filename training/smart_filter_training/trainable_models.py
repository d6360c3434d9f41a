"""The models that can be trained, and the interface of a model's code."""

import dataclasses
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.extras import install_hint
from smart_filter_training.card import TrainingCard
from smart_filter_training.evaluation.confidence_intervals import Figure
from smart_filter_training.models import eyes, orientation
from smart_filter_training.models.deeplab import train as deeplab
from smart_filter_training.models.detectron2 import train as detectron2
from smart_filter_training.models.expression import train as expression
from smart_filter_training.models.refiner import train as refiner
from smart_filter_training.models.unet import train as unet
from smart_filter_training.onnx_export import Exported
from smart_filter_training.preflight import Finding
from smart_filter_training.run_record import RunRecord

# Opaque here: only a model's own code looks into them.
Data = Any
Network = Any
RunSettings = Any  # a frozen dataclass of numbers and texts, with defaults

# How to install a missing package; the extra `train` installs all others.
_REMEDIES: Final = {
    "torch": install_hint("torch"),
    "detectron2": "docs/detectron2.md says how to build it",
}
# Settings that must not be 0.
_LENGTHS: Final = frozenset({"epochs", "iterations"})
_ABOVE_ZERO: Final = _LENGTHS | {
    *("batch_size", "learning_rate", "held_out_share", "validation_share"),
}
# Settings with these endings are below 1; others are below the bound of NumPy's and Keras's seeds.
_SHARES: Final = ("_share", "dropout")
_MAX: Final = 2**31


class ModelCode(Protocol):
    """The interface of a module in `models`, or of an object in it.

    The properties are constants and a class there.
    """

    @property
    def CARD(self) -> TrainingCard:  # noqa: N802 - a constant
        """What the training makes."""
        ...

    @property
    def Configuration(self) -> type[Any]:  # noqa: N802 - a class
        """The settings of a run."""
        ...

    def read_folder(self, folder: Path, configuration: RunSettings, /) -> Data:
        """Read a folder; the result has a `digest`.  Raises FolderUnreadable."""
        ...

    def check_data(self, folder: Path, configuration: RunSettings, /) -> Iterator[Finding]:
        """Find every problem of a folder."""
        ...

    def train(self, data: Data, configuration: RunSettings, record: RunRecord, /) -> Network:
        """Train a network, or resume the record's run."""
        ...

    def compute_figures(self, network: Network, data: Data, /) -> Mapping[str, Figure]:
        """Return the figures of a network on the validation examples."""
        ...

    def export(self, network: Network, data: Data, folder: Path, /) -> Exported:
        """Write the file of weights that the product runs.  Raises SetupFailed."""
        ...

    def measure(self, file: Path, folder: Path, /) -> Mapping[str, Figure]:
        """Return the figures of an exported file on a folder with known answers."""
        ...


_MODELS: Final[Mapping[str, ModelCode]] = {
    "deeplab": deeplab,
    "detectron2_faces": detectron2.FACES,
    "detectron2_persons": detectron2.PERSONS,
    "expression": expression,
    "eyes": eyes,
    "orientation": orientation,
    "refiner": refiner,
    "unet": unet,
}


@dataclass(frozen=True, slots=True)
class TrainableModel:
    """A model that can be trained: its name in `smart-filter train`, and its code."""

    name: str
    code: ModelCode

    def configure(self, settings: Iterable[str] = ()) -> RunSettings:
        """Return the settings of a run; `settings` are `name=value` and replace defaults.

        Raises SetupFailed naming the setting that is wrong.
        """
        defaults = self.code.Configuration()
        names = [field.name for field in dataclasses.fields(defaults)]
        # Code with both lengths checks them together.
        above_zero = _ABOVE_ZERO - _LENGTHS if set(names) >= _LENGTHS else _ABOVE_ZERO
        changes: dict[str, object] = {}
        for setting in settings:
            name, mark, text = setting.partition("=")
            if not mark or name not in names:
                raise SetupFailed(
                    f"--set {setting}: expected name=value with one of {', '.join(names)}"
                )
            default = getattr(defaults, name)
            changes[name] = _read_value(name, text, default, above_zero=name in above_zero)
        return dataclasses.replace(defaults, **changes)

    def configure_fine_tuning(self, settings: Iterable[str] = ()) -> RunSettings:
        """Return the settings of a run on corrections; `settings` are `name=value`.

        Raises SetupFailed naming the wrong setting, or when corrections do not train this model.
        """
        usual = self.code.CARD.fine_tuning
        if usual is None:
            raise SetupFailed(f"{self.name} does not learn from corrections; train it with --data")
        return self.configure([*(f"{name}={text}" for name, text in usual.items()), *settings])

    def missing_packages(self) -> str | None:
        """Return which packages are missing, with the remedy, or None."""
        missing = [
            name for name in self.code.CARD.packages if importlib.util.find_spec(name) is None
        ]
        if not missing:
            return None
        usual = "pip install './training[train]'"
        remedies = dict.fromkeys(_REMEDIES.get(name, usual) for name in missing)
        return f"training {self.name} needs {', '.join(missing)}: {'; '.join(remedies)}"


def list_models() -> list[TrainableModel]:
    """Return every model that can be trained, by name."""
    return [TrainableModel(name, code) for name, code in _MODELS.items()]


def find_model(name: str) -> TrainableModel:
    """Return a model by its name.  Raises SetupFailed listing them."""
    if name not in _MODELS:
        raise SetupFailed(f"no training for {name}: expected one of {', '.join(_MODELS)}")
    return TrainableModel(name, _MODELS[name])


def _read_value(name: str, text: str, default: object, *, above_zero: bool) -> object:
    """Return a setting in the type of its default.  Raises SetupFailed."""
    value = _parse(name, text, default)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    most = 1 if name.endswith(_SHARES) else _MAX
    # A default below 0 is a special value.
    lowest = min(0, default) if isinstance(default, int | float) else 0
    least = "above 0" if above_zero else f"{lowest} or more"
    if not lowest <= value < most or (above_zero and value == 0):
        raise SetupFailed(f"--set {name}={text}: expected a number {least} and below {most}")
    return value


def _parse(name: str, text: str, default: object) -> object:
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
