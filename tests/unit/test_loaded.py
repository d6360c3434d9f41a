"""Models in memory: loaded once, dropped when room is short; a broken one harms only itself."""

import types
from collections.abc import Collection, Iterable
from pathlib import Path

import pytest

from smart_filter_shared import parameters
from smart_filter_shared.cards import ModelCard, Offer, TaskName
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.threads import at_once
from smart_filter_workers import serving
from smart_filter_workers.catalogue import Catalogue, ModelFile
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.memory import Room
from smart_filter_workers.serving import Serving

SEGMENTATION, EYES, SMILE = TaskName.SEGMENTATION, TaskName.EYES, TaskName.SMILE
WEIGHTS = Path("nowhere")


def begun_with(
    offers: Iterable[Offer],
    loaded: LoadedModels,
    *,
    stages: Collection[StageName],
    models: Collection[str] = (),
    gpu_fault: str | None = None,
) -> Serving:
    setup = serving.plan(offers, stages=stages, models=models, gpu_fault=gpu_fault)
    assert setup.serving.capabilities == ()
    setup.load(loaded)
    return setup.serving


class Plenty(Room):
    """Room for any number of models."""

    def is_exceeded(self) -> bool:
        return False


def a_card(name: str, task: TaskName = SEGMENTATION, **more: object) -> ModelCard:
    return ModelCard(
        name=name,
        version="1",
        task=task,
        family=name,
        title=name,
        source="the tests",
        licence="Apache-2.0",
        data_terms="",
        **more,  # type: ignore[arg-type]  # whatever a test says of it
    )


class Files:
    """Model files in memory, and a count of how often each was loaded."""

    def __init__(
        self, *cards: ModelCard, broken: str = "", entries: tuple[str, ...] | None = None
    ) -> None:
        self.cards = cards
        self.entries = entries
        self.loads: list[str] = []
        self.broken = broken

    @property
    def offers(self) -> list[Offer]:
        return [Offer(card) for card in self.cards]

    def loaded(self, room: Room | None = None) -> LoadedModels:
        files = {(card.task, card.name): self._file(card) for card in self.cards}
        return LoadedModels(Catalogue(files), WEIGHTS, room=room or Plenty(0))

    def _file(self, card: ModelCard) -> ModelFile:
        def load(*given: object) -> object:
            self.loads.append(card.name)
            if card.name == self.broken:
                raise ImportError("libsomething.so: cannot open shared object file")
            _, *others = given
            return lambda *args, **options: (card.name, args, options, others)

        if self.entries is None:
            return types.SimpleNamespace(CARD=card, load=load)
        return types.SimpleNamespace(CARD=card, load=load, entries=lambda _: self.entries)


class Tight(Room):
    """Room for so many models; what is loaded is all that counts."""

    models: LoadedModels
    most = 0

    def is_exceeded(self) -> bool:
        return len(self.models.names()) > self.most

    def give_back(self) -> None:
        """Nothing is held back."""


def tight(files: Files, most: int) -> LoadedModels:
    class This(Tight):
        pass

    room = This(0)
    models = files.loaded(room)
    This.models, This.most = models, most
    return models


def test_model_is_loaded_once_however_many_threads_ask() -> None:
    files = Files(a_card("one"))
    models = files.loaded()

    at_once(4, lambda: models.model(SEGMENTATION, "one"))

    assert files.loads == ["one"]


def test_parameters_are_filled_in_with_defaults() -> None:
    threshold = parameters.number("threshold", 0.7, "", least=0, most=1)
    steps = parameters.integer("steps", 3, "", least=0, most=9)
    models = Files(a_card("one", parameters=(threshold, steps))).loaded()

    bound = models.of({SEGMENTATION: "one"}, {SEGMENTATION: {"steps": 5}})[SEGMENTATION]

    assert bound("batch")[2] == {"parameters": {"threshold": 0.7, "steps": 5}}  # type: ignore[index]


@pytest.mark.parametrize(
    ("there", "used"), [(("x", "y"), "x"), (("y", "usual"), "usual"), ((), "usual")]
)
def test_entry_that_nobody_chose_is_one_that_is_there(there: tuple[str, ...], used: str) -> None:
    entry = parameters.choice("entry", "usual", "Which file", choices=("usual", "x", "y"))
    models = Files(a_card("a", parameters=(entry,)), entries=there).loaded()

    model = models.of({SEGMENTATION: "a"}, {})[SEGMENTATION]

    assert model("photo") == ("a", ("photo",), {"parameters": {"entry": used}}, [])


def test_least_recently_used_model_is_dropped_when_room_is_short() -> None:
    files = Files(a_card("a"), a_card("b"), a_card("c"))
    models = tight(files, most=2)

    for name in ("a", "b", "a", "c"):
        models.model(SEGMENTATION, name)

    assert [name for _, name, _ in models.names()] == ["a", "c"]


