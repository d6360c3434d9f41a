"""A tenant's own pictures over REST: added, described by a worker, used, replaced, deleted."""

import datetime as dt
import hashlib
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from PIL import Image

from smart_filter_api.auth.api_keys import Scope
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.errors import DecodingStopped, StorageUnavailable
from smart_filter_shared.ids import Tenant
from smart_filter_shared.stock import incoming
from smart_filter_shared.stock.descriptions import Description
from smart_filter_shared.storage import keys
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.maintenance import collector, incoming_pictures
from smart_filter_tests.pictures import encode
from smart_filter_tests.serving import Api, a_photo
from smart_filter_tests.unlocked_decoders import UnlockedDecoders
from smart_filter_workers import images
from smart_filter_workers.decoder.pool import Decoder
from smart_filter_workers.decoder.turns import Requester
from smart_filter_workers.results import Photo
from smart_filter_workers.stock import ingest

PATH = "/v1/backgrounds/tenant"
OTHER = Tenant("other")
ANN, BOB = Tenant("ann"), Tenant("bob")


def a_picture(color: str = "teal", *, size: tuple[int, int] = (60, 40)) -> bytes:
    return encode(Image.new("RGBA", size, color), "PNG")


def put(api: Api, name: str, content: bytes | None = None, **query: str) -> httpx.Response:
    return api.client.put(f"{PATH}/{name}", content=content or a_picture(), params=query)


def get(api: Api, name: str) -> dict[str, Any]:
    return api.read(f"{PATH}/{name}")


def listed(api: Api, **headers: str) -> list[tuple[str, str, str]]:
    answer = api.read(PATH, headers=headers)
    return [(item["name"], item["use"], item["state"]) for item in answer["items"]]


class SlowDecoder:
    """A decoder during whose first picture something happens."""

    decode_mask = staticmethod(images.decode_mask)

    def __init__(self, happens: Callable[[], object]) -> None:
        self._happens = [happens]

    def decode(self, content: bytes) -> Photo:
        while self._happens:
            self._happens.pop()()
        return images.decode(content)


def describe(bench: Bench, decoder: Decoder = images) -> int:
    """Let a worker describe all pictures that wait; return their number."""
    worker = incoming_pictures(bench, UnlockedDecoders(decoder))
    return sum(iter(worker.describe_next, False))


def objects(bench: Bench) -> int:
    return len(list(bench.store.stored()))


def test_added_picture_is_pending_until_a_worker_has_described_it(api: Api) -> None:
    answer = put(api, "Lobby Wall.PNG", tags="Office, glass wall")

    assert answer.status_code == 202
    pending = answer.json()
    assert (pending["name"], pending["title"]) == ("tenant/lobby-wall", "Lobby Wall")
    assert (pending["state"], pending["thumbnail"], pending["width"]) == ("pending", None, None)
    assert describe(api.bench) == 1
    ready = get(api, "lobby-wall")
    assert (ready["state"], ready["width"], ready["height"]) == ("ready", 60, 40)
    assert ready["sha256"] == pending["sha256"]
    assert ready["tags"] == ["office", "glass-wall"]
    assert ready["bytes"] == len(a_picture())
    thumbnail = api.client.get(ready["thumbnail"])
    assert thumbnail.headers["Content-Type"] == "image/webp"


def test_described_background_and_logo_can_be_named_by_jobs(api: Api) -> None:
    put(api, "wall")
    put(api, "mark", use="logo")
    describe(api.bench)

    answer = api.post(a_photo(), {"background": "preset:tenant/wall", "logo": "tenant/mark"})

    assert answer.status_code == 202, answer.text
    assert listed(api) == [
        ("tenant/mark", "logo", "ready"),
        ("tenant/wall", "background", "ready"),
    ]


def test_same_picture_again_changes_nothing(api: Api) -> None:
    first = put(api, "wall")
    again_pending = put(api, "wall")
    describe(api.bench)
    before = objects(api.bench)

    again = put(api, "wall")

    assert [first.status_code, again_pending.status_code, again.status_code] == [202, 202, 200]
    assert again.json()["state"] == "ready"
    assert (before, objects(api.bench), describe(api.bench)) == (2, 2, 0)


def test_replaced_picture_stays_usable_until_the_new_one_is_described(api: Api) -> None:
    put(api, "wall")
    describe(api.bench)

    replaced = put(api, "wall", a_picture("red", size=(90, 30))).json()

    assert (replaced["state"], replaced["width"]) == ("pending", None)
    assert api.post(a_photo(), {"background": "preset:tenant/wall"}).status_code == 202
    assert api.client.get(replaced["thumbnail"]).status_code == 200
    describe(api.bench)
    assert get(api, "wall")["width"] == 90


