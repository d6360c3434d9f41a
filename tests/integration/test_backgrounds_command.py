"""`smart-filter backgrounds` with a key alone: the tenant's own pictures, over REST."""

from pathlib import Path

import pytest
from PIL import Image

from integration.picture_worker import picture_worker
from smart_filter_api.auth.api_keys import Scope
from smart_filter_tests.commands import Command
from smart_filter_tests.pictures import encode
from smart_filter_tests.serving import Api

NAMES = ("added", "changed", "unchanged", "removed")


def a_file(folder: Path, name: str, level: int = 90) -> str:
    (folder / name).write_bytes(encode(Image.new("RGB", (30, 20), (level,) * 3), "PNG"))
    return str(folder / name)


def test_picture_is_added_replaced_listed_and_removed(
    api: Api, remote_command: Command, tmp_path: Path
) -> None:
    wall, add = a_file(tmp_path, "Our wall.png"), ("backgrounds", "add")
    with picture_worker(api.bench):
        added = remote_command(*add, wall, "--tags", "Brick, red", "--title", "the wall")
        again = remote_command(*add, wall, "--tags", "Brick, red", "--title", "the wall")
        other = a_file(tmp_path, "Our wall.png", level=10)
        kept = remote_command.output(*add, other)
        replaced = remote_command(*add, other, "--replace")
        remote_command(*add, a_file(tmp_path, "mark.png"), "--logo")

    assert [added[one] for one in NAMES] == [["tenant/our-wall"], [], [], []]
    assert [again[one] for one in NAMES] == [[], [], ["tenant/our-wall"], []]
    assert "another picture is named tenant/our-wall: choose another name, or --replace" in kept
    assert [replaced[one] for one in NAMES] == [[], ["tenant/our-wall"], [], []]
    listed = remote_command("backgrounds", "list")["items"]
    assert [(one["name"], one["logo"], one["tags"]) for one in listed[:2]] == [
        ("tenant/mark", True, ["mark"]),
        ("tenant/our-wall", False, ["our", "wall"]),
    ]
    assert "30×20" in remote_command.output("backgrounds", "list")
    assert remote_command("backgrounds", "remove", "our-wall", "tenant/mark")["removed"] == [
        "tenant/our-wall",
        "tenant/mark",
    ]
    assert "no picture has this name" in remote_command.output("backgrounds", "remove", "our-wall")


def test_refused_picture_says_why_and_is_listed(
    api: Api, remote_command: Command, tmp_path: Path
) -> None:
    torn, notes = tmp_path / "torn.png", tmp_path / "notes.png"
    torn.write_bytes(Path(a_file(tmp_path, "whole.png")).read_bytes()[:60])
    notes.write_text("only words")

    with picture_worker(api.bench):
        said = remote_command.output("backgrounds", "add", str(torn), str(notes))

    assert said.count("\n") == 2
    assert f"{torn}: " in said
    assert f"{notes}: " in said
    listed = remote_command.output("backgrounds", "list")
    assert "tenant/torn was refused: " in listed
    api.client.put("/v1/backgrounds/tenant/new", content=(tmp_path / "whole.png").read_bytes())
    assert "pending" in remote_command.output("backgrounds", "list")


def test_options_that_need_the_database_and_keys_without_the_right_say_so(
    api: Api, remote_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = ("backgrounds", "add", a_file(tmp_path, "wall.png"))

    assert "--moods needs the server's database" in remote_command.usage_error(
        *add, "--moods", "calm"
    )
    assert "SMART_FILTER_DATABASE_URL" in remote_command.output(*add, "--tenant", "other")
    monkeypatch.setenv("SMART_FILTER_API_KEY", api.key(Scope.READ))
    assert "the key lacks the scope admin" in remote_command.usage_error(*add)
