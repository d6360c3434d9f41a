"""`run`, `submit` and `up`: real processes, servers and photos."""

import contextlib
import io
import json
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from acceptance.machine import Machine
from smart_filter_deploy.embedded import folder
from smart_filter_deploy.embedded.addresses import free_port
from smart_filter_shared.security.outbound_rules import SETTING
from smart_filter_tests.full_stack import PHOTO, RunningStack
from smart_filter_tests.outages import wait_until
from smart_filter_tests.patience import PATIENCE_SECONDS
from smart_filter_tests.serving import refusal_of
from smart_filter_tests.tls_certificates import create_certificate
from smart_filter_tests.web import a_site, ok
from smart_filter_tests.webhook_receiver import a_receiver

STAGES = ["prepare", "segmentation", "face", "smile", "composite"]


def a_folder(data: Path, weights: Path) -> Path:
    """Return a new data folder with the weights that other tests have too."""
    data.mkdir(mode=0o711)
    (data / "weights").symlink_to(weights)
    return data


@pytest.fixture(scope="module")
def quiet_folder(data_folder: Path, weights_folder: Path) -> Path:
    return a_folder(data_folder / "cli-quiet", weights_folder)


@pytest.fixture(scope="module")
def up_folder(data_folder: Path, weights_folder: Path) -> Path:
    return a_folder(data_folder / "cli-up", weights_folder)


@pytest.fixture
def machine(quiet_folder: Path, tmp_path: Path) -> Machine:
    """A machine without a running stack."""
    machine = Machine(quiet_folder, tmp_path)
    assert machine.is_quiet()
    return machine


def test_run_starts_its_servers_shows_its_findings_and_leaves_nothing(machine: Machine) -> None:
    ended = machine.run("run")

    assert ended.returncode == 0, ended.stderr
    assert machine.is_quiet()
    assert machine.picture("astronaut.smart-filter.jpg").shape == (512, 512, 3)
    for stage in STAGES:
        assert f"{stage} succeeded in " in ended.stdout
    for printed in ("1 person, 1 face", "both eyes open", "rating", "0.8 × ", "data folder: "):
        assert printed in ended.stdout
    assert "astronaut.smart-filter.jpg  512 × 512 jpg" in ended.stdout
    (told,) = [line for line in ended.stdout.splitlines() if "research weights" in line]
    assert "(centerface, expression, faces, lids, light, people): under Apache-2.0 and MIT" in told
    assert "for commercial use set SMART_FILTER_RESEARCH_WEIGHTS=off" in told
    assert "emotions are read in faces: SMART_FILTER_EMOTIONS=off" in told
    assert not {"\x1b", "\r", "\b"} & set(ended.stdout + ended.stderr)


def test_photo_and_picture_go_through_pipes(machine: Machine) -> None:
    ended = machine.pipe("run", "-", "-o", "-", content=PHOTO.read_bytes())

    assert ended.returncode == 0, ended.stderr
    with Image.open(io.BytesIO(ended.stdout)) as picture:
        assert picture.size == (512, 512)
    assert b"\nstdin\n" in ended.stderr
    assert list(machine.here.iterdir()) == []


@pytest.mark.slow
def test_temporary_stack_does_not_reach_this_machine_for_its_clients(machine: Machine) -> None:
    ended = machine.run("run", str(PHOTO), "--background", "url:http://127.0.0.1:9/beach.jpg")

    assert ended.returncode == 2, ended.stderr
    assert SETTING in ended.stderr.splitlines()[-1]


@pytest.mark.slow
def test_simultaneous_runs_share_one_stack(machine: Machine) -> None:
    first = machine.start("run", "-o", "first.png", "--json")
    second = machine.start("run", "-o", "second.png", "--json")
    with first, second:
        said = [process.communicate(timeout=PATIENCE_SECONDS)[1] for process in (first, second)]

    assert [first.returncode, second.returncode] == [0, 0], said
    assert machine.picture("first.png").shape == machine.picture("second.png").shape
    assert machine.is_quiet()


