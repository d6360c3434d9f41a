"""`smart-filter recipes`: saved recipes in a terminal, and as one YAML file."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from integration.picture_worker import picture_worker
from smart_filter_api.auth.api_keys import Scope
from smart_filter_deploy.cli.commands import recipe_file
from smart_filter_shared import stock
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.ids import Tenant
from smart_filter_shared.stock.descriptions import Description
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.commands import Command
from smart_filter_tests.pictures import encode
from smart_filter_tests.serving import Api, a_photo
from smart_filter_workers.stock import ingest

OTHER = Tenant("other")


def a_picture(level: int = 90, mode: str = "RGB", size: tuple[int, int] = (30, 20)) -> bytes:
    return encode(Image.new(mode, size, (level,) * len(mode)), "PNG")


def keep(bench: Bench, name: str, *, is_logo: bool = False, mode: str = "RGB") -> None:
    servers = Backends(bench.engine, bench.store)
    called = Description(name, name.title(), (), None)
    content = a_picture(mode=mode)
    ingest.store_picture(servers, content, called, tenant=TENANT, is_logo=is_logo)


@pytest.fixture
def recipes(owner_command: Command, remote_command: Command) -> Command:
    """The command line of an administrator, on the servers with the rights of their owner."""
    del owner_command
    return remote_command


def as_tenant(api: Api, monkeypatch: pytest.MonkeyPatch, tenant: Tenant) -> None:
    monkeypatch.setenv("SMART_FILTER_API_KEY", api.key(*Scope, tenant=tenant))


def saved(api: Api, name: str) -> Any:  # noqa: ANN401 - JSON
    return api.read(f"/v1/recipes/{name}")["recipe"]


def test_options_are_saved_listed_and_deleted(api: Api, recipes: Command) -> None:
    said = recipes.output(
        *("recipes", "save", "shop", "--background", "color:teal", "--set", "quality=70")
    )

    assert said == "saved shop; use it with --recipe shop\n"
    assert saved(api, "shop") == {"background": "color:teal", "quality": "70"}
    listed = recipes("recipes", "list")["items"]
    assert (listed[0]["name"], listed[0]["built_in"]) == ("shop", False)
    assert "amazon-main" in recipes.output("recipes", "list")
    assert recipes.output("recipes", "delete", "shop") == "deleted shop\n"
    assert recipes.status("recipes", "delete", "shop") != 0


def test_recipe_is_copied_from_others(api: Api, recipes: Command) -> None:
    recipes.output("recipes", "save", "dark", "--recipe", "story", "--background", "color:#111")

    assert saved(api, "dark") == {
        "size": "1080x1920",
        "background": "color:#111",
    }


def test_built_in_recipe_that_is_hidden_is_named(recipes: Command) -> None:
    said = recipes.output("recipes", "save", "amazon-main", "--format", "png")

    assert said.endswith("; it hides the built-in amazon-main until you delete it\n")
    assert "hides" not in recipes.output("recipes", "save", "amazon-main", "--format", "jpg")


def test_wrong_recipe_is_wrong_usage(recipes: Command) -> None:
    assert "'nowhere' is not a preset" in recipes.usage_error(
        "recipes", "save", "shop", "--background", "preset:nowhere"
    )
    assert "filname: is not a field of a recipe; did you mean filename?" in recipes.usage_error(
        "recipes", "save", "shop", "--set", "filname=x"
    )
    for named in (("save", "A/b", "--format", "png"), ("delete", "../x")):
        assert f"name: '{named[1]}' is not a name of" in recipes.usage_error("recipes", *named)
    error = recipes.usage_error("recipes", "save", "shop", "--set", "filename=\udcff")
    assert "argument b'filename=\\xff' is not UTF-8" in error
    assert "an empty recipe" in recipes.usage_error("recipes", "save", "shop")
    assert "no saved recipe gone" in recipes.usage_error(
        "recipes", "save", "shop", "--recipe", "gone"
    )


def test_refusal_of_a_scope_says_how_to_get_a_key_with_it(
    api: Api, recipes: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMART_FILTER_API_KEY", api.key(Scope.READ))

    error = recipes.usage_error("recipes", "save", "shop", "--format", "png")

    assert "the key lacks the scope admin; " in error
    assert "keys create --tenant NAME --scopes submit,read,admin`" in error


@pytest.mark.parametrize("watch", [["--watch"], []])
@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (("--recipe", "nope"), "'nope' is not a saved recipe"),
        (("--set", "foo=1", "--set", "quality=700"), "foo: is not a field of a recipe"),
        (("--background", "transparent", "--format", "jpg"), "jpg has no transparency"),
    ],
)
def test_wrong_recipe_ends_a_batch_before_it_begins(
    recipes: Command, tmp_path: Path, wish: tuple[str, ...], said: str, watch: list[str]
) -> None:
    photo = tmp_path / "inbox" / "a.jpg"
    photo.parent.mkdir()
    photo.write_bytes(a_photo())

    error = recipes.usage_error(
        *("batch", str(photo.parent), "-o", str(tmp_path / "new" / "out"), *watch, *wish)
    )

    assert said in error
    assert "upload_id" not in error
    assert [path for path in tmp_path.rglob("*") if path != photo] == [photo.parent]


def test_file_moves_recipes_and_their_pictures_to_another_tenant(
    api: Api, bench: Bench, recipes: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(bench, "wall")
    keep(bench, "acme", is_logo=True, mode="RGBA")
    fields = {
        "background": "preset:tenant/wall+linen",
        "logo": "tenant/acme",
        "crop": True,
        "quality": 70,
        "filters": [{"name": "caption", "params": {"text": "Ünïcode: «yes», 'no', 12:30"}}],
        "metadata": {"day": "2026-11-27", "on": "yes"},
        "filename": "{name}-{n}",
    }
    api.client.put("/v1/recipes/shop", json={"recipe": fields}).raise_for_status()
    file = tmp_path / "brand.yaml"

    said = recipes.output("recipes", "export", str(file), "--pictures")
    as_tenant(api, monkeypatch, OTHER)
    with picture_worker(bench):
        imported = recipes.output("recipes", "import", str(file))
        again = recipes.output("recipes", "import", str(file))

    assert said == f"wrote shop, tenant/acme, tenant/wall to {file}\n"
    assert imported == "added tenant/acme\nadded tenant/wall\nsaved shop\n"
    assert again == "unchanged tenant/acme\nunchanged tenant/wall\nsaved shop\n"
    theirs = api.client.get("/v1/recipes/shop", headers=api.headers(*Scope, tenant=OTHER))
    assert theirs.json()["recipe"] == fields
    with bench.transaction() as connection:
        pictures = [entry.picture for entry in stock.list_owned(connection, OTHER)]
    assert [(one.name, one.title, one.is_logo) for one in pictures] == [
        ("acme", "Acme", True),
        ("wall", "Wall", False),
    ]
    assert bench.read(pictures[1].key) == a_picture()


def test_import_of_pictures_with_a_key_that_may_not_add_them_writes_nothing(
    api: Api, bench: Bench, recipes: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "brand.yaml"
    picture = {"base64": base64.b64encode(a_picture()).decode()}
    file.write_text(yaml.safe_dump({"version": 1, "pictures": {"tenant/wall": picture}}))
    monkeypatch.setenv("SMART_FILTER_API_KEY", api.key(Scope.READ))

    assert "the key lacks the scope admin" in recipes.usage_error("recipes", "import", str(file))
    with bench.transaction() as connection:
        assert stock.list_owned(connection, TENANT) == []


def test_export_of_pictures_without_the_database_says_that_it_needs_it(
    recipes: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMART_FILTER_DATABASE_URL")
    monkeypatch.setenv("SMART_FILTER_DATA", "/nonexistent")
    file = tmp_path / "brand.yaml"

    said = recipes.output("recipes", "export", str(file), "--pictures")

    assert said.count("\n") == 1
    assert "--pictures needs the server's database: no stack is running" in said
    assert not file.exists()


def test_import_replaces_nothing_unless_it_may(api: Api, recipes: Command, tmp_path: Path) -> None:
    file = tmp_path / "brand.yaml"
    file.write_text("version: 1\nrecipes: {shop: {quality: 70}, wrong: {quality: 700}}")
    api.client.put("/v1/recipes/shop", json={"recipe": {"quality": 50}}).raise_for_status()

    said = recipes.output("recipes", "import", str(file))

    assert "shop: you have another recipe of this name" in said
    assert "wrong: " in said
    assert saved(api, "shop") == {"quality": 50}
    assert recipes.status("recipes", "import", str(file), "--replace") == 1  # the wrong one
    assert saved(api, "shop") == {"quality": 70}


def test_file_without_pictures_names_them(
    api: Api, bench: Bench, recipes: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(bench, "acme", is_logo=True)
    api.client.put("/v1/recipes/shop", json={"recipe": {"logo": "tenant/acme"}})
    file = tmp_path / "brand.yaml"
    recipes.output("recipes", "export", str(file), "shop")

    as_tenant(api, monkeypatch, OTHER)
    said = recipes.output("recipes", "import", str(file))

    assert yaml.safe_load(file.read_text()) == {
        "version": 1,
        "recipes": {"shop": {"logo": "tenant/acme"}},
    }
    assert "is not a logo that GET /v1/recipes lists" in said


BOMB = "version: 1\nrecipes:\n  a: &a {x: y}\n  b: *a\n"
MAX_PICTURE_BYTES = 100
LARGE = base64.b64encode(b"x" * (MAX_PICTURE_BYTES + 1)).decode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a file of recipes"),
        ("version: 2", "is not a file of recipes"),
        ("[" * 5000, "is nested deeper"),
        ("a: [1", "is not YAML in line"),
        ("!!python/object/apply:os.system ['true']", "has the tag"),
        (BOMB, "has the anchor or alias a"),
        ("version: 1\nrecipes: [shop]", "recipes is not a list of names"),
        ("version: 1\nrecipes: {shop: keep}", "shop is not an object"),
        ("version: 1\nrecipes: {shop: }", "shop is not an object"),
        ("version: 1\nrecipes: {1: {}}", "recipes has the name 1, which is no text"),
        ("version: 1\nrecipes: {shop: {yes: 1}}", "shop has the name True, which is no text"),
        ("version: 1\nfoo: 1\nrecipes: {}", "has foo, which is none of version"),
        ("version: 1\nrecipes:\n  a: {}\n  a: {}", "has a twice in one object, in line 4"),
        ("version: 1\nrecipes: {a: {crop: true, crop: false}}", "has crop twice"),
        ("version: 1\nrecipes: {shop: {run_at: 2026-11-27}}", "put it in quotes"),
        ("version: 1\nrecipes: {shop: {quality: .nan}}", "put it in quotes"),
        ("version: 1\npictures: {tenant/a: {base64: '%%%'}}", "its base64 is damaged"),
        ("version: 1\npictures: {site/a: {base64: 'AAAA'}}", "a name that begins with tenant/"),
        (f"version: 1\npictures: {{tenant/a: {{base64: {LARGE}}}}}", "more than"),
    ],
)
def test_wrong_file_is_refused(
    recipes: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    # A file of a real limit takes seconds to parse.
    monkeypatch.setattr(recipe_file, "MAX_PICTURE_BYTES", MAX_PICTURE_BYTES)
    file = tmp_path / "brand.yaml"
    file.write_text(text)

    assert words in recipes.usage_error("recipes", "import", str(file))


@pytest.mark.parametrize(
    ("name", "content"),
    [("tenant/a", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), ("tenant/../a", a_picture())],
)
def test_embedded_file_that_is_no_picture_is_refused(
    bench: Bench, recipes: Command, tmp_path: Path, name: str, content: bytes
) -> None:
    file = tmp_path / "brand.yaml"
    picture = {"base64": base64.b64encode(content).decode(), "logo": True}
    file.write_text(yaml.safe_dump({"version": 1, "pictures": {name: picture}}))

    said = recipes.output("recipes", "import", str(file))

    assert f"{name}: " in said
    with bench.transaction() as connection:
        assert stock.list_owned(connection, TENANT) == []
