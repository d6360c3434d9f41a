"""Workers and API of different versions: refused capability by capability, and only so long."""

import dataclasses

import pytest
from sqlalchemy import text

from smart_filter_shared import parameters
from smart_filter_shared.cards import ModelCard, Offer, TaskName, WeightsFile
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import models, skew, transitions
from smart_filter_shared.jobs.leases import Lease
from smart_filter_tests.bench import Bench
from smart_filter_tests.serving import Api, a_card, a_photo
from smart_filter_workers.serving import Serving

FACE, SMILE, EYES = TaskName.FACE, TaskName.SMILE, TaskName.EYES
PREPARE = a_card(TaskName.PREPARE)
NEXT = dataclasses.replace(PREPARE, version="2")
LATER_RELEASE = (999, 0, 0)


def publish(bench: Bench, *cards: ModelCard, release: tuple[int, ...] | None = None) -> None:
    with bench.transaction() as connection:
        models.publish(connection, [Offer(card) for card in cards], release=release)


def compared(bench: Bench, *cards: ModelCard) -> Serving:
    """Return what a worker with these cards serves once it has looked."""
    serving = Serving([card.capability for card in cards if card.leads], {}, cards)
    serving.open()
    with bench.transaction() as connection:
        serving.compare(connection)
    return serving


def claim(bench: Bench, *cards: ModelCard) -> list[Lease]:
    """Claim as a worker with these cards does."""
    with bench.transaction() as connection:
        return transitions.claim(
            connection,
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


def test_models_that_cannot_be_loaded_or_are_of_others_are_not_offered_anew(bench: Bench) -> None:
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
    with bench.transaction() as connection:
        connection.execute(
            text("UPDATE models SET offered_at = offered_at - make_interval(days => :days)"),
            {"days": days},
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
    "change",
    [
        {"version": "2"},
        {"parameters": (parameters.number("least", 0.5, "Least", least=0, most=1),)},
        {"weights": (WeightsFile("one.onnx", "0" * 64),)},
        {"combines": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whoever_would_make_other_pictures_claims_nothing(
    bench: Bench, change: dict[str, object]
) -> None:
    publish(bench, dataclasses.replace(PREPARE, **change))  # type: ignore[arg-type]  # as named
    bench.submit()

    assert claim(bench, PREPARE) == []
    assert claim(bench, dataclasses.replace(PREPARE, **change)) != []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Everything"},
        {"quality": {"iou": 0.9}},
        {"licence": "MIT"},
        {"default": False},
        {"devices": ("cpu", "cuda")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_no_picture_keeps_nobody_from_claiming(
    bench: Bench, change: dict[str, object]
) -> None:
    publish(bench, dataclasses.replace(PREPARE, **change))  # type: ignore[arg-type]  # as named
    bench.submit()

    assert len(claim(bench, PREPARE)) == 1


def test_entries_that_another_machine_has_keep_nobody_from_claiming(bench: Bench) -> None:
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
    told = serving.failed[Capability("prepare.bench")]
    assert "prepare no-prepare is of version 1 here" in told
    assert "accepted for 2" in told


def test_skew_of_a_light_model_stops_its_stage(bench: Bench) -> None:
    publish(bench, a_card(SMILE), dataclasses.replace(a_card(EYES), version="2"))

    serving = compared(bench, a_card(SMILE), a_card(EYES), a_card(FACE))

    assert serving.capabilities == (Capability("face.bench"),)


def test_skew_ends_when_the_workers_own_version_is_published_again(bench: Bench) -> None:
    publish(bench, NEXT)
    serving = compared(bench, PREPARE)
    publish(bench, PREPARE)

    with bench.transaction() as connection:
        serving.compare(connection)

    assert serving.capabilities == (Capability("prepare.bench"),)
    assert serving.failed == {}


def test_worker_late_for_an_upgrade_does_not_undo_it(bench: Bench) -> None:
    publish(bench, NEXT, release=LATER_RELEASE)

    publish(bench, PREPARE)

    assert compared(bench, NEXT).failed == {}
    assert compared(bench, PREPARE).failed != {}


def test_going_back_to_an_earlier_version_is_decided_by_whoever_prepares(bench: Bench) -> None:
    publish(bench, NEXT, release=LATER_RELEASE)

    with bench.transaction() as connection:
        skew.go_back_to_own_release(connection)
    publish(bench, PREPARE)

    assert compared(bench, PREPARE).failed == {}
    assert compared(bench, NEXT).failed != {}


@pytest.mark.parametrize(
    ("field", "is_offered"), [('{"mirrors": true}', False), ('{"mirrors": false}', True)]
)
def test_card_of_a_later_version_that_asks_what_the_api_does_not_know_is_not_available(
    api: Api, field: str, *, is_offered: bool
) -> None:
    with api.bench.transaction() as connection:
        connection.execute(
            text("UPDATE models SET card = card || CAST(:more AS jsonb) WHERE task = 'face'"),
            {"more": field},
        )

    answer = api.post(a_photo())

    assert answer.status_code == (202 if is_offered else 422)
    if not is_offered:
        assert answer.json()["code"] == "not_available"
        assert "upgrade the API" in answer.json()["errors"][0]["detail"]
    listed = api.client.get("/v1/models?all=true").json()["items"]
    assert {"no-face": is_offered} == {
        card["name"]: card["offered"] for card in listed if card["task"] == "face"
    }