def test_run_uses_the_running_stack_and_leaves_it_running(up: Machine) -> None:
    [line] = up.lines("run", str(PHOTO), "-o", "red.png", "--background", "color:red")

    assert folder.running_stack(up.data) is not None
    assert (
        line["image"].items()
        >= {
            "width": 512,
            "height": 512,
            "format": "png",
            "path": str(up.here / "red.png"),
            "bytes": (up.here / "red.png").stat().st_size,
        }.items()
    )
    assert tuple(up.picture("red.png")[0, 0][:3]) == (255, 0, 0)
    [page] = up.lines("jobs", "list")
    assert page["items"][0]["id"] == line["id"]


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--format=png", "--set=format=png"])
def test_name_of_the_file_must_fit_the_format(up: Machine, option: str) -> None:
    ended = up.run("run", str(PHOTO), "-o", "red.jpg", "--background", "color:red", option)

    assert ended.returncode == 2
    assert "red.jpg names jpg, and the format is png: leave one out" in ended.stderr
    assert not (up.here / "red.jpg").exists()


@pytest.mark.slow
def test_outputs_are_written_next_to_the_picture(up: Machine) -> None:
    up.lines(
        *("run", str(PHOTO), "-o", "out/", "--background", "color:red"),
        *("--outputs", "image,matte,cutout,zip,thumbnail"),
    )

    start = "astronaut"
    assert {path.name for path in (up.here / "out").iterdir()} == {
        *(f"{start}.jpg", f"{start}-matte.png", f"{start}-cutout.png"),
        *(f"{start}-zip.zip", f"{start}-thumbnail.jpg"),
    }
    alone, seen = up.picture(f"out/{start}-cutout.png"), up.picture(f"out/{start}.jpg").astype(int)
    assert np.array_equal(alone[..., 3], up.picture(f"out/{start}-matte.png"))
    assert 0.2 < (alone[..., 3] == 255).mean() < 0.9
    assert np.abs(seen[alone[..., 3] == 0] - [255, 0, 0]).mean() < 3


def test_photos_are_listed_in_order_including_a_failed_one(up: Machine) -> None:
    (up.here / "other").mkdir()
    for name in ("a.png", "other/a.png"):
        shutil.copy(PHOTO, up.here / name)
    (up.here / "broken.png").write_bytes(PHOTO.read_bytes()[:20_000])
    (up.here / "text.png").write_text("no picture")

    lines = up.lines("run", "a.png", "text.png", "broken.png", "other/a.png", status=1)

    assert [line["state"] for line in lines] == ["succeeded", "failed", "failed", "succeeded"]
    assert [line["error"]["code"] for line in lines[1:3]] == [
        "unsupported_media",
        "image_unreadable",
    ]
    assert "image_unreadable" in up.run("jobs", "list", "--state", "failed").stdout
    assert Path(lines[0]["image"]["path"]).name == "a.smart-filter.jpg"
    assert Path(lines[3]["image"]["path"]).name == "a-2.smart-filter.jpg"
    assert {path.name for path in up.here.iterdir()} == {
        *("a-2.smart-filter.jpg", "a.png", "a.smart-filter.jpg", "broken.png", "other", "text.png")
    }


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--set", "nonsense=1"], marks=pytest.mark.slow),
        ["--background", "transparent", "-o", "cut.jpg"],
    ],
    ids=" ".join,
)
def test_recipe_that_the_server_refuses_is_wrong_usage(up: Machine, arguments: list[str]) -> None:
    ended = up.run("run", *arguments, "--json")

    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert not list(up.here.iterdir())


