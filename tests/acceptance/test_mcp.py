"""`smart-filter mcp`: an assistant's program calls tools that use a running service."""

import base64
import contextlib
import datetime as dt
import io
import os
import subprocess
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ImageContent, TextContent
from PIL import Image

from smart_filter_deploy.cli.mcp_server import local_files
from smart_filter_deploy.cli.mcp_server.local_files import LocalFolders
from smart_filter_deploy.cli.mcp_server.server import build_server
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES
from smart_filter_tests.full_stack import KEY, PHOTO, RunningStack
from smart_filter_tests.web import a_site, ok

HOPPER = PHOTO.with_name("grace_hopper.jpg")
PREVIEW_PX = 256
LONG_NAME = "n" * 300
IN_AN_HOUR = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()
Journey = Callable[[Client], Awaitable[None]]


def over_stdio(journey: Journey, *arguments: str | Path, **environment: str) -> None:
    """Run a journey with a server process of its own, which reads the photos of tests/data."""
    path, *rest = program.command("mcp", *map(str, arguments or ("--folder", PHOTO.parent)))
    server = StdioServerParameters(command=path, args=rest, env={**os.environ, **environment})

    async def connected() -> None:
        async with Client(server) as client:
            await journey(client)

    anyio.run(connected)


def in_process(journey: Journey) -> None:
    """Run a journey with a server in this process, which reads the photos of tests/data."""

    async def connected() -> None:
        async with Client(build_server(LocalFolders.at([PHOTO.parent]))) as client:
            await journey(client)

    anyio.run(connected)


@pytest.fixture
def environment(running_stack: RunningStack) -> dict[str, str]:
    return {
        "SMART_FILTER_URL": str(running_stack.client.base_url),
        "SMART_FILTER_API_KEY": KEY,
    }


