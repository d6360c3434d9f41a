"""Available models and backgrounds, and the recipe parameters of models."""

import dataclasses
import uuid
from functools import partial

import httpx
import pytest
from sqlalchemy import text

from smart_filter_api.auth.api_keys import Scope
from smart_filter_shared import stock
from smart_filter_shared.catalog import parameters
from smart_filter_shared.catalog.model_card import (
    MEMBERS_PARAMETER,
    STRONGER_PARAMETER,
    WEIGHTS_PARAMETER,
    ModelCard,
    Offer,
)
from smart_filter_shared.ids import Capability, JobId, Tenant
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.presets import PRESETS, Mood
from smart_filter_shared.stock import Picture
from smart_filter_shared.storage import keys
from smart_filter_tests.bench import TENANT
from smart_filter_tests.serving import Api, Clock, a_card, a_photo, refusal_of

SEGMENTATION, SMILE = TaskName.SEGMENTATION, TaskName.SMILE
THRESHOLD = parameters.number("threshold", 0.7, "the least score", least=0, most=1)
FAULT = "heavy needs detectron2: install it as docs/detectron2.md says where its workers run"
OTHER = Tenant("others")


def publish(api: Api, *offers: Offer, days_ago: int = 0) -> None:
    """Publish models, dated `days_ago` days back."""
    with api.bench.transaction() as connection:
        published_models.publish(connection, offers)
        connection.execute(
            text("UPDATE models SET offered_at = offered_at - make_interval(days => :days)"
                 " WHERE name = ANY(:names)"),
            {"days": days_ago, "names": [offer.card.name for offer in offers]},
        )  # fmt: skip


def named(name: str, **more: object) -> ModelCard:
    """Return the card of a segmentation model that is not the default."""
    card = a_card(SEGMENTATION, name)
    return dataclasses.replace(card, **more)  # type: ignore[arg-type]  # whatever a test says


def segmentation_row(api: Api, job_id: str) -> dict[str, object]:
    return api.bench.row(JobId(uuid.UUID(job_id)), StageName.SEGMENTATION)


def listed(api: Api, query: str = "") -> dict[str, dict[str, object]]:
    return {card["name"]: card for card in api.read(f"/v1/models{query}")["items"]}


def test_model_without_a_worker_is_listed_with_all_and_refused(api: Api) -> None:
    publish(api, Offer(named("heavy"), FAULT))

    heavy = listed(api, "?all=true")["heavy"]
    refused = api.post(a_photo(), {"segmentation.model": "heavy"})

    assert "heavy" not in listed(api)
    assert (heavy["offered"], heavy["fault"]) == (False, FAULT)
    assert refusal_of(refused) == (422, "not_available")
    detail = refused.json()["errors"][0]["detail"]
    assert "docs/detectron2.md" in detail
    assert "no-segmentation" in detail
    assert api.leftovers() == {}


@pytest.mark.parametrize(("days", "status"), [(29, 202), (31, 422)])
def test_pool_scaled_to_zero_still_accepts_jobs_for_thirty_days(
    api: Api, days: int, status: int
) -> None:
    name = f"seen-{days}-days-ago"
    publish(api, Offer(named(name)), days_ago=days)

    assert api.post(a_photo(), {"segmentation.model": name}).status_code == status


def test_worker_without_a_model_does_not_withdraw_another_pools_offer(api: Api) -> None:
    publish(api, Offer(named("heavy", parameters=(THRESHOLD,))))

    publish(api, Offer(named("heavy"), FAULT))

    heavy = listed(api)["heavy"]
    assert heavy["fault"] is None
    assert heavy["parameters"]["properties"]  # type: ignore[index]  # JSON


def test_parameters_of_a_recipe_are_stored_in_the_stage_and_separate_batches(api: Api) -> None:
    publish(api, Offer(named("fine", parameters=(THRESHOLD,))))
    chosen = {"segmentation.model": "fine"}

    plain = segmentation_row(api, api.submit(**chosen))
    job = api.job(api.submit(**chosen, **{"segmentation.params.threshold": "0.25"}))
    other = segmentation_row(api, job["id"])

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
    members = parameters.text(MEMBERS_PARAMETER, "one,two", "whose mattes", longest=100)
    weights = parameters.text(WEIGHTS_PARAMETER, "", "how much each counts", longest=100)
    stronger = parameters.text(STRONGER_PARAMETER, "", "who takes over", longest=100)
    declared = (members, weights, stronger)
    return Offer(named("ensemble", parameters=declared, combines=True, instances=True))