@pytest.mark.slow
def test_submitted_job_is_downloaded_and_deleted(up: Machine, running_stack: RunningStack) -> None:
    job_id = running_stack.submit(background="color:red", outputs="image,cutout,rating")
    running_stack.wait(job_id)

    shown = up.run("jobs", "show", job_id).stdout
    saved = up.run("jobs", "download", job_id, "-o", "all/")
    named = up.run("jobs", "download", job_id, "--output", "image", "-o", "red.jpg", "--json")
    again = up.run("jobs", "download", job_id, "-o", "all/")
    forced = up.run("jobs", "download", job_id, "-o", "all/", "--force")
    missing = up.run("jobs", "download", job_id, "--output", "matte")
    deleted = up.run("jobs", "delete", job_id)
    gone = up.run("jobs", "download", job_id)

    assert f"smart-filter jobs download {job_id}" in shown
    assert {path.name for path in (up.here / "all").iterdir()} == {
        f"{job_id}{number}{ending}" for number in ("", "-2") for ending in (".jpg", "-cutout.png")
    }
    assert saved.stdout.count("\n") == 2
    assert json.loads(named.stdout) == {"id": job_id, "files": {"image": "red.jpg"}}
    assert up.picture("red.jpg").shape == (512, 512, 3)
    assert (again.returncode, again.stdout.count("\n")) == (0, 2)
    assert (forced.returncode, forced.stdout) == (0, saved.stdout)
    assert (missing.returncode, "it has image" in missing.stderr) == (2, True)
    assert (deleted.returncode, deleted.stdout) == (0, f"deleted job {job_id}\n")
    assert (gone.returncode, gone.stderr.count("\n")) == (1, 1)


def test_corrections_make_the_picture_again(up: Machine, running_stack: RunningStack) -> None:
    job_id = running_stack.submit(background="color:red", outputs="image,faces,matte")
    running_stack.wait(job_id)
    drawn = np.full((512, 512), 255, np.uint8)
    Image.fromarray(drawn).save(up.here / "mask.png")

    removed = up.run("jobs", "correct", job_id, "--remove-face", "1", "--json")
    labeled = up.run("jobs", "correct", job_id, "--label", "1:smile=none,left-eye=closed", "--json")
    masked = up.run("jobs", "correct", job_id, "--mask", "mask.png")
    refused = up.run("jobs", "correct", job_id, "--remove-face", "7")

    child, label = json.loads(removed.stdout), json.loads(labeled.stdout)
    assert (child["parent_id"], child["faces"], child["faces_removed"]) == (job_id, [], 1)
    assert label["faces"][0]["smile"]["level"] == "none"
    assert label["faces"][0]["eyes"] == {"left_open": False, "right_open": True}
    up.run("jobs", "download", masked.stdout.split()[0], "--output", "matte", "-o", "masked/")
    [matte] = (up.here / "masked").iterdir()
    assert np.array_equal(np.asarray(Image.open(matte)), drawn)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--remove-face 7: is not one of the 1 detected faces" in refused.stderr


@pytest.mark.slow
def test_unwritable_result_fails_its_photo(up: Machine) -> None:
    (up.here / "out" / "astronaut.jpg").mkdir(parents=True)

    [line] = up.lines("run", "-o", "out/", status=1)

    assert line["error"]["code"] == "unwritable"


