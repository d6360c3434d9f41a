"""Models in memory: loaded once, dropped when memory is short; a broken one harms only itself.

Models with research weights can be turned off: others replace them, and they never run.
"""

import dataclasses
import types
from collections.abc import Collection
from pathlib import Path

import pytest

from smart_filter_shared.catalog import emotions
from smart_filter_shared.catalog.model_card import Commercial, ModelCard, Offer
from smart_filter_shared.catalog.parameters import choice, text
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_tests import serving as serving_cards
from smart_filter_tests.threads import run_in_threads
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.models.catalog import RESEARCH_WEIGHTS_OFF, ModelCatalog, ModelFile
from smart_filter_workers.runtime import capabilities
from smart_filter_workers.runtime.capabilities import ServedCapabilities
from smart_filter_workers.system import resources
from smart_filter_workers.system.resources import MemoryLimit

SEGMENTATION, EYES, SMILE = TaskName.SEGMENTATION, TaskName.EYES, TaskName.SMILE
WEIGHTS = Path("nowhere")


class UnlimitedMemory(MemoryLimit):
    """Memory for any number of models."""

    def is_exceeded(self) -> bool:
        return False


def a_card(name: str, task: TaskName = SEGMENTATION, **more: object) -> ModelCard:
    return dataclasses.replace(serving_cards.a_card(task, name), **more)  # type: ignore[arg-type]


class Files:
    """Model files in memory, with a count of each file's loads."""

    def __init__(self, *cards: ModelCard, broken: str = "") -> None:
        self.cards = cards
        self.loads: list[str] = []
        self.broken = broken

    def loaded(self, memory_limit: "MemoryLimit | LimitedMemory | None" = None) -> ModelCache:
        files = {(card.task, card.name): self._file(card) for card in self.cards}
        return ModelCache(
            ModelCatalog(files), WEIGHTS, memory_limit=memory_limit or UnlimitedMemory(0)
        )

    def _file(self, card: ModelCard) -> ModelFile:
        def load(*given: object) -> object:
            self.loads.append(card.name)
            if card.name == self.broken:
                raise ImportError("libsomething.so: cannot open shared object file")
            _, *others = given
            return lambda *args, **options: (card.name, args, options, others)

        return types.SimpleNamespace(CARD=card, load=load)


class LimitedMemory:
    """Memory for a number of models; only loaded models count."""

    def __init__(self, files: Files, most: int) -> None:
        self.most = most
        self.models = files.loaded(self)

    def is_exceeded(self) -> bool:
        return len(self.models.names()) > self.most

    def give_back(self) -> None:
        """Do nothing: no memory is reserved."""


def begun_with(files: Files, models: Collection[str] = ()) -> ServedCapabilities:
    """Start a worker with the stages of all cards."""
    tasks = {card.task for card in files.cards}
    stages = [stage for stage in (StageName.SEGMENTATION, StageName.SMILE) if stage in tasks]
    offers = [Offer(card) for card in files.cards]
    setup = capabilities.plan_capabilities(offers, stages=stages, models=models, gpu_fault=None)
    assert setup.serving.capabilities == ()
    setup.load(files.loaded())
    return setup.serving


def test_model_is_loaded_once_however_many_threads_ask() -> None:
    files = Files(a_card("one"))
    models = files.loaded()

    run_in_threads(4, lambda: models.model(SEGMENTATION, "one"))

    assert files.loads == ["one"]


def test_least_recently_used_model_is_dropped_when_memory_is_short() -> None:
    models = LimitedMemory(Files(a_card("a"), a_card("b"), a_card("c")), most=2).models

    for name in ("a", "b", "a", "c"):
        models.model(SEGMENTATION, name)

    assert [name for _, name, _ in models.names()] == ["a", "c"]


def test_single_model_larger_than_the_limit_is_kept() -> None:
    models = LimitedMemory(Files(a_card("huge")), most=0).models

    models.model(SEGMENTATION, "huge")

    assert models.names() == [(SEGMENTATION, "huge", "")]


DEFAULT = a_card("default", default=True)


@pytest.mark.parametrize(
    ("cards", "served", "failed"),
    [
        ((DEFAULT, a_card("bad", SMILE, default=True)), ("segmentation.default",), ["smile.bad"]),
        (
            (DEFAULT, a_card("geometry", SMILE, default=True), a_card("bad", EYES, default=True)),
            ("segmentation.default",),
            ["smile.geometry"],
        ),
        ((a_card("bad", default=True),), (), ["segmentation.bad"]),
    ],
    ids=["own capability", "light model of its stage", "the only one"],
)
def test_broken_model_fails_its_own_capability_alone(
    cards: tuple[ModelCard, ...], served: tuple[str, ...], failed: list[str]
) -> None:
    begun = begun_with(Files(*cards, broken="bad"))

    assert begun.capabilities == served
    assert list(begun.failed) == failed
    assert "libsomething.so" in begun.failed[Capability(failed[0])]


def test_member_that_does_not_load_fails_without_its_ensemble() -> None:
    models = Files(a_card("all", combines=True), a_card("bad"), broken="bad").loaded()
    *_, (others,) = models.model(SEGMENTATION, "all")("batch")  # type: ignore[misc]

    with pytest.raises(ModelNotLoaded) as caught:
        others("bad")

    assert caught.value.capability == "segmentation.bad"


