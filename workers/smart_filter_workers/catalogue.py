"""Which models there are, found as files, and which of them this machine can run.

A model is a file `stages/<stage>/models/<name>.py` with `CARD` and `load`; adding the file
adds the model. Nothing registers itself: `find` looks.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol, cast

from smart_filter_shared.cards import ENTRY, ModelCard, Offer, TaskName
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.ids import Capability
from smart_filter_shared.parameters import Parameters
from smart_filter_shared.pipeline import PIPELINE, StageName
from smart_filter_workers import admitted, weights
from smart_filter_workers.devices import GPU

# The licence, or the terms, of a file that was let in without any. Source: SPDX 2.3, section 7.
UNTOLD: Final = "NOASSERTION"
# Why a model with research weights is not offered.
TURNED_OFF: Final = "turned off by SMART_FILTER_RESEARCH_WEIGHTS"
_INTERFACE = "base"  # the module of each models folder that holds its Protocol


class ModelFile(Protocol):
    """What a model's module exposes.

    load: is given the weights folder and, when the card says that the model combines others,
        a function that returns another model of its task by name. It returns the callable
        that the task's own Protocol describes; when the card has parameters, that callable
        takes them as the keyword `parameters`.

    A model whose parameter `entry` chooses among files of weights also exposes
    `entries(weights_folder)`, which returns the names of those that are there.
    """

    CARD: ModelCard
    load: Callable[..., object]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models that a process knows, by task and name.

    extra: names of the modules that were given beside those of the stages' folders.
    research: whether models with research weights run here; else others are the defaults.
    """

    files: Mapping[tuple[TaskName, str], ModelFile]
    extra: tuple[str, ...] = ()
    research: bool = True

    @property
    def cards(self) -> list[ModelCard]:
        """Every card; `default` as it holds here."""
        return [self._as_it_holds(file.CARD) for file in self.files.values()]

    def offers(self, weights_folder: Path) -> list[Offer]:
        """Return every card, with the reason why this machine cannot run it when it cannot.

        Looks for packages and files and loads nothing: a model may still fail to load.
        """
        return [
            Offer(card, refusal, withdrawn=True)
            if (refusal := self.refusal(card)) is not None
            else _offer(file, card, weights_folder)
            for file, card in zip(self.files.values(), self.cards, strict=True)
        ]

    def refusal(self, card: ModelCard) -> str | None:
        """Return why a model must not run here whatever lies here, or None."""
        return TURNED_OFF if card.research and not self.research else None

    def ensure_may_run(self, card: ModelCard) -> None:
        """Raise SetupFailed when a model must not run here."""
        refusal = self.refusal(card)
        if refusal is not None:
            raise SetupFailed(f"{card.name} is {refusal}")

    def card(self, task: TaskName, name: str, weights_folder: Path) -> ModelCard:
        """Return a model's card with the entries that are there, one of them the default."""
        file = self.files[task, name]
        card = self._as_it_holds(file.CARD)
        return _choosing(card, _entries(file, weights_folder) or (), weights_folder)

    def digest(
        self, task: TaskName, name: str, given: Parameters, weights_folder: Path
    ) -> str | None:
        """Return what a model's own weights are known by; None for one without, or unknown.

        Of a model that chooses among files it is the digest of the chosen one.
        """
        file = self.files.get((task, name))
        if file is None:
            return None
        card = self.card(task, name, weights_folder)
        if card.parameter(ENTRY) is None:
            return card.digest
        entry = card.completed(given)[ENTRY]
        there = {admitted.called(one): one.sha256 for one in admitted.read(weights_folder)}
        return there.get(f"{name}/{entry}", card.digest)

    def batch_size(self, capability: Capability) -> int:
        """Return the most photos that one forward pass of a capability takes."""
        cards = (file.CARD for file in self.files.values())
        return min(card.batch_size for card in cards if card.capability == capability)

    @property
    def on_gpu(self) -> frozenset[Capability]:
        """What runs on a GPU where there is one."""
        return frozenset(card.capability for card in self.cards if GPU in card.devices)

    def _as_it_holds(self, card: ModelCard) -> ModelCard:
        return replace(card, default=_is_default(card, research=self.research))


def find(extra: Iterable[ModuleType] = (), *, research: bool = True) -> Catalogue:
    """Return every model of the stages' `models` folders, and of `extra` modules.

    research: whether models with research weights may run (settings.EngineSettings).
    Raises SetupFailed, naming it, when a model's file is no such file, when two models of a
    task share a name, or a task has not exactly one default, with such models and without.
    """
    modules = [module for stage in PIPELINE for module in _model_modules(stage.name)]
    extra = tuple(extra)
    files: dict[tuple[TaskName, str], ModelFile] = {}
    for module in [*modules, *extra]:
        file = cast("ModelFile", module)
        place = (file.CARD.task, file.CARD.name)
        if place in files:
            raise SetupFailed(f"two models of {place[0]} are named {place[1]}; rename one")
        files[place] = file
    _ensure_defaults([file.CARD for file in files.values()])
    return Catalogue(files, tuple(module.__name__ for module in extra), research)