@pytest.fixture(scope="module")
def first_line(
    up_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """Start `smart-filter up` for the duration of these tests."""
    machine = Machine(up_folder, tmp_path_factory.mktemp("up"))
    with machine.start("up", "--json") as process, contextlib.ExitStack() as at_end:
        at_end.callback(process.send_signal, signal.SIGTERM)
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
        at_end.pop_all()
        assert (process.returncode, out) == (0, "")
        assert machine.is_quiet()


@pytest.mark.slow
def test_first_line_of_up_contains_the_address_and_sign_in_code(
    first_line: dict[str, Any], up_folder: Path, tmp_path: Path
) -> None:
    assert set(first_line) == {"url", "operators_url", "api_key", "pid", "studio_url"}
    page, _, code = first_line["studio_url"].partition("#code=")
    assert page == f"{first_line['url']}/"
    with httpx.Client(base_url=first_line["url"], timeout=60) as browser:
        assert browser.post("/v1/session", json={"code": code}).status_code == httpx.codes.CREATED
        assert browser.get("/v1/jobs").status_code == httpx.codes.OK

    ended = Machine(Path("/nonexistent"), tmp_path).run(
        *("run", "--json"),
        SMART_FILTER_URL=first_line["url"],
        SMART_FILTER_API_KEY=first_line["api_key"],
    )
    second = Machine(up_folder, tmp_path).run("up", "--json")

    assert ended.returncode == 0, ended.stderr
    assert (second.returncode, second.stdout, second.stderr.count("\n")) == (3, "", 1)
    assert str(first_line["pid"]) in second.stderr


@pytest.mark.slow
def test_first_line_of_up_means_that_a_worker_has_loaded_its_models(
    first_line: dict[str, Any],
) -> None:
    headers = {"Authorization": f"Bearer {first_line['api_key']}"}

    with httpx.Client(base_url=first_line["operators_url"], headers=headers, timeout=60) as client:
        workers = client.get("/v1/operator/standing").json()["workers"]

    serving = [worker for worker in workers if "prepare.light" in worker["capabilities"]]
    # It is busy when an earlier test's photo was in progress at its last heartbeat.
    [worker] = serving
    assert worker["state"] in {"ready", "busy"}


@pytest.mark.slow
def test_up_itself_holds_no_library_but_the_database_driver(first_line: dict[str, Any]) -> None:
    mapped = Path(f"/proc/{first_line['pid']}/maps").read_text()

    packages = set(re.findall(r"/site-packages/(\w+)", mapped))
    # psycopg_binary.libs holds the libraries of psycopg_binary.
    assert packages == {"psycopg_binary"}


@pytest.mark.slow
def test_up_reaches_this_machine_for_its_clients_and_no_other_private_one(
    first_line: dict[str, Any],
) -> None:
    headers = {"Authorization": f"Bearer {first_line['api_key']}"}
    photo = ok(PHOTO.read_bytes())

    with (
        a_receiver() as receiver,
        a_site({"/photo.png": photo}) as site,
        httpx.Client(base_url=first_line["url"], headers=headers, timeout=60) as client,
    ):
        inside = client.post("/v1/webhooks", json={"url": "http://10.0.0.1:3000/hook"})
        asked = {
            "photo_url": f"{site.url}/photo.png",
            "webhook_url": receiver.url,
            "recipe": {"background": "color:red"},
        }
        job = client.post("/v1/jobs", json=asked).json()
        wait_until(lambda: bool(receiver.got))

    assert inside.status_code == 422
    told = json.loads(receiver.got[0].body)["data"]
    assert (told["id"], told["state"]) == (job["id"], "succeeded")


@pytest.mark.slow
def test_doctor_finds_no_fault_in_a_running_stack(
    first_line: dict[str, Any], up_folder: Path, tmp_path: Path
) -> None:
    machine = Machine(up_folder, tmp_path)
    machine.lines("run", "--background", "color:red")  # a worker is registered from here on

    ended = machine.run("doctor")
    [found] = machine.lines("doctor")

    assert ended.returncode == 0, ended.stdout
    assert {line.split()[0] for line in ended.stdout.splitlines()} == {"ok"}
    assert first_line["api_key"] not in ended.stdout
    assert found["ok"]
    assert {finding["what"] for finding in found["findings"]} >= {
        *("api key studio live browsers outbound database clock".split()),
        *("migrations workers broker storage weights".split()),
    }


@pytest.fixture(scope="module")
def https_up(
    data_folder: Path, weights_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Machine, dict[str, Any]]]:
    """Start `smart-filter up` with https for other machines, without emotions or a broker."""
    machine = Machine(
        a_folder(data_folder / "cli-https", weights_folder), tmp_path_factory.mktemp("h")
    )
    create_certificate(machine.here, "localhost")
    https = (
        *("--tls-certificate", "tls/fullchain.pem", "--tls-key", "tls/privkey.pem"),
        *("--tls-host", "0.0.0.0", "--tls-port", str(free_port())),
    )
    words = ("up", "--no-live", "--no-broker", *https)
    with machine.start(*words, SMART_FILTER_EMOTIONS="off") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            yield machine, json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert "research weights are in use" in said
    assert "SMART_FILTER_EMOTIONS" not in said


