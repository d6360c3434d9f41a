"""Models and backgrounds of a server, as the client reads them."""

import httpx

from smart_filter_tests.clients import Asking, Script


def a_page(*items: object) -> httpx.Response:
    return httpx.Response(200, json={"items": items, "next_cursor": None})


def test_models_are_listed(asking: Asking) -> None:
    face = {"task": "face", "name": "centerface", "default": True}
    smile = {"task": "smile", "name": "expression", "research": True}

    one, other = asking(Script(a_page(face, smile))).do("models")

    assert (one.task, one.name, one.default, one.research) == ("face", "centerface", True, False)
    assert (other.name, other.default, other.research) == ("expression", False, True)


def test_backgrounds_are_listed(asking: Asking) -> None:
    sky = {"name": "sky", "tags": ["blue"], "moods": ["calm"], "palette": ["#1f6fb0"]}
    linen = {"name": "linen", "brightness": 0.5, "surface": True}

    one, other = asking(Script(a_page(sky, linen))).do("backgrounds")

    assert (one.name, one.tags, one.moods) == ("sky", ("blue",), ("calm",))
    assert (one.palette, one.brightness, one.surface) == (("#1f6fb0",), None, False)
    assert (other.brightness, other.surface) == (0.5, True)


def test_thumbnail_of_a_background_is_read_by_its_name(asking: Asking) -> None:
    shown = httpx.Response(200, content=b"webp", headers={"Content-Type": "image/webp"})
    server = Script(shown)

    thumbnail = asking(server).do("thumbnail", "site/lobby")

    assert server.seen[0].url.raw_path == b"/v1/backgrounds/site/lobby/thumbnail"
    assert (thumbnail.media_type, thumbnail.content) == ("image/webp", b"webp")