def lacking_packages(card: ModelCard) -> str | None:
    """Return which packages a model needs that are not installed, with the remedy, or None."""
    missing = [name for name in card.requires if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    remedy = f"install smart-filter[{card.extra}] where its workers run"
    return f"{card.name} needs {', '.join(missing)}: {remedy}"


def _offer(file: ModelFile, card: ModelCard, weights_folder: Path) -> Offer:
    lacking = lacking_packages(card)
    if lacking is not None:
        return Offer(card, lacking)
    absent = [one.name for one in card.weights if not (weights_folder / one.name).is_file()]
    if absent:
        return Offer(card, f"weights file {absent[0]} is missing: {_remedy(card, absent[0])}")
    names = _entries(file, weights_folder)
    if names == ():
        remedy = f"run `smart-filter models pull {card.name}/ENTRY` (docs/models.md lists them)"
        return Offer(card, f"{card.name} has no weights: {remedy}")
    return Offer(_choosing(card, names or (), weights_folder))


def _entries(file: ModelFile, weights_folder: Path) -> tuple[str, ...] | None:
    """Return what a model's parameter `entry` may be here; None when it has nothing to choose."""
    entries: Callable[[Path], Sequence[str]] | None = getattr(file, "entries", None)
    return None if entries is None else tuple(entries(weights_folder))


def _remedy(card: ModelCard, absent: str) -> str:
    """Return how to come by a file: those of packages come together, others by their model."""
    brought = {file.name for file in weights.brought()}
    return weights.REMEDY if absent in brought else f"run `smart-filter models pull {card.name}`"


def _choosing(card: ModelCard, entries: tuple[str, ...], weights_folder: Path) -> ModelCard:
    """Return the card with only those entries to choose that are there, under their terms.

    It is as it was when there are none.
    """
    if not entries:
        return card
    listed = {admitted.called(one): one for one in admitted.read(weights_folder)}
    files = {name: listed.get(f"{card.name}/{name}") for name in entries}
    licences = {name: file.licence or UNTOLD for name, file in files.items() if file is not None}
    data_terms = {file.data_terms or UNTOLD for file in files.values() if file is not None}
    each = ", ".join(f"{name} ({licence})" for name, licence in licences.items())
    parameters = tuple(
        replace(
            one,
            title=f"{one.title}: {each}" if each else one.title,
            choices=entries,
            default=one.default if one.default in entries else entries[0],
        )
        if one.name == ENTRY
        else one
        for one in card.parameters
    )
    return replace(
        card,
        parameters=parameters,
        licence=_all_of(set(licences.values())) or card.licence,
        data_terms="; ".join(sorted(data_terms)) or card.data_terms,
    )


def _all_of(licences: Collection[str]) -> str:
    """Return the SPDX expression of what is under all of several licences."""
    if len(licences) == 1:
        return next(iter(licences))
    return " AND ".join(f"({one})" if " " in one else one for one in sorted(licences))


def _model_modules(stage: StageName) -> list[ModuleType]:
    package = importlib.import_module(f"smart_filter_workers.stages.{stage}.models")
    return [
        _module(f"{package.__name__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
        if found.name != _INTERFACE
    ]


def _module(name: str) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except Exception as error:
        # Somebody's new file: anything may be wrong with it.
        why = " ".join(str(error).split())
        raise SetupFailed(f"model file {name}: {type(error).__name__}: {why}") from error
    if not isinstance(getattr(module, "CARD", None), ModelCard) or not hasattr(module, "load"):
        raise SetupFailed(f"model file {name}: it needs a CARD, a ModelCard, and a function load")
    card = module.CARD
    if card.learns and card.learns not in {file.name for file in card.weights}:
        raise SetupFailed(f"model file {name}: {card.learns}, which it learns, is none of weights")
    return module


def _ensure_defaults(cards: Collection[ModelCard]) -> None:
    """Raise SetupFailed unless each task has one default whatever may run."""
    for task in TaskName:
        own = [card for card in cards if card.task == task]
        for research, where in ((True, ""), (False, " without research weights")):
            names = [card.name for card in own if _is_default(card, research=research)]
            if len(names) != 1:
                raise SetupFailed(f"{task} needs exactly one default model{where}, has {names}")


def _is_default(card: ModelCard, *, research: bool) -> bool:
    if research:
        return card.default
    return not card.research and (card.default or card.stands_in)
