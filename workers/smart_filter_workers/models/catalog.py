"""List the models, which are files, and tell which of them this machine can run.

A model is a file `stages/<stage>/models/<name>.py` with `CARD` and `load`; adding the file
adds the model. No module registers itself: `discover_models` looks for the files.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol, cast

from smart_filter_shared import container_memory
from smart_filter_shared.catalog import emotions as emotion_catalog
from smart_filter_shared.catalog.model_card import (
    ENTRY_PARAMETER,
    MODEL_NAME_PARAMETERS,
    Commercial,
    ModelCard,
    Offer,
    WeightsFile,
)
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import PIPELINE, StageName, TaskName
from smart_filter_workers.system.resources import GPU
from smart_filter_workers.weights import allowlist, files, packaged

# Default for the license, or the terms, of an admitted file. Source: SPDX 2.3, section 7.
NO_ASSERTION: Final = "NOASSERTION"
# The reason why a model, or a file of weights, without leave for commercial use is not offered.
RESEARCH_WEIGHTS_OFF: Final = "turned off by SMART_FILTER_RESEARCH_WEIGHTS"
_PROTOCOL_MODULE = "base"  # the module of each models folder that holds its Protocol


class ModelFile(Protocol):
    """The interface of a model's module.

    load: takes the weights folder and, when the card says that the model combines others, a
        function that returns another model of its task by name. It returns the callable
        that the task's own Protocol describes; when the card has parameters, that callable
        takes them as the keyword `parameters`.

    A model whose parameter `entry` chooses among files of weights also exposes
    `entries(weights_folder)`, which returns the names of the files that exist.
    """

    CARD: ModelCard
    load: Callable[..., object]


@dataclass(frozen=True)
class ModelCatalog:
    """The models that a process knows, by task and name.

    extra: names of the modules that were given besides those in the stages' folders.
    research, emotions: whether models that are not for commercial use, and those that read
        emotions, run here; if not, others are the defaults.
    """

    files: Mapping[tuple[TaskName, str], ModelFile]
    extra: tuple[str, ...] = ()
    research: bool = True
    emotions: bool = True

    @cached_property
    def cards(self) -> list[ModelCard]:
        """Every card, with the `default` that applies here."""
        return [self._with_effective_default(file.CARD) for file in self.files.values()]

    def offers(self, weights_folder: Path) -> list[Offer]:
        """Return every card; if this machine cannot run a model, with the reason.

        Checks packages and files but loads nothing: a model may still fail to load.
        """
        return [
            Offer(card, refusal, withdrawn=True)
            if (refusal := self.refusal(card)) is not None
            else self._offer(file, card, weights_folder)
            for file, card in zip(self.files.values(), self.cards, strict=True)
        ]

    def refusal(self, card: ModelCard) -> str | None:
        """Return why a model must not run here, whatever is installed, or None.

        A model that chooses among files of weights may run; each file is judged by its own terms.
        """
        if card.research and not self.research and card.parameter(ENTRY_PARAMETER) is None:
            return RESEARCH_WEIGHTS_OFF
        return emotion_catalog.OFF if card.emotions and not self.emotions else None

    @property
    def refused_files(self) -> frozenset[WeightsFile]:
        """The files of weights that only models read that must not run here."""
        allowed = {name for card in self.cards if not self.refusal(card) for name in card.weights}
        return frozenset(name for card in self.cards for name in card.weights) - allowed

    def ensure_may_run(self, card: ModelCard) -> None:
        """Raise SetupFailed when a model must not run here."""
        refusal = self.refusal(card)
        if refusal is not None:
            raise SetupFailed(f"{card.name} is {refusal}")

    def ensure_entry_may_run(
        self, task: TaskName, name: str, given: Parameters, weights_folder: Path
    ) -> None:
        """Raise SetupFailed when a model must not run with the file of weights that is given."""
        entry = given.get(ENTRY_PARAMETER)
        entries = self._entries(self.files[task, name], weights_folder)
        if not self.research and entry is not None and entry not in (entries or ()):
            raise SetupFailed(f"{name}/{entry} is {RESEARCH_WEIGHTS_OFF}")

    def card(self, task: TaskName, name: str, weights_folder: Path) -> ModelCard:
        """Return a model's card with the entries that exist here, one of them the default."""
        file = self.files[task, name]
        card = self._with_effective_default(file.CARD)
        return _restrict_choices(card, self._entries(file, weights_folder) or (), weights_folder)

    def digest(
        self, task: TaskName, name: str, given: Parameters, weights_folder: Path
    ) -> str | None:
        """Return the digest of a model's own weights; None if it has none, or is unknown.

        For a model that chooses among files it is the digest of the chosen file.
        """
        file = self.files.get((task, name))
        if file is None:
            return None
        if file.CARD.parameter(ENTRY_PARAMETER) is None:
            return file.CARD.digest
        card = self.card(task, name, weights_folder)
        entry = card.completed(given)[ENTRY_PARAMETER]
        there = {
            weights.full_name: weights.sha256
            for weights in allowlist.read_allowlist(weights_folder)
        }
        return there.get(f"{name}/{entry}", card.digest)

    @cached_property
    def batch_sizes(self) -> Mapping[Capability, int]:
        """How many photos one forward pass of a capability takes at most."""
        cards = (file.CARD for file in self.files.values())
        largest_first = sorted(cards, key=lambda card: -card.batch_size)
        return {card.capability: card.batch_size for card in largest_first}

    @property
    def on_gpu(self) -> frozenset[Capability]:
        """The capabilities that use a GPU if there is one."""
        return frozenset(card.capability for card in self.cards if GPU in card.devices)

    def _with_effective_default(self, card: ModelCard) -> ModelCard:
        cards = [file.CARD for file in self.files.values()]
        choice = _choose_defaults(cards, card.task, self.refusal)
        effective = replace(card, default=any(chosen is card for chosen in choice))
        return effective if self.research else self._without_refused_names(effective)

    def _without_refused_names(self, card: ModelCard) -> ModelCard:
        """Return a card whose parameters name no model that is turned off.

        In defaults the model that stands in for the task's default takes its place.
        """
        of_task = [file.CARD for file in self.files.values() if file.CARD.task == card.task]
        refused = {model.name for model in of_task if self.refusal(model) is not None}
        stand_in = next((model.name for model in of_task if model.stands_in), "")

        def replaced(names: str) -> str:
            return ",".join(stand_in if name in refused else name for name in names.split(","))

        return replace(
            card,
            parameters=tuple(
                replace(
                    parameter,
                    default=replaced(str(parameter.default)),
                    choices=tuple(name for name in parameter.choices if name not in refused),
                )
                if parameter.name in MODEL_NAME_PARAMETERS
                else parameter
                for parameter in card.parameters
            ),
        )

    def _offer(self, file: ModelFile, card: ModelCard, weights_folder: Path) -> Offer:
        lacking = missing_packages(card) or missing_memory(card, container_memory.read_available())
        if lacking is not None:
            return Offer(card, lacking)
        absent = [
            weights.name
            for weights in card.weights
            if not (weights_folder / weights.name).is_file()
        ]
        if absent:
            return Offer(card, f"weights file {absent[0]} is missing: {_remedy(card, absent[0])}")
        names = self._entries(file, weights_folder)
        if names == ():
            if _entries(file, weights_folder):
                return Offer(card, RESEARCH_WEIGHTS_OFF, withdrawn=True)
            remedy = f"run `smart-filter models pull {card.name}/ENTRY` (docs/models.md lists them)"
            return Offer(card, f"{card.name} has no weights: {remedy}")
        return Offer(_restrict_choices(card, names or (), weights_folder))

    def _entries(self, file: ModelFile, weights_folder: Path) -> tuple[str, ...] | None:
        """Return the entries of a model that may run here; None if it has no such choice."""
        names = _entries(file, weights_folder)
        if names is None or self.research:
            return names
        listed = {entry.full_name: entry for entry in allowlist.read_allowlist(weights_folder)}
        return tuple(
            name
            for name in names
            if (entry := listed.get(f"{file.CARD.name}/{name}")) is not None
            and entry.commercial == Commercial.YES
        )