@pytest.fixture
def service(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The service in this process's environment."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture(scope="module")
def http_server(running_stack: RunningStack) -> Iterator[str]:
    """The address of a server that speaks streamable HTTP, and holds no key."""
    port = free_port()
    environment = {**os.environ, "SMART_FILTER_URL": str(running_stack.client.base_url)}
    environment.pop("SMART_FILTER_API_KEY", None)
    with subprocess.Popen(
        program.command("mcp", "--http", "--port", str(port)), env=environment
    ) as process:
        url = f"http://{LOOPBACK}:{port}/mcp"
        running_stack.until(lambda: answers(url))
        yield url
        process.terminate()


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        httpx.get(url, timeout=60)
        return True
    return False


@contextlib.asynccontextmanager
async def over_http(url: str, headers: Mapping[str, str]) -> AsyncGenerator[Client]:
    async with (
        httpx2.AsyncClient(headers=dict(headers), timeout=60) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


def facts(result: CallToolResult) -> dict[str, Any]:
    """Return the structured content of a tool that succeeded; the text says the same."""
    first = result.content[0]
    assert isinstance(first, TextContent)
    assert not result.is_error, first.text
    assert result.structured_content is not None
    return result.structured_content


def sentence(result: CallToolResult) -> str:
    """Return the error of a tool: one line, and no traceback."""
    (only,) = result.content
    assert isinstance(only, TextContent)
    assert result.is_error
    assert "\n" not in only.text
    assert "Traceback" not in only.text
    return only.text


def previews(result: CallToolResult) -> list[Image.Image]:
    pictures = [one.data for one in result.content if isinstance(one, ImageContent)]
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in pictures]


def test_photo_becomes_a_picture_then_another_then_a_file(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    seen: list[tuple[float, float | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        assert message
        seen.append((progress, total))

    async def journey(client: Client) -> None:
        submitted = facts(
            await client.call_tool("submit_photo", {"photo": str(PHOTO), "background": "auto"})
        )
        job = {"job_id": submitted["job_id"]}
        waited = await client.call_tool("wait_for_job", job, progress_callback=note)
        other = await client.call_tool("choose_background", {**job, "background": "color:teal"})
        wish = {"job_id": facts(other)["job_id"], "path": str(tmp_path / "teal.png")}
        saved = facts(await client.call_tool("save_output", wish))
        again = sentence(await client.call_tool("save_output", wish))

        found = facts(waited)
        assert (found["state"], found["people"]) == ("succeeded", 1)
        assert found["faces"] == [{"smile": "huge", "left_eye_open": True, "right_eye_open": True}]
        assert found["background_reason"]
        assert found["other_backgrounds"]
        (preview,) = previews(waited)
        assert max(preview.size) == PREVIEW_PX
        async with httpx.AsyncClient(timeout=60) as without_key:
            linked = await without_key.get(found["links"]["image"])
        assert linked.headers["Content-Type"] == "image/jpeg"
        assert facts(other)["background"] == "color"
        assert saved == {"result": str(tmp_path / "teal.jpg")}
        with Image.open(tmp_path / "teal.jpg") as picture:
            assert picture.size == (512, 512)
        assert again == f"{tmp_path / 'teal.jpg'} exists already; name a new file"

    over_stdio(journey, "--folder", PHOTO.parent, "--folder", tmp_path, **environment)

    assert seen == sorted(set(seen))
    assert seen


@pytest.mark.usefixtures("service")
def test_album_is_ranked_and_its_best_photo_composed() -> None:
    async def journey(client: Client) -> None:
        wish = {"photos": [HOPPER.name, PHOTO.name], "background": "color:navy"}
        album = await client.call_tool("best_of_album", wish)
        again = await client.call_tool("wait_for_album", {"album_id": facts(album)["album_id"]})

        shown = facts(album)
        assert (shown["state"], shown["total"], shown["succeeded"]) == ("finished", 2, 2)
        assert [one["rank"] for one in shown["ranking"]] == [1, 2]
        assert {one["photo_number"] for one in shown["ranking"]} == {1, 2}
        assert [bool(one["job"]["links"]) for one in shown["ranking"]] == [True, False]
        assert len(previews(album)) == 1
        assert facts(again)["ranking"][0]["job"]["job_id"] == shown["ranking"][0]["job"]["job_id"]

    in_process(journey)


def test_caller_over_http_brings_a_key_and_addresses(http_server: str) -> None:
    async def journey(photo: str) -> None:
        async with over_http(http_server, {"Authorization": f"Bearer {KEY}"}) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            rated = facts(await client.call_tool("rate_photo", {"photo": photo}))
            found = facts(await client.call_tool("find_backgrounds", {"words": "studio blue"}))
            refused = await client.call_tool("rate_photo", {"photo": str(PHOTO)})

        assert "save_output" not in tools
        assert (rated["state"], rated["rating"], rated["links"]) == ("succeeded", 100, {})
        assert "preset:studio-blue" in found
        assert sentence(refused).startswith("this server reads no files")

    with a_site({"/a.png": ok(PHOTO.read_bytes())}) as site:
        anyio.run(journey, f"{site.url}/a.png")


def test_key_that_the_service_rejects_is_an_error_of_the_tool(http_server: str) -> None:
    async def journey() -> None:
        async with over_http(http_server, {"Authorization": "Bearer sf_wrong"}) as client:
            said = sentence(await client.call_tool("find_backgrounds"))
            assert said.startswith("the service rejects the API key")

    anyio.run(journey)


WITH_KEY = ("Authorization", "Bearer sf_any")


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ([], 401, "send an API key of the service in the header `Authorization: Bearer KEY`"),
        ([("Authorization", "Basic abc")], 401, "send an API key"),
        ([("Authorization", "Bearer")], 401, "send an API key"),
        ([WITH_KEY, WITH_KEY], 400, "more than once; send one"),
        ([WITH_KEY, ("Host", "evil.example")], 421, "Invalid Host header"),
        ([WITH_KEY, ("Origin", "https://evil.example")], 403, "Invalid Origin header"),
        ([WITH_KEY], 200, "protocolVersion"),
        ([WITH_KEY, ("Host", "LocalHost:1234")], 200, "protocolVersion"),
    ],
)
def test_caller_over_http_is_checked_before_the_first_message(
    http_server: str, headers: list[tuple[str, str]], status: int, message: str
) -> None:
    first = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    accept = ("Accept", "application/json, text/event-stream")

    answer = httpx.post(http_server, json=first, headers=[*headers, accept], timeout=60)

    assert answer.status_code == status
    assert message in answer.text
    assert answer.headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)
    assert "Mcp-Session-Id" not in answer.headers  # an invented key leaves no session behind


@pytest.mark.slow
def test_canceled_call_cancels_its_jobs(
    environment: Mapping[str, str], running_stack: RunningStack
) -> None:
    mark = uuid.uuid4().hex
    named = {"metadata.test": mark}

    async def journey(client: Client) -> None:
        wish = {"photos": [str(PHOTO)], "recipe": {**named, "run_at": IN_AN_HOUR}}
        async with anyio.create_task_group() as group:

            async def stop(*_: object) -> None:
                group.cancel_scope.cancel()

            await client.call_tool("best_of_album", wish, progress_callback=stop)

    def is_canceled() -> bool:
        jobs = running_stack.client.get("/v1/jobs", params=named).json()["items"]
        return [job["state"] for job in jobs] == ["canceled"]

    over_stdio(journey, **environment)

    running_stack.until(is_canceled)


@pytest.mark.usefixtures("service")
def test_wait_that_ends_early_returns_the_state() -> None:
    async def journey(client: Client) -> None:
        wish = {"photo": PHOTO.name, "recipe": {"run_at": IN_AN_HOUR}}
        job = {"job_id": facts(await client.call_tool("submit_photo", wish))["job_id"]}
        waited = facts(await client.call_tool("wait_for_job", {**job, "timeout_seconds": 0}))

        assert (waited["state"], waited["links"]) == ("queued", {})
        assert "wait_for_job" in waited["next_step"]

    in_process(journey)


def test_error_of_a_tool_is_one_sentence(environment: Mapping[str, str], tmp_path: Path) -> None:
    folder, outside = tmp_path / "photos", tmp_path / "outside"
    for one in (folder, outside):
        one.mkdir()
        (one / "notes.txt").write_text("no picture")
    (folder / "link.txt").symlink_to(outside / "notes.txt")
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "pipe")
    with (folder / "huge.jpg").open("wb") as huge:
        huge.truncate(MAX_PHOTO_BYTES + 1)
    (folder / "empty.jpg").touch()
    (folder / "hard.txt").hardlink_to(outside / "notes.txt")
    none = str(uuid.uuid4())
    outside_sentence = f"is outside the folders that this server may use: {folder}"
    cases: list[tuple[str, dict[str, object], str]] = [
        ("submit_photo", {"photo": "none.jpg"}, f"there is no file {folder / 'none.jpg'}"),
        ("submit_photo", {"photo": "pipe"}, f"there is no file {folder / 'pipe'}"),
        ("submit_photo", {"photo": "../outside/notes.txt"}, outside_sentence),
        ("submit_photo", {"photo": str(outside / "notes.txt")}, outside_sentence),
        ("submit_photo", {"photo": "link.txt"}, outside_sentence),
        ("submit_photo", {"photo": "/etc/passwd"}, outside_sentence),
        ("submit_photo", {"photo": "loop"}, "loop"),
        ("submit_photo", {"photo": "a\0b"}, "is not the path of a file"),
        ("submit_photo", {"photo": "huge.jpg"}, "has 40.0 MB, and a photo has 40 MB at most"),
        ("submit_photo", {"photo": "notes.txt"}, "picture"),
        ("submit_photo", {"photo": "https://"}, "invalid host name"),
        ("submit_photo", {"photo": "a.jpg", "backgroud": "keep"}, "did you mean background?"),
        ("submit_photo", {}, "photo is missing"),
        ("submit_photo", {"photo": ""}, "photo is empty: name a file"),
        ("submit_photo", {"photo": "empty.jpg"}, "empty"),
        ("submit_photo", {"photo": LONG_NAME}, f"{'n' * 20}: file name too long"),
        ("submit_photo", {"photo": "hard.txt"}, "has hard links, which may lead outside"),
        ("submit_photo", {"photo": "a.jpg", "outputs": ["matt"]}, "; did you mean matte?"),
        ("submit_photo", {"photo": "a.jpg", "outputs": ["film"]}, "outputs.0: 'film' is none of"),
        ("rate_photo", {"photo": "a.jpg", "timeout_seconds": 1e9}, "timeout_seconds: input"),
        (
            "find_backgrounds",
            {"words": "studoi zzz"},
            "none has 'studoi'; did you mean studio, none",
        ),
        ("find_backgrounds", {"words": "studio beach"}, "use fewer or other words"),
        ("wait_for_job", {"job_id": "none"}, "job_id: 'none' is not an id; use one that another"),
        ("wait_for_job", {"job_id": "../keys"}, "job_id: '../keys' is not an id"),
        ("wait_for_job", {"job_id": str(uuid.uuid4())}, "job"),
        ("wait_for_album", {"album_id": "../jobs"}, "album_id: '../jobs' is not an id"),
        ("wait_for_album", {"album_id": str(uuid.uuid4())}, "batch"),
        ("choose_background", {"job_id": str(uuid.uuid4()), "background": "keep"}, "job"),
        ("save_output", {"job_id": none, "path": "../x.jpg"}, outside_sentence),
        ("save_output", {"job_id": none, "path": "."}, "is outside the folders"),
        ("save_output", {"job_id": none, "path": "no/x.jpg"}, f"no folder {folder / 'no'}"),
        ("save_output", {"job_id": "../x", "path": "x.jpg"}, "job_id: '../x' is not an id"),
        ("best_of_album", {"photos": []}, "photos: "),
        ("paint_photo", {}, "paint_photo"),
    ]
    said: list[str] = []

    async def journey(client: Client) -> None:
        for tool, arguments, _ in cases:
            said.append(sentence(await client.call_tool(tool, arguments)))

    over_stdio(journey, "--folder", folder, **environment)

    wrong = [(case, text) for case, text in zip(cases, said, strict=True) if case[2] not in text]
    assert wrong == []
    assert local_files.MAX_PHOTO_BYTES == MAX_PHOTO_BYTES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"SMART_FILTER_API_KEY": "sf_wrong"}, "the service rejects the API key"),
        ({"SMART_FILTER_URL": "http://127.0.0.1:1"}, "no answer from http://127.0.0.1:1"),
        ({"SMART_FILTER_URL": "nowhere"}, "'nowhere' is not a server's URL"),
        ({"SMART_FILTER_URL": "", "SMART_FILTER_DATA": "/nonexistent"}, "no stack is running"),
    ],
)
def test_unusable_service_is_one_sentence(
    service: pytest.MonkeyPatch, change: Mapping[str, str], message: str
) -> None:
    for name, value in change.items():
        service.setenv(name, value)

    async def journey(client: Client) -> None:
        for tool in ("rate_photo", "submit_photo"):
            assert message in sentence(await client.call_tool(tool, {"photo": PHOTO.name}))

    in_process(journey)


def test_server_started_in_the_root_of_the_disk_reads_no_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir("/")

    with pytest.raises(ToolError, match="may use: none; start it with --folder DIR"):
        LocalFolders.at([]).photo(str(PHOTO))