@pytest.mark.slow
def test_up_for_other_machines_does_not_reach_this_one_for_them(
    https_up: tuple[Machine, dict[str, Any]],
) -> None:
    _, first = https_up
    headers = {"Authorization": f"Bearer {first['api_key']}"}

    with a_site({"/photo.png": ok(PHOTO.read_bytes())}) as site:
        asked = {"photo_url": f"{site.url}/photo.png"}
        answer = httpx.post(f"{first['url']}/v1/jobs", json=asked, headers=headers, timeout=60)

    assert refusal_of(answer) == (422, "invalid_photo_url")
    assert site.requests == []


@pytest.mark.slow
def test_up_without_a_broker_takes_photos_and_is_not_degraded(
    https_up: tuple[Machine, dict[str, Any]],
) -> None:
    machine, first = https_up
    shutil.copy(PHOTO, machine.here / "astronaut.png")

    [line] = machine.lines("run", "astronaut.png")

    standing = httpx.get(f"{first['operators_url']}/readyz", timeout=PATIENCE_SECONDS).json()
    assert (line["state"], standing["degraded"]) == ("succeeded", [])


@pytest.mark.slow
def test_doctor_warns_of_the_certificate_that_up_serves(
    https_up: tuple[Machine, dict[str, Any]],
) -> None:
    machine, _ = https_up

    [found] = machine.lines("doctor")

    levels = {finding["what"]: finding["level"] for finding in found["findings"]}
    assert levels["https"] == "warn"


@pytest.mark.slow
def test_list_of_models_says_whose_they_are(https_up: tuple[Machine, dict[str, Any]]) -> None:
    machine, first = https_up

    listed = machine.run("models", "list", SMART_FILTER_RESEARCH_WEIGHTS="off").stdout

    assert f"models of the server {first['url']}, by its own settings" in listed.splitlines()[-1]
    assert "people *" in listed


def test_mask_of_the_command_line_is_the_matte(up: Machine) -> None:
    shutil.copy(PHOTO, up.here / "astronaut.png")
    drawn = np.zeros((512, 512), np.uint8)
    drawn[100:300] = 255
    Image.fromarray(drawn).save(up.here / "mask.png")

    ended = up.run(
        *("run", "astronaut.png", "--mask", "mask.png", "--background", "transparent"),
        *("-o", "cut.png"),
    )

    assert ended.returncode == 0, ended.stderr
    assert np.array_equal(np.asarray(Image.open(up.here / "cut.png"))[..., 3], drawn)


def test_submitted_photos_are_listed_and_not_waited_for(
    up: Machine, running_stack: RunningStack
) -> None:
    (up.here / "photos").mkdir()
    shutil.copy(PHOTO, up.here / "photos" / "0.jpg")
    (up.here / "photos" / "text.jpg").write_text("no picture")

    ended = up.run("submit", "photos/0.jpg", "photos/text.jpg", "--json")
    printed = up.run("submit", "photos/0.jpg")

    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 1
    assert [line["state"] for line in lines] == ["queued", "failed"]
    assert lines[1]["error"]["code"] == "unsupported_media"
    assert printed.returncode == 0
    job_id, photo = printed.stdout.split()
    assert photo == "photos/0.jpg"
    answer = running_stack.client.get(f"/v1/jobs/{job_id}")
    assert answer.status_code == httpx.codes.OK
