"""A published client of remove.bg (npm, `remove.bg` 1.3.0), driven against the running stack.

It is installed by `npm ci` into a folder of the tests: pinned by digests, nothing of it is kept.
"""

import base64
import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from smart_filter_tests.running import KEY, PHOTO, Running
from smart_filter_tests.web import a_site, ok

RECIPE = Path(__file__).parents[1] / "data" / "removebg-client"
INSTALL_SECONDS, RUN_SECONDS = 90, 40

# The client's options, and what it answers: its errors too.
Drive = Callable[..., dict[str, Any]]


def run(*command: str, folder: Path, seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the client is installed in."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("there is no Node.js on this machine")
    folder = tmp_path_factory.mktemp("client")
    shutil.copytree(RECIPE, folder, dirs_exist_ok=True)
    ran = run("npm", "ci", folder=folder, seconds=INSTALL_SECONDS)
    if ran.returncode:
        pytest.skip(f"npm cannot install it here: {ran.stderr[-300:]}")
    return folder


@pytest.fixture
def drive(installed: Path, running_stack: Running) -> Drive:
    """Calls the client with its options."""

    def driven(
        kind: str, source: Path | str, *, key: str = KEY, **options: object
    ) -> dict[str, Any]:
        url = str(running_stack.client.base_url).rstrip("/")
        command = ("node", "drive.js", url, key, kind, str(source), json.dumps(options))
        ran = run(*command, folder=installed, seconds=RUN_SECONDS)
        assert ran.returncode == 0, ran.stderr
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    return driven


def opened(answer: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(answer["base64img"])))


def test_file_is_sent_and_cut_out(drive: Drive) -> None:
    answer = drive(
        *("FILE", PHOTO),
        size="full",
        type="auto",
        scale="50%",
        position="center",
        crop=True,
        crop_margin="10%",
        roi="0% 0% 100% 100%",
        channels="rgba",
        add_shadow=True,
        bg_color="81d4fa",
    )

    picture = opened(answer)
    assert picture.format == "JPEG"
    assert (answer["detectedType"], answer["creditsCharged"]) == ("person", "0.0")
    assert (int(answer["resultWidth"]), int(answer["resultHeight"])) == picture.size
    assert int(answer["rateLimitRemaining"]) > 0


@pytest.mark.slow
def test_base64_is_sent_and_written_to_a_file(drive: Drive, tmp_path: Path) -> None:
    kept = tmp_path / "no-bg.png"

    answer = drive("BASE64", PHOTO, outputFile=str(kept))

    assert kept.read_bytes() == base64.b64decode(answer["base64img"])
    assert (opened(answer).mode, opened(answer).size) == ("RGBA", (500, 500))


@pytest.mark.slow
def test_address_is_sent(drive: Drive) -> None:
    with a_site({"/me.png": ok(PHOTO.read_bytes())}) as site:
        answer = drive("URL", f"{site.url}/me.png", bg_image_url=f"{site.url}/me.png")

    assert (opened(answer).format, opened(answer).size) == ("JPEG", (500, 500))


@pytest.mark.parametrize(
    ("options", "code"), [({"size": "huge"}, "invalid_size"), ({"key": "wrong"}, "auth_failed")]
)
def test_errors_are_read(drive: Drive, options: dict[str, str], code: str) -> None:
    (error,) = drive("FILE", PHOTO, **options)["errors"]

    assert error["code"] == code