def discover_models(
    extra: Iterable[ModuleType] = (), *, research: bool = True, emotions: bool = True
) -> ModelCatalog:
    """Return every model of the stages' `models` folders, and of `extra` modules.

    research, emotions: whether models with research weights, and those that read emotions, may run
    (settings.EngineSettings).
    Raises SetupFailed with the name when a file is not a valid model, when two models of a task
    share a name, or when a task does not have exactly one default, with and without research
    weights or emotions.
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
    names = tuple(module.__name__ for module in extra)
    for allowed, where in (
        (ModelCatalog(files), ""),
        (ModelCatalog(files, research=False), " without research weights"),
        (ModelCatalog(files, emotions=False), " without emotions"),
    ):
        _ensure_defaults(allowed, where)
    return ModelCatalog(files, names, research, emotions)


def missing_packages(card: ModelCard) -> str | None:
    """Return a model's missing packages with the remedy, or None."""
    missing = [name for name in card.requires if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    what = f"smart-filter[{card.extra}]" if card.extra else "it as docs/detectron2.md says"
    return f"{card.name} needs {', '.join(missing)}: install {what} where its workers run"


def missing_memory(card: ModelCard, available: float) -> str | None:
    """Return why a model that is fetched by name would not fit into memory, or None.

    available: bytes.  The kernel would kill the worker at the first photo.
    """
    needed = card.speed.get("peak_mb", 0.0) * 1e6 if card.optional else 0.0
    if needed <= available:
        return None
    return (
        f"{card.name} needs {needed / 1e9:.1f} GB of memory, this machine has {available / 1e9:.1f}"
    )


def _entries(file: ModelFile, weights_folder: Path) -> tuple[str, ...] | None:
    """Return the values of a model's parameter `entry` here; None if it has no such choice."""
    entries: Callable[[Path], Sequence[str]] | None = getattr(file, "entries", None)
    return None if entries is None else tuple(entries(weights_folder))


def _remedy(card: ModelCard, absent: str) -> str:
    """Return how to get a file: from the weights packages, or by the name of its model."""
    packaged_names = {file.name for file in packaged.list_files()}
    if absent in packaged_names:
        return files.REMEDY
    return f"run `smart-filter models pull {card.name}`"


def _restrict_choices(card: ModelCard, entries: tuple[str, ...], weights_folder: Path) -> ModelCard:
    """Return the card with the existing entries as its choices, and with their terms.

    Without entries the card is returned unchanged.
    """
    if not entries:
        return card
    listed = {file.full_name: file for file in allowlist.read_allowlist(weights_folder)}
    files = {name: listed.get(f"{card.name}/{name}") for name in entries}
    licenses = {
        name: file.license or NO_ASSERTION for name, file in files.items() if file is not None
    }
    data_terms = {file.data_terms or NO_ASSERTION for file in files.values() if file is not None}
    each = ", ".join(f"{name} ({license})" for name, license in licenses.items())
    parameters = tuple(
        replace(
            parameter,
            title=f"{parameter.title}: {each}" if each else parameter.title,
            choices=entries,
            default=parameter.default if parameter.default in entries else entries[0],
        )
        if parameter.name == ENTRY_PARAMETER
        else parameter
        for parameter in card.parameters
    )
    return replace(
        card,
        parameters=parameters,
        license=_join_licenses(set(licenses.values())) or card.license,
        commercial=_least({file.commercial for file in files.values() if file is not None})
        or card.commercial,
        data_terms="; ".join(sorted(data_terms)) or card.data_terms,
    )


def _least(allowed: Collection[Commercial]) -> Commercial | None:
    """Return the strictest of some values; None of none."""
    strictest_first = (Commercial.NO, Commercial.ASK, Commercial.YES)
    return next((commercial for commercial in strictest_first if commercial in allowed), None)


def _join_licenses(licenses: Collection[str]) -> str:
    """Return the SPDX expression for files under all of several licenses."""
    if len(licenses) == 1:
        return next(iter(licenses))
    return " AND ".join(
        f"({license_})" if " " in license_ else license_ for license_ in sorted(licenses)
    )


def _model_modules(stage: StageName) -> list[ModuleType]:
    package = importlib.import_module(f"smart_filter_workers.stages.{stage}.models")
    return [
        _module(f"{package.__name__}.{module.name}")
        for module in pkgutil.iter_modules(package.__path__)
        if module.name != _PROTOCOL_MODULE
    ]


def _module(name: str) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except Exception as error:
        # A new file may raise anything.
        why = " ".join(str(error).split())
        raise SetupFailed(f"model file {name}: {type(error).__name__}: {why}") from error
    if not isinstance(getattr(module, "CARD", None), ModelCard) or not hasattr(module, "load"):
        raise SetupFailed(f"model file {name}: it needs a CARD, a ModelCard, and a function load")
    card = module.CARD
    if card.learns and card.learns not in {file.name for file in card.weights}:
        raise SetupFailed(
            f"model file {name}: `learns` is {card.learns}, which is not among its weights"
        )
    return module


def _ensure_defaults(discovered: ModelCatalog, where: str) -> None:
    """Raise SetupFailed unless each task has one default, in the family of its stand-in."""
    for task in TaskName:
        names = [card.name for card in discovered.cards if card.task == task and card.default]
        if len(names) != 1:
            raise SetupFailed(f"{task} needs exactly one default model{where}, has {names}")
        cards = [file.CARD for file in discovered.files.values() if file.CARD.task == task]
        families = {card.family for card in cards if card.default or card.stands_in}
        if len(families) > 1:
            listed = ", ".join(sorted(families))
            raise SetupFailed(f"{task}: default and stand-in are of different families: {listed}")


def _choose_defaults(
    cards: Iterable[ModelCard], task: TaskName, refusal: Callable[[ModelCard], str | None]
) -> list[ModelCard]:
    """Return the default models of a task, or their stand-ins where these are turned off."""
    of_task = [card for card in cards if card.task == task]
    able = [card for card in of_task if card.default and refusal(card) is None]
    stand_ins = [card for card in of_task if card.stands_in and refusal(card) is None]
    return able or stand_ins
