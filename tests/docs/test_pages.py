"""Commands in the docs work in a fresh copy, and print the shown output."""

import base64
import datetime as dt
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from PIL import Image
from standardwebhooks import Webhook

from smart_filter_tests.full_stack import PHOTO
from smart_filter_tests.page_walk import Walk, of_the_test, type_all, walk

CHECKOUT = Path(__file__).parents[2]
GUIDE = "docs/client.md"
PORT = 8765  # of the pages' `smart-filter up`
# A copy's first `make run` and `make test` take a minute each.
PATIENCE_SECONDS = 1200
# Files of a used checkout that are not in the repository.
IGNORED = (
    *(".git", ".venv*", ".*_cache", "build", "node_modules", "__pycache__", "*.smart-filter.*"),
    *("*.egg-info", ".hypothesis"),
)
USED = shutil.ignore_patterns(*IGNORED)
# The user's own variables, which would refer to other places than the copy.
ELSEWHERE = {"PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    """The repository as a newcomer has it; not below pytest's own folder, which is private."""
    with tempfile.TemporaryDirectory(prefix="smart-filter-docs-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as another user under root
        copy = Path(folder) / "smart-filter"
        shutil.copytree(CHECKOUT, copy, ignore=USED)
        yield copy


@pytest.fixture
def environment(checkout: Path, weights_folder: Path) -> Mapping[str, str]:
    """A newcomer's environment, with a data folder that holds only the weights."""
    with socket.socket() as tried:
        is_taken = tried.connect_ex(("127.0.0.1", PORT)) == 0
    assert not is_taken, f"something listens on {PORT}, where the pages have their server: end it"
    data = Path(tempfile.mkdtemp(dir=checkout.parent))
    data.chmod(0o711)
    (data / "weights").symlink_to(weights_folder)
    own = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    return {
        **own,
        "PATH": f"{checkout}/.venv/bin:{own['PATH']}",
        "SMART_FILTER_DATA": str(data),
        # The tests that `make test` runs here: one file, and not this one again.
        "TESTS": "tests/unit/shared/test_rating.py",
        "COLUMNS": "120",
    }


@pytest.mark.timeout(PATIENCE_SECONDS)
@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_commands_of_a_page_print_what_the_page_shows(
    page: str, checkout: Path, environment: Mapping[str, str], tmp_path: Path
) -> None:
    before = files_of(checkout)
    with walk(page, folder=checkout, scratch=tmp_path, environment=environment) as terminal:
        typed = type_all(terminal, (checkout / page).read_text())

    assert typed > 5
    assert files_of(checkout) - before == set()


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_three_steps_lead_from_removebg_to_a_picture(
    checkout: Path, environment: Mapping[str, str], tmp_path: Path
) -> None:
    page = "docs/removebg.md"
    shutil.copy(PHOTO, checkout / "me.jpg")

    with walk(page, folder=checkout, scratch=tmp_path, environment=environment) as terminal:
        terminal.type(of_the_test("deploy/bootstrap.sh run\n"))
        typed = type_all(terminal, (checkout / page).read_text())

    assert typed > 2
    with Image.open(checkout / "no-bg.png") as picture:
        assert picture.mode == "RGBA"


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_programs_of_the_client_guide_print_what_it_shows(
    checkout: Path, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with walk(GUIDE, folder=checkout, scratch=tmp_path, environment=environment) as terminal:
        terminal.type(of_the_test("deploy/bootstrap.sh dev\n"))
        terminal.type(of_the_test(f"smart-filter up --port {PORT}\n", stays=True))
        for name in ("me.jpg", "you.jpg"):
            Image.open(PHOTO).convert("RGB").save(checkout / name)
        Image.new("RGB", (64, 64), "skyblue").save(checkout / "sky.png")

        typed = type_all(terminal, (checkout / GUIDE).read_text())

        assert typed > 10
        assert received(terminal) == "204"
        other = "whsec_" + base64.b64encode(bytes(32)).decode()
        assert received(terminal, secret=other) == "400"
    for name in ("me-navy.jpg", "me.cut-out.png", "you.cut-out.png"):
        with Image.open(checkout / name) as picture:
            assert picture.size == (512, 512)


def files_of(checkout: Path) -> set[str]:
    """Return the files at the top of a checkout, and its folders, that git does not ignore."""
    return {path.name for path in checkout.iterdir() if not any(map(path.match, IGNORED))}


def received(terminal: Walk, *, secret: str | None = None) -> str:
    """Return the answers of the guide's receiver to webhooks of the reference implementation."""
    own = terminal.type(of_the_test("print(secret)\n", language="python")).strip()
    described = json.loads((CHECKOUT / "docs/openapi.json").read_text())["webhooks"]["job.failed"]
    content = described["post"]["requestBody"]["content"]["application/json"]
    body = json.dumps(content["examples"]["event"]["value"])
    now = dt.datetime.now(dt.UTC)
    headers = {
        "webhook-id": "e1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret or own).sign("e1", now, body),
    }
    call = f"print(receive({headers!r}, {body.encode()!r}))\n"
    return terminal.type(of_the_test(call, language="python")).split()[-1]