def test_ensemble_is_routed_to_the_pool_of_its_member_with_its_own_pool(api: Api) -> None:
    with_torch = Offer(named("heavy", requires=("torch",)))
    publish(api, an_ensemble(), Offer(named("one")), Offer(named("two")), with_torch)
    chosen = {"segmentation.model": "ensemble"}
    members = {"segmentation.params.members": "one,heavy"}

    light = segmentation_row(api, api.submit(**chosen))
    heavy = segmentation_row(api, api.submit(**chosen, **members))

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
    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert pointers == [f"/segmentation/params/{parameter}"]


def test_model_that_no_live_worker_can_load_reports_it(api: Api) -> None:
    publish(api, Offer(named("heavy")))
    api.bench.announce(failed={Capability("segmentation.heavy"): "libcuda.so.1 is missing"})

    heavy = listed(api)["heavy"]

    assert (heavy["offered"], heavy["fault"]) == (True, "libcuda.so.1 is missing")


def test_ensemble_that_separates_persons_needs_a_member_that_does(api: Api) -> None:
    publish(api, an_ensemble(), Offer(named("one")), Offer(named("two", instances=True)))
    persons = {"segmentation.model": "ensemble", "persons": "1"}

    assert api.post(a_photo(), persons).status_code == 202
    publish(api, Offer(named("three")))
    members = {"segmentation.params.members": "one,three"}
    refused = api.post(a_photo(), {**persons, **members})

    assert refused.status_code == 422
    assert "two" in refused.json()["errors"][0]["detail"]


def add(api: Api, name: str, tenant: Tenant | None, *tags: str) -> Picture:
    picture = Picture(
        tenant=tenant,
        name=name,
        title=name.capitalize(),
        tags=tags or ("sea",),
        moods=(Mood.CALM,),
        palette=("#1f6fb0",),
        brightness=0.4,
        impression="",
        key=keys.new_background(None),
        digest="ab" * 32,
        width=12,
        height=8,
        length=1000,
    )
    assert api.bench.do(stock.add, picture)
    return picture


def with_thumbnail(api: Api, picture: Picture) -> None:
    """Store a thumbnail of a picture: bytes that identify its owner."""
    shown, key = f"{picture.tenant} {picture.name}".encode(), keys.thumbnail(picture.key)
    api.bench.store.put(key, shown, length=len(shown), media_type="image/webp")


def as_tenant(api: Api, tenant: Tenant) -> httpx.Client:
    headers = {"Authorization": f"Bearer {api.key(*Scope, tenant=tenant)}"}
    return httpx.Client(base_url=api.url, headers=headers, timeout=60)


def ask(client: httpx.Client, background: str) -> httpx.Response:
    data = {"background": background}
    return client.post("/v1/jobs", files={"photo": a_photo()}, data=data)


def test_tenant_sees_shared_pictures_and_its_own_with_their_words(api: Api) -> None:
    # A separate tenant: the API caches listings for a second.
    tenant = Tenant("lists")
    add(api, "lobby", None)
    add(api, "quay", tenant, "zeppelin", "sea")
    add(api, "cave", OTHER, "stalactite")

    with as_tenant(api, tenant) as client:
        items = client.get("/v1/backgrounds").json()["items"]
        words = client.get("/v1/backgrounds/keywords").json()["items"]

    assert {item["source"] for item in items[: len(PRESETS)]} == {"generated"}
    pictures = [(item["name"], item["source"], item["family"]) for item in items[len(PRESETS) :]]
    assert pictures == [("site/lobby", "site", "picture"), ("tenant/quay", "tenant", "picture")]
    seen = {word["word"]: (word["kind"], word["count"]) for word in words}
    assert (seen["zeppelin"], seen["quay"]) == (("tag", 1), ("name", 1))
    assert seen["turquoise"] == ("color", None)
    assert seen.keys().isdisjoint({"cave", "stalactite"})


@pytest.mark.parametrize("name", ["site/new", "tenant/new", "tenant/new+linen"])
def test_newly_added_picture_can_be_requested(api: Api, name: str) -> None:
    api.client.get("/v1/backgrounds")
    add(api, "new", TENANT if name.startswith("tenant") else None)

    answer = ask(api.client, f"preset:{name}")

    assert answer.status_code == 202, answer.text
    assert answer.json()["background"]["name"] == name


def test_style_brand_needs_a_picture_of_ones_own(api: Api) -> None:
    tenant = Tenant("brand")
    add(api, "beach", OTHER)
    with as_tenant(api, tenant) as client:
        send = partial(client.post, "/v1/jobs", files={"photo": a_photo()}, data={"style": "brand"})
        refused = send()
        add(api, "shop", tenant)
        accepted = send()

    assert refused.status_code == 422
    assert "add one with" in refused.json()["errors"][0]["detail"]
    assert accepted.status_code == 202, accepted.text