def test_picture_replaced_while_a_worker_describes_it_is_described_again(api: Api) -> None:
    put(api, "wall")
    slow = SlowDecoder(lambda: put(api, "wall", a_picture("red", size=(90, 30))))

    assert describe(api.bench, slow) == 2

    assert get(api, "wall")["width"] == 90
    assert objects(api.bench) == 3  # the orphan scan removes the thumbnail of the first


def png_of(width: int, height: int) -> bytes:
    """Return a PNG whose header declares a size, and whose pixels are missing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + bytes(4)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_media"),
        (b"%PDF-1.7", "unsupported_media"),
        (png_of(0, 10), "unsupported_media"),
        (png_of(60_000, 60_000), "photo_too_large"),
        (bytes(40_000_001), "photo_too_large"),
    ],
    ids=["svg", "pdf", "no pixels", "too many pixels", "too many bytes"],
)
def test_hostile_file_is_refused_at_the_door(api: Api, content: bytes, code: str) -> None:
    answer = put(api, "wall", content)

    assert answer.json()["code"] == code
    assert (listed(api), objects(api.bench)) == ([], 0)


def test_picture_that_cannot_be_decoded_is_refused_with_the_reason(api: Api) -> None:
    put(api, "wall", a_picture()[:80])

    describe(api.bench)

    refused = get(api, "wall")
    assert (refused["state"], refused["error"]["code"]) == ("refused", "image_unreadable")
    assert "not a whole picture" in refused["error"]["detail"]
    assert objects(api.bench) == 0
    assert api.post(a_photo(), {"background": "preset:tenant/wall"}).status_code == 422
    assert (put(api, "wall").status_code, describe(api.bench)) == (202, 1)
    assert get(api, "wall")["state"] == "ready"


def test_picture_that_ends_its_workers_is_refused_after_three_attempts(api: Api) -> None:
    put(api, "wall")
    for _ in range(incoming.MAX_ATTEMPTS):
        assert api.bench.work(incoming.claim) is not None
        api.bench.execute("UPDATE incoming_pictures SET leased_until = now()")

    describe(api.bench)

    refused = get(api, "wall")
    assert (refused["state"], refused["error"]["code"]) == ("refused", "internal")


def test_picture_waits_while_the_storage_is_away(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    put(api, "wall")
    with monkeypatch.context() as patch:
        patch.setattr(type(api.bench.store), "get", unavailable)
        with pytest.raises(StorageUnavailable):
            describe(api.bench)

    assert describe(api.bench) == 1
    assert get(api, "wall")["state"] == "ready"


class StoppedDecoders:
    """Decoders that stop trials of ann's pictures, and note whose pictures they get."""

    def __init__(self) -> None:
        self.asked: list[tuple[Tenant, bool]] = []

    def for_requester(self, requester: Requester) -> Decoder:
        assert requester.is_background
        self.asked.append((requester.tenant, requester.is_trial))
        if requester.is_trial and requester.tenant == ANN:
            return SlowDecoder(stop)
        return images


def stop() -> None:
    raise DecodingStopped("decoding the picture takes long, and others wait")


def test_slow_pictures_of_a_tenant_come_after_those_of_others(api: Api) -> None:
    for tenant, name in ((ANN, "first"), (ANN, "second"), (BOB, "wall"), (BOB, "logo")):
        add(api.bench, tenant, name)
    decoders = StoppedDecoders()
    worker = incoming_pictures(api.bench, decoders)

    described = sum(iter(worker.describe_next, False))

    assert decoders.asked == [(ANN, True), (BOB, True), (BOB, True), (ANN, False), (ANN, False)]
    assert described == 5
    assert api.bench.scalar("SELECT count(*) FROM backgrounds") == 4


def add(bench: Bench, tenant: Tenant, name: str) -> None:
    """Add a picture as the API does."""
    content = a_picture()
    key = f"{tenant}/pictures/{name}"
    bench.store.put(key, content, length=len(content), media_type="image/png")
    digest = hashlib.sha256(content).hexdigest()
    picture = incoming.NewPicture(
        tenant, f"tenant/{name}", name, (), False, key, digest, len(content)
    )
    bench.do(incoming.enqueue, picture)


def unavailable(*_: object, **__: object) -> bytes:
    raise StorageUnavailable("the storage is away")


