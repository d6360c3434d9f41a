"""Which models are offered, what a recipe may set for them, and which pool gets the job."""

import dataclasses

import pytest
from sqlalchemy import text

from smart_filter_shared import parameters
from smart_filter_shared.cards import MEMBERS, STRONGER, WEIGHTS, ModelCard, Offer, TaskName
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import models, presence
from smart_filter_tests.serving import Api, a_card, a_photo

SEGMENTATION, SMILE = TaskName.SEGMENTATION, TaskName.SMILE
THRESHOLD = parameters.number("threshold", 0.7, "the least score", least=0, most=1)
FAULT = "heavy needs detectron2: install smart-filter[detectron2] where its workers run"


def publish(api: Api, *offers: Offer, days_ago: int = 0) -> None:
    """Publish models as a worker did some days ago."""
    with api.bench.transaction() as connection:
        models.publish(connection, offers)
        connection.execute(
            text("UPDATE models SET offered_at = offered_at - make_interval(days => :days)"
                 " WHERE name = ANY(:names)"),
            {"days": days_ago, "names": [offer.card.name for offer in offers]},
        )  # fmt: skip


def named(name: str, **more: object) -> ModelCard:
    """Return the card of a segmentation model that is not the default."""
    card = a_card(SEGMENTATION, name)
    return dataclasses.replace(card, **more)  # type: ignore[arg-type]  # whatever a test says


def segmentation_row(api: Api) -> dict[str, object]:
    with api.bench.transaction() as connection:
        row = connection.execute(
            text("""
                SELECT capability, models, parameters, batch_key FROM stages
                WHERE stage = 'segmentation' ORDER BY job_id DESC LIMIT 1
            """)
        ).one()
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a mapping


def listed(api: Api, query: str = "") -> dict[str, dict[str, object]]:
    return {card["name"]: card for card in api.client.get(f"/v1/models{query}").json()["items"]}


def test_model_that_no_worker_can_run_is_listed_among_all_and_refused(api: Api) -> None:
    publish(api, Offer(named("heavy"), FAULT))

    heavy = listed(api, "?all=true")["heavy"]
    refused = api.post(a_photo(), {"segmentation.model": "heavy"})

    assert "heavy" not in listed(api)
    assert (heavy["offered"], heavy["fault"]) == (False, FAULT)
    assert (refused.status_code, refused.json()["code"]) == (422, "not_available")
    detail = refused.json()["errors"][0]["detail"]
    assert "smart-filter[detectron2]" in detail
    assert "no-segmentation" in detail
    assert api.leftovers() == {}


@pytest.mark.parametrize(("days", "status"), [(29, 202), (31, 422)])
def test_pool_scaled_to_zero_still_accepts_for_thirty_days(
    api: Api, days: int, status: int
) -> None:
    name = f"seen-{days}-days-ago"
    publish(api, Offer(named(name)), days_ago=days)

    assert api.post(a_photo(), {"segmentation.model": name}).status_code == status


def test_worker_without_a_model_does_not_withdraw_the_offer_of_another_pool(api: Api) -> None:
    publish(api, Offer(named("heavy", parameters=(THRESHOLD,))))

    publish(api, Offer(named("heavy"), FAULT))

    heavy = listed(api)["heavy"]
    assert heavy["fault"] is None
    assert heavy["parameters"]["properties"]  # type: ignore[index]  # JSON


def test_parameters_of_a_recipe_are_written_to_the_stage_and_keep_batches_apart(api: Api) -> None:
    publish(api, Offer(named("fine", parameters=(THRESHOLD,))))
    chosen = {"segmentation.model": "fine"}

    api.submit(**chosen)
    plain = segmentation_row(api)
    job = api.job(api.submit(**chosen, **{"segmentation.params.threshold": "0.25"}))
    other = segmentation_row(api)

    shown = listed(api)["fine"]["parameters"]["properties"]  # type: ignore[index]  # JSON
    assert shown["threshold"]["default"] == 0.7
    assert job["recipe"]["segmentation"] == {"model": "fine", "params": {"threshold": 0.25}}
    assert [row["parameters"] for row in (plain, other)] == [
        {},
        {"segmentation": {"threshold": 0.25}},
    ]
    assert plain["batch_key"] != other["batch_key"]
    assert other["capability"] == "segmentation.fine"


def an_ensemble() -> Offer:
    members = parameters.text(MEMBERS, "one,two", "whose mattes", longest=100)
    weights = parameters.text(WEIGHTS, "", "how much each counts", longest=100)
    stronger = parameters.text(STRONGER, "", "who takes over", longest=100)
    declared = (members, weights, stronger)
    return Offer(named("ensemble", parameters=declared, combines=True, instances=True))


def test_ensemble_goes_to_the_pool_of_the_one_member_that_has_its_own(api: Api) -> None:
    publish(
        api,
        an_ensemble(),
        Offer(named("one")),
        Offer(named("two")),
        Offer(named("heavy", requires=("torch",))),
    )

    api.submit(**{"segmentation.model": "ensemble"})
    light = segmentation_row(api)
    members = {"segmentation.params.members": "one,heavy"}
    api.submit(**{"segmentation.model": "ensemble"}, **members)
    heavy = segmentation_row(api)

    assert light["capability"] == "segmentation.ensemble"
    assert heavy["capability"] == "segmentation.heavy"
    assert heavy["models"] == {"segmentation": "ensemble"}


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        *(("members", "one,nosuch"), ("members", "one,ensemble"), ("members", "one,away")),
        *(("members", "d2,torch"), ("members", "one,one"), ("members", "ensemble,one")),
        *(("weights", "1"), ("weights", "1,2,3"), ("weights", "0,0")),
        *(("stronger", "nosuch"), ("stronger", "ensemble")),
    ],
)
def test_ensemble_that_no_pool_can_run_is_refused(api: Api, parameter: str, value: str) -> None:
    publish(
        api,
        an_ensemble(),
        *(Offer(named("one")), Offer(named("two"))),
        Offer(named("away"), FAULT),
        Offer(named("d2", requires=("detectron2",))),
        Offer(named("torch", requires=("torch",))),
    )

    answer = api.post(
        a_photo(), {"segmentation.model": "ensemble", f"segmentation.params.{parameter}": value}
    )

    assert answer.status_code == 422
    pointers = [one["pointer"] for one in answer.json()["errors"]]
    assert pointers == [f"/segmentation/params/{parameter}"]


def test_model_that_no_live_worker_can_load_says_so(api: Api) -> None:
    publish(api, Offer(named("heavy")))
    broken = presence.Worker(
        id=api.bench.worker,
        host="here",
        pid=1,
        capabilities=[],
        threads=1,
        failed={Capability("segmentation.heavy"): "libcuda.so.1 is missing"},
    )
    api.bench.do(presence.announce, broken)

    heavy = listed(api)["heavy"]

    assert (heavy["offered"], heavy["fault"]) == (True, "libcuda.so.1 is missing")


def test_ensemble_that_is_to_tell_persons_apart_needs_a_member_that_does(api: Api) -> None:
    publish(api, an_ensemble(), Offer(named("one")), Offer(named("two", instances=True)))
    persons = {"segmentation.model": "ensemble", "persons": "1"}

    assert api.post(a_photo(), persons).status_code == 202
    publish(api, Offer(named("three")))
    members = {"segmentation.params.members": "one,three"}
    refused = api.post(a_photo(), {**persons, **members})

    assert refused.status_code == 422
    assert "two" in refused.json()["errors"][0]["detail"]
