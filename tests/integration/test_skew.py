"""Workers and API of different versions: refused capability by capability, and only so long."""

import dataclasses

import pytest

from smart_filter_shared import parameters
from smart_filter_shared.cards import ModelCard, Offer, TaskName, WeightsFile
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import models, skew, transitions
from smart_filter_shared.jobs.leases import Lease
from smart_filter_tests.bench import Bench
from smart_filter_tests.serving import Api, Clock, a_card, a_photo
from smart_filter_workers.serving import Serving

FACE, SMILE, EYES = TaskName.FACE, TaskName.SMILE, TaskName.EYES
PREPARE = a_card(TaskName.PREPARE)
NEXT = dataclasses.replace(PREPARE, version="2")
LATER_RELEASE = (999, 0, 0)


def publish(bench: Bench, *cards: ModelCard, release: tuple[int, ...] | None = None) -> None:
    bench.do(models.publish, [Offer(card) for card in cards], release=release)


def compared(bench: Bench, *cards: ModelCard) -> Serving:
    """Return what a worker with these cards serves once it has looked."""
    serving = Serving([card.capability for card in cards if card.leads], {}, cards)
    serving.open()
    bench.do(serving.compare)
    return serving


def claim(bench: Bench, *cards: ModelCard) -> list[Lease]:
    """Claim as a worker with these cards does."""
    return bench.do(
        transitions.claim,
        Capability("prepare.bench"),
        worker=bench.worker,
        batch_size=4,
        lease_seconds=30,
        max_attempts=3,
        by=skew.own_cards(Capability("prepare.bench"), cards),
    )


def test_worker_that_runs_for_a_month_offers_its_models_still(bench: Bench) -> None:
    publish(bench, PREPARE)
    now = [0.0]
    serving = Serving([PREPARE.capability], {}, [PREPARE], offered=[PREPARE], clock=lambda: now[0])
    serving.open()

    age(bench, days=40)
    before = is_offered(bench, serving)
    now[0] = 25 * 3600.0
    after = is_offered(bench, serving)

    assert (before, after) == (False, True)


def test_models_that_cannot_be_loaded_or_are_of_others_are_not_offered_again(bench: Bench) -> None:
    publish(bench, NEXT)
    now = [0.0]
    failed = Serving([NEXT.capability], {}, [NEXT], offered=[NEXT], clock=lambda: now[0])
    failed.fail(NEXT.capability, "weights file has a wrong SHA-256")
    other = Serving([PREPARE.capability], {}, [PREPARE], offered=[PREPARE], clock=lambda: now[0])
    age(bench, days=40)
    now[0] = 25 * 3600.0
    for serving in (failed, other):
        serving.open()

    assert [is_offered(bench, serving) for serving in (failed, other)] == [False, False]


def age(bench: Bench, *, days: int) -> None:
    bench.execute(
        "UPDATE models SET offered_at = offered_at - make_interval(days => :days)", days=days
    )


def is_offered(bench: Bench, serving: Serving) -> bool:
    """Let a worker beat; return whether the model is offered then."""
    with bench.transaction() as connection:
        serving.renew(connection)
        (known,) = [
            one for one in models.published(connection) if one.card.task == TaskName.PREPARE
        ]
    return known.offered


@pytest.mark.parametrize(
    ("change", "claimed"),
    [
        # By these a picture is another one.
        ({"version": "2"}, 0),
        ({"parameters": (parameters.number("least", 0.5, "Least", least=0, most=1),)}, 0),
        ({"weights": (WeightsFile("one.onnx", "0" * 64),)}, 0),
        ({"combines": True}, 0),
        # By these none is.
        ({"title": "Everything"}, 1),
        ({"quality": {"iou": 0.9}}, 1),
        ({"licence": "MIT"}, 1),
        ({"default": False}, 1),
        ({"devices": ("cpu", "cuda")}, 1),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_worker_claims_what_it_makes_the_same_pictures_of(
    bench: Bench, change: dict[str, object], claimed: int
) -> None:
    published = dataclasses.replace(PREPARE, **change)  # type: ignore[arg-type]  # as named
    publish(bench, published)
    bench.submit()

    assert len(claim(bench, PREPARE)) == claimed
    assert len(claim(bench, published)) == 1 - claimed


def test_entries_of_another_machine_do_not_prevent_a_claim(bench: Bench) -> None:
    def entry(*names: str) -> ModelCard:
        chosen = parameters.choice("entry", names[0], "Which", choices=names)
        return dataclasses.replace(PREPARE, parameters=(chosen,))

    publish(bench, entry("one", "two"))
    bench.submit()

    assert len(claim(bench, entry("two"))) == 1


def test_skew_of_one_capability_leaves_the_others_served(bench: Bench) -> None:
    publish(bench, NEXT, a_card(FACE))

    serving = compared(bench, PREPARE, a_card(FACE))

    assert serving.capabilities == (Capability("face.bench"),)
    why = serving.failed[Capability("prepare.bench")]
    assert "prepare no-prepare is of version 1 here" in why
    assert "accepted for 2" in why


def test_skew_of_a_light_model_stops_its_stage(bench: Bench) -> None:
    publish(bench, a_card(SMILE), dataclasses.replace(a_card(EYES), version="2"))

    serving = compared(bench, a_card(SMILE), a_card(EYES), a_card(FACE))

    assert serving.capabilities == (Capability("face.bench"),)


def test_skew_ends_when_the_workers_own_version_is_published_again(bench: Bench) -> None:
    publish(bench, NEXT)
    serving = compared(bench, PREPARE)
    publish(bench, PREPARE)

    bench.do(serving.compare)

    assert serving.capabilities == (Capability("prepare.bench"),)
    assert serving.failed == {}


@pytest.mark.parametrize("goes_back", [False, True])
def test_later_release_stays_until_prepare_goes_back(bench: Bench, *, goes_back: bool) -> None:
    publish(bench, NEXT, release=LATER_RELEASE)
    if goes_back:
        bench.do(skew.go_back_to_own_release)

    publish(bench, PREPARE)

    assert (compared(bench, PREPARE).failed == {}) is goes_back
    assert (compared(bench, NEXT).failed == {}) is not goes_back


@pytest.mark.parametrize(
    ("field", "is_offered"), [('{"mirrors": true}', False), ('{"mirrors": false}', True)]
)
def test_card_that_needs_more_than_the_api_knows_is_not_available(
    api: Api, clock: Clock, field: str, *, is_offered: bool
) -> None:
    api.bench.execute(
        "UPDATE models SET card = card || CAST(:more AS jsonb) WHERE task = 'face'", more=field
    )
    clock.make_old()

    answer = api.post(a_photo())

    assert answer.status_code == (202 if is_offered else 422)
    if not is_offered:
        assert answer.json()["code"] == "not_available"
        assert "upgrade the API" in answer.json()["errors"][0]["detail"]
    listed = api.client.get("/v1/models?all=true").json()["items"]
    assert {"no-face": is_offered} == {
        card["name"]: card["offered"] for card in listed if card["task"] == "face"
    }