def test_refused_pictures_are_forgotten_after_a_day(api: Api) -> None:
    put(api, "wall", a_picture()[:80])
    describe(api.bench)
    retention = collector(api.bench)

    retention.remove_expired()
    before = listed(api)
    api.bench.execute("UPDATE incoming_pictures SET created_at = now() - interval '25 hours'")
    retention.remove_expired()

    assert (before, listed(api)) == ([("tenant/wall", "background", "refused")], [])


def test_number_and_bytes_of_pictures_are_limited(api: Api) -> None:
    size = len(a_picture())
    api.limit(pictures=2)
    codes = [put(api, name).status_code for name in ("a", "b", "c", "a")]
    describe(api.bench)
    third = put(api, "c").json()
    api.limit(pictures=0, stored_bytes=3 * size)
    api.client.headers.update(api.headers(*Scope))
    full = [put(api, name).status_code for name in ("c", "d")]

    assert codes == [202, 202, 422, 202]
    assert "one more than 2 pictures" in third["detail"]
    assert full == [202, 429]
    assert objects(api.bench) == 5


def test_limit_holds_for_simultaneous_requests(api: Api) -> None:
    api.limit(pictures=3)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda name: put(api, name), "abcdefghi"))

    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [422] * 6
    assert objects(api.bench) == 3


@pytest.mark.parametrize(
    ("name", "query", "pointer"),
    [
        ("---", {}, "/name"),
        ("wall", {"title": "two\nlines"}, "/title"),
        ("wall", {"tags": "x" * 41}, "/tags"),
    ],
)
def test_invalid_word_is_refused(api: Api, name: str, query: dict[str, str], pointer: str) -> None:
    answer = put(api, name, **query)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_logo_cannot_replace_a_background(api: Api) -> None:
    put(api, "wall")
    describe(api.bench)

    answer = put(api, "wall", use="logo")

    assert answer.status_code == 422
    assert "tenant/wall is a background: choose another name" in answer.json()["detail"]


def test_deleted_picture_and_its_objects_are_gone(api: Api) -> None:
    put(api, "wall")
    describe(api.bench)
    put(api, "wall", a_picture("red"))

    answers = [api.client.delete(f"{PATH}/wall").status_code for _ in range(2)]

    assert answers == [204, 404]
    assert (listed(api), objects(api.bench), describe(api.bench)) == ([], 0, 0)
    assert api.post(a_photo(), {"background": "preset:tenant/wall"}).status_code == 422


def test_tenants_are_apart(api: Api) -> None:
    put(api, "wall")
    describe(api.bench)
    other = api.headers(*Scope, tenant=OTHER)

    assert api.client.get(f"{PATH}/wall", headers=other).status_code == 404
    assert api.client.delete(f"{PATH}/wall", headers=other).status_code == 404
    assert listed(api, **other) == []
    assert get(api, "wall")["state"] == "ready"


def test_many_pictures_of_a_tenant_delay_no_other(api: Api) -> None:
    for name in "abc":
        put(api, name)
    answer = api.client.put(
        f"{PATH}/z", content=a_picture(), headers=api.headers(*Scope, tenant=OTHER)
    )

    claimed = [api.bench.work(incoming.claim) for _ in range(4)]

    assert answer.status_code == 202
    assert [picture and picture.name for picture in claimed] == ["a", "z", "b", "c"]


def test_failed_commit_leaves_no_object(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "enqueue", fail)

    answer = put(api, "wall")

    assert answer.status_code == 500
    assert objects(api.bench) == 0


def fail(*_: object) -> None:
    raise RuntimeError("a defect")


def test_object_of_a_waiting_picture_is_no_orphan(api: Api) -> None:
    put(api, "wall")
    stray = keys.new_background(TENANT)
    api.bench.store.put(stray, b"x", length=1, media_type="image/png")
    retention = collector(api.bench)

    assert retention.clear_unreferenced(older_than=dt.timedelta(seconds=-60)) == 1
    assert describe(api.bench) == 1


@pytest.mark.parametrize("remove", [True, False], ids=["removed", "added"])
def test_command_line_wins_over_a_waiting_picture(api: Api, *, remove: bool) -> None:
    put(api, "wall")
    servers = Backends(api.bench.engine, api.bench.store)
    step: Callable[[], object] = (
        (lambda: ingest.remove_pictures(servers, TENANT, ["wall"]))
        if remove
        else lambda: ingest.store_picture(
            servers, a_picture("red"), Description("wall", "Wall", (), None), tenant=TENANT
        )
    )

    step()

    assert describe(api.bench) == 0
    assert objects(api.bench) == (0 if remove else 2)