def test_model_that_alone_exceeds_the_room_is_kept() -> None:
    models = tight(Files(a_card("huge")), most=0)

    models.model(SEGMENTATION, "huge")

    assert models.names() == [(SEGMENTATION, "huge", "")]


def test_combining_model_gets_the_others_of_its_task() -> None:
    models = Files(a_card("all", combines=True), a_card("one")).loaded()

    *_, (others,) = models.model(SEGMENTATION, "all")("batch")  # type: ignore[misc]

    assert others("one")("batch")[0] == "one"


def test_broken_model_fails_its_own_capability_and_nothing_else() -> None:
    files = Files(a_card("good", default=True), a_card("bad", SMILE, default=True), broken="bad")

    begun = begun_with(
        files.offers, files.loaded(), stages=[StageName.SEGMENTATION, StageName.SMILE]
    )

    assert begun.capabilities == ("segmentation.good",)
    assert "libsomething.so" in begun.failed[Capability("smile.bad")]


def test_broken_light_model_fails_every_capability_of_its_stage() -> None:
    files = Files(
        a_card("good", default=True),
        a_card("geometry", SMILE, default=True),
        a_card("bad", EYES, default=True),
        broken="bad",
    )

    begun = begun_with(
        files.offers, files.loaded(), stages=[StageName.SEGMENTATION, StageName.SMILE]
    )

    assert begun.capabilities == ("segmentation.good",)
    assert list(begun.failed) == ["smile.geometry"]


def test_only_default_models_are_loaded_before_they_are_asked_for() -> None:
    files = Files(a_card("default", default=True), a_card("other"))

    begun = begun_with(files.offers, files.loaded(), stages=[StageName.SEGMENTATION])

    assert files.loads == ["default"]
    assert begun.capabilities == ("segmentation.default", "segmentation.other")


def test_named_models_are_loaded_at_once_and_served_alone() -> None:
    files = Files(a_card("default", default=True), a_card("other"))

    begun = begun_with(
        files.offers, files.loaded(), stages=[StageName.SEGMENTATION], models=["other"]
    )

    assert files.loads == ["other"]
    assert begun.capabilities == ("segmentation.other",)


def test_stage_without_a_named_model_is_served_whole() -> None:
    files = Files(
        a_card("default", default=True), a_card("other"), a_card("smiles", SMILE, default=True)
    )

    begun = begun_with(
        files.offers,
        files.loaded(),
        stages=[StageName.SEGMENTATION, StageName.SMILE],
        models=["other"],
    )

    assert begun.capabilities == ("segmentation.other", "smile.smiles")


def test_member_that_does_not_load_is_what_fails_and_not_who_asked() -> None:
    files = Files(a_card("all", combines=True), a_card("bad"), broken="bad")
    models = files.loaded()
    *_, (others,) = models.model(SEGMENTATION, "all")("batch")  # type: ignore[misc]

    with pytest.raises(ModelNotLoaded) as caught:
        others("bad")

    assert caught.value.capability == "segmentation.bad"


def test_model_that_this_machine_lacks_is_no_failure_unless_it_was_named() -> None:
    files = Files(a_card("default", default=True))
    offers = [*files.offers, Offer(a_card("d2"), "d2 needs detectron2: install it")]

    begun = begun_with(offers, files.loaded(), stages=[StageName.SEGMENTATION])

    assert (begun.capabilities, begun.failed) == (("segmentation.default",), {})


def test_worker_that_can_serve_nothing_says_why() -> None:
    files = Files(a_card("bad", default=True), broken="bad")

    begun = begun_with(files.offers, files.loaded(), stages=[StageName.SEGMENTATION])

    assert begun.capabilities == ()
    assert "libsomething.so" in begun.failed[Capability("segmentation.bad")]


def test_without_the_demanded_gpu_models_that_can_use_one_are_not_served() -> None:
    files = Files(a_card("light", default=True), a_card("heavy", devices=("cuda", "cpu")))

    begun = begun_with(
        files.offers,
        files.loaded(),
        stages=[StageName.SEGMENTATION],
        models=["light", "heavy"],
        gpu_fault="the driver shows none",
    )

    assert files.loads == ["light"]
    assert begun.capabilities == ("segmentation.light",)
    assert begun.failed == {"segmentation.heavy": "it needs a GPU: the driver shows none"}


def test_unknown_name_is_refused_with_those_that_there_are() -> None:
    files = Files(a_card("default", default=True))

    with pytest.raises(SetupFailed, match="named nosuch; there are default"):
        begun_with(files.offers, files.loaded(), stages=[StageName.SEGMENTATION], models=["nosuch"])


def test_model_that_this_version_does_not_know_is_not_loaded() -> None:
    with pytest.raises(ModelNotLoaded, match="no such model"):
        Files(a_card("one")).loaded().model(SEGMENTATION, "gone")
