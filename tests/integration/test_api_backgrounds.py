"""Which backgrounds a tenant sees and may ask for by name."""

import httpx
import pytest

from smart_filter_api.keys import Scope
from smart_filter_shared import stock
from smart_filter_shared.ids import Tenant
from smart_filter_shared.presets import PRESETS, Mood
from smart_filter_shared.stock import Picture
from smart_filter_shared.storage import keys
from smart_filter_tests.bench import TENANT
from smart_filter_tests.serving import Api, a_photo

OTHER = Tenant("others")


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
        key=keys.stock(),
        digest="ab" * 32,
        width=12,
        height=8,
    )
    assert api.bench.do(stock.add, picture)
    return picture


def with_thumbnail(api: Api, picture: Picture) -> None:
    """Store what is shown of a picture: some bytes that tell whose it is."""
    shown, key = f"{picture.tenant} {picture.name}".encode(), keys.thumbnail(picture.key)
    api.bench.store.put(key, shown, length=len(shown), media_type="image/webp")


def as_tenant(api: Api, tenant: Tenant) -> httpx.Client:
    headers = {"Authorization": f"Bearer {api.key(*Scope, tenant=tenant)}"}
    return httpx.Client(base_url=api.url, headers=headers, timeout=60)


def ask(client: httpx.Client, background: str) -> httpx.Response:
    data = {"background": background}
    return client.post("/v1/jobs", files={"photo": a_photo()}, data=data)


def test_designs_are_listed_with_the_pictures_of_the_site_and_of_the_tenant(api: Api) -> None:
    # A tenant of its own: what others were shown is remembered for a second.
    tenant = Tenant("lists")
    add(api, "lobby", None)
    add(api, "beach", tenant)
    add(api, "cave", OTHER)

    with as_tenant(api, tenant) as client:
        items = client.get("/v1/backgrounds").json()["items"]

    assert {one["source"] for one in items[: len(PRESETS)]} == {"generated"}
    pictures = [(one["name"], one["source"], one["family"]) for one in items[len(PRESETS) :]]
    assert pictures == [("site/lobby", "site", "picture"), ("tenant/beach", "tenant", "picture")]


@pytest.mark.parametrize("name", ["site/new", "tenant/new", "tenant/new+linen"])
def test_picture_that_was_just_added_can_be_asked_for(api: Api, name: str) -> None:
    api.client.get("/v1/backgrounds")
    add(api, "new", TENANT if name.startswith("tenant") else None)

    answer = ask(api.client, f"preset:{name}")

    assert answer.status_code == 202, answer.text
    assert answer.json()["background"]["name"] == name


def test_picture_of_another_tenant_is_unknown(api: Api) -> None:
    add(api, "cave", OTHER)

    answers = [ask(api.client, f"preset:tenant/{name}") for name in ("cave", "nosuch")]

    assert {one.status_code for one in answers} == {422}
    foreign, unknown = (one.json()["errors"] for one in answers)
    assert foreign[0]["detail"].replace("cave", "nosuch") == unknown[0]["detail"]
    assert api.leftovers() == {}


def test_every_design_that_is_listed_has_a_thumbnail_that_is_kept_for_a_day(api: Api) -> None:
    items = api.client.get("/v1/backgrounds").json()["items"][: len(PRESETS)]

    shown = [api.client.get(one["thumbnail"]) for one in items]
    known = {"If-None-Match": shown[0].headers["etag"]}
    again = api.client.get(items[0]["thumbnail"], headers=known)

    kinds = {(one.headers["content-type"], one.headers["cache-control"]) for one in shown}
    assert kinds == {("image/webp", "private, max-age=86400")}
    assert len({one.content for one in shown}) == len(PRESETS)
    assert again.status_code == 304


def test_tenant_sees_thumbnails_of_the_site_and_its_own(api: Api) -> None:
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
    told = [one.json()["detail"].replace("nosuch", "cove") for one in (foreign, absent)]
    assert told[0] == told[1]


def test_picture_without_a_thumbnail_says_how_to_get_one(api: Api) -> None:
    add(api, "old", None)

    with as_tenant(api, Tenant("misses")) as client:
        answer = client.get("/v1/backgrounds/site/old/thumbnail")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "once more" in answer.json()["detail"]


def test_words_are_listed_with_their_number_of_backgrounds(api: Api) -> None:
    tenant = Tenant("asks")
    add(api, "harbour", tenant, "zeppelin", "sea")

    with as_tenant(api, tenant) as client:
        items = client.get("/v1/backgrounds/keywords").json()["items"]
    with as_tenant(api, Tenant("asks too")) as client:
        others = client.get("/v1/backgrounds/keywords").json()["items"]

    seen = {one["word"]: (one["kind"], one["count"]) for one in items}
    assert seen["zeppelin"] == ("tag", 1)
    assert seen["harbour"] == ("name", 1)
    assert seen["turquoise"] == ("colour", None)
    assert seen["fairy lights"][1] == 1
    assert {one["word"] for one in others}.isdisjoint({"zeppelin", "harbour"})