def test_unknown_name_is_refused() -> None:
    with pytest.raises(SetupFailed, match="named nosuch; there are default"):
        begun_with(Files(DEFAULT), models=["nosuch"])
    with pytest.raises(ModelNotLoaded, match="no such model"):
        Files(DEFAULT).loaded().model(SEGMENTATION, "gone")


LEARNED = a_card("learned", SMILE, default=True, commercial=Commercial.NO)
MOODY = a_card(
    "moody", SMILE, family="learned", default=True, emotions=True, commercial=Commercial.YES
)
MEASURED = a_card("measured", SMILE, family="learned", stands_in=True, commercial=Commercial.YES)
ANOTHER = a_card("other", SMILE, commercial=Commercial.YES)
ASKED = a_card("asked", SMILE, commercial=Commercial.ASK)
NOWHERE = Path("/nonexistent")


def a_file(card: ModelCard) -> types.SimpleNamespace:
    return types.SimpleNamespace(CARD=card, load=lambda _: card.name)


def a_catalog(*cards: ModelCard, research: bool = True, emotions: bool = True) -> ModelCatalog:
    files = {(card.task, card.name): a_file(card) for card in cards}
    return ModelCatalog(files, research=research, emotions=emotions)


def test_model_that_reads_emotions_gives_way_where_they_are_off() -> None:
    on, off = a_catalog(MOODY, MEASURED), a_catalog(MOODY, MEASURED, emotions=False)

    offers = {offer.card.name: (offer.fault, offer.withdrawn) for offer in off.offers(NOWHERE)}

    assert offers == {"moody": (emotions.OFF, True), "measured": (None, False)}
    assert [card.name for card in off.cards if card.default] == ["measured"]
    assert [card.name for card in on.cards if card.default] == ["moody"]
    assert [
        card.name for card in a_catalog(MOODY, MEASURED, research=False).cards if card.default
    ] == ["moody"]


def known(*more: ModelCard) -> ModelCatalog:
    return a_catalog(LEARNED, MEASURED, ANOTHER, ASKED, *more, research=False)


def test_disabled_model_is_withdrawn_with_the_reason() -> None:
    offers = {offer.card.name: offer for offer in known().offers(NOWHERE)}

    assert {name: (offer.fault, offer.withdrawn) for name, offer in offers.items()} == {
        "learned": (RESEARCH_WEIGHTS_OFF, True),
        "measured": (None, False),
        "other": (None, False),
        "asked": (RESEARCH_WEIGHTS_OFF, True),
    }
    assert known().card(SMILE, "measured", NOWHERE).default


def test_model_fetched_by_name_is_offered_only_where_it_fits() -> None:
    large = dataclasses.replace(a_card("large"), optional=True, speed={"peak_mb": 10.0**9})

    (offer,) = a_catalog(large).offers(NOWHERE)

    assert "large needs 1000000.0 GB of memory" in str(offer.fault)
    assert catalog.missing_memory(large, 1e15) is None
    assert catalog.missing_memory(dataclasses.replace(large, optional=False), 4e9) is None


def test_older_job_does_not_run_a_disabled_model() -> None:
    models = ModelCache(known(), NOWHERE, memory_limit=resources.get_limit(None))

    assert models.model(SMILE, "measured") == "measured"
    with pytest.raises(ModelNotLoaded, match=f"learned is {RESEARCH_WEIGHTS_OFF}") as caught:
        models.model(SMILE, "learned")
    # Its stand-in serves the same capability.
    assert (caught.value.leads, caught.value.capability) == (False, "smile.learned")


def test_pool_of_a_disabled_default_serves_its_stand_in() -> None:
    begun = capabilities.plan_capabilities(
        known().offers(NOWHERE), stages=[StageName.SMILE], models=["learned"]
    )

    assert begun.serving.wanted == ("smile.learned",)
    assert begun.serving.failed == {}
    assert [card.name for card, _ in begun.needed] == ["measured"]


def test_pool_of_a_disabled_model_without_stand_in_fails_with_the_setting() -> None:
    begun = capabilities.plan_capabilities(
        known().offers(NOWHERE), stages=[StageName.SMILE], models=["asked"]
    )

    assert begun.serving.failed == {"smile.asked": RESEARCH_WEIGHTS_OFF}


def test_parameters_of_other_models_name_no_disabled_one() -> None:
    joined = a_card(
        "joined",
        SMILE,
        commercial=Commercial.YES,
        parameters=(
            text("members", "learned,other", "Models", longest=80),
            choice("matte_model", "other", "Model", choices=("other", "learned")),
        ),
    )

    members, first = known(joined).card(SMILE, "joined", NOWHERE).parameters

    assert members.default == "measured,other"
    assert first.choices == ("other",)


@pytest.mark.parametrize(
    ("card", "why"),
    [
        (
            a_card("far", TaskName.COMPOSITE, stands_in=True),
            "composite: default and stand-in are of different families: far, layers",
        ),
        (a_card("second", SMILE, default=True), r"smile needs exactly one default model, has \["),
        (
            a_card("too", SMILE, family="expression", stands_in=True, commercial=Commercial.YES),
            r"smile needs exactly one default model without research weights, has \[",
        ),
    ],
)
def test_second_default_is_refused_in_either_order(card: ModelCard, why: str) -> None:
    module = types.ModuleType("extra")
    vars(module).update(vars(a_file(card)))

    with pytest.raises(SetupFailed, match=why):
        catalog.discover_models([module])