def test_picture_of_another_tenant_is_unknown(api: Api) -> None:
    add(api, "cave", OTHER)

    answers = [ask(api.client, f"preset:tenant/{name}") for name in ("cave", "nosuch")]

    assert {answer.status_code for answer in answers} == {422}
    foreign, unknown = (answer.json()["errors"] for answer in answers)
    assert foreign[0]["detail"].replace("cave", "nosuch") == unknown[0]["detail"]
    assert api.leftovers() == {}


def test_every_listed_design_has_a_thumbnail_that_is_cached_for_a_day(api: Api) -> None:
    items = api.read("/v1/backgrounds")["items"][: len(PRESETS)]

    shown = [api.client.get(item["thumbnail"]) for item in items]
    known = {"If-None-Match": shown[0].headers["etag"]}
    again = api.client.get(items[0]["thumbnail"], headers=known)

    kinds = {(one.headers["content-type"], one.headers["cache-control"]) for one in shown}
    assert kinds == {("image/webp", "private, max-age=86400")}
    assert len({one.content for one in shown}) == len(PRESETS)
    assert again.status_code == 304


def test_tenant_sees_shared_thumbnails_and_its_own(api: Api) -> None:
    mine, theirs = Tenant("mine"), Tenant("theirs")
    for tenant in (None, mine, theirs):
        with_thumbnail(api, add(api, "cove", tenant))
    path = "/v1/backgrounds/{}/thumbnail"

    with as_tenant(api, mine) as client:
        site, own = (client.get(path.format(f"{whose}/cove")) for whose in ("site", "tenant"))
    with as_tenant(api, OTHER) as client:
        foreign, absent = (client.get(path.format(f"tenant/{name}")) for name in ("cove", "nosuch"))

    assert (site.content, own.content) == (b"None cove", b"mine cove")
    # Another tenant may sign in on the same browser.
    assert own.headers["cache-control"] == "private, no-cache"
    assert (foreign.status_code, absent.status_code) == (404, 404)
    details = [one.json()["detail"].replace("nosuch", "cove") for one in (foreign, absent)]
    assert details[0] == details[1]


def test_best_edge_is_cut_out_by_its_model_while_a_worker_serves_it(api: Api, clock: Clock) -> None:
    publish(api, Offer(named("finest", best_edge=True)), Offer(named("salient", any_subject=True)))
    alone = segmentation_row(api, api.submit(edge="best"))
    api.bench.announce(Capability("segmentation.finest"))
    clock.expire_caches()

    best = segmentation_row(api, api.submit(edge="best"))
    others = [
        segmentation_row(api, api.submit(**fields))
        for fields in (
            {"edge": "balanced"},
            {"edge": "best", "subject": "any"},
            {"edge": "best", "segmentation.model": "salient"},
        )
    ]

    assert alone["models"] == {"segmentation": "no-segmentation"}
    assert best["models"] == {"segmentation": "finest"}
    assert best["capability"] == "segmentation.finest"
    assert [row["models"] for row in others] == [
        {"segmentation": name} for name in ("no-segmentation", "salient", "salient")
    ]


@pytest.mark.parametrize(
    ("fault", "expected"), [(None, "finer"), ("run `smart-filter models pull finer`", "apt")]
)
def test_finer_model_of_any_subject_is_preferred_where_it_is_offered(
    api: Api, fault: str | None, expected: str
) -> None:
    finer = named("finer", any_subject=True, without_people=True)
    publish(api, Offer(named("apt", any_subject=True)), Offer(finer, fault))

    row = segmentation_row(api, api.submit(subject="any"))

    assert row["models"] == {"segmentation": expected}


def test_any_subject_without_its_model_is_refused_with_the_command(api: Api) -> None:
    publish(api, Offer(named("salient", any_subject=True), "run `smart-filter models pull isnet`"))

    refused = api.post(a_photo(), {"subject": "any"})

    assert refusal_of(refused) == (422, "not_available")
    (error,) = refused.json()["errors"]
    assert error["pointer"] == "/subject"
    assert "smart-filter models pull isnet" in error["detail"]


@pytest.mark.parametrize(
    ("field", "value"), [("require_person", "true"), ("segmentation.model", "heavy")]
)
def test_any_subject_contradicts_what_is_about_people(api: Api, field: str, value: str) -> None:
    publish(api, Offer(named("salient", any_subject=True)), Offer(named("heavy")))

    refused = api.post(a_photo(), {"subject": "any", field: value})

    assert refusal_of(refused) == (422, "contradiction")
    pointers = [error["pointer"] for error in refused.json()["errors"]]
    assert pointers == ["/" + field.replace(".", "/"), "/subject"]
