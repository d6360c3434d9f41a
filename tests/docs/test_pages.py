"""What pages tell people to type works in a fresh copy, and prints what they show."""

import base64
import datetime as dt
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from PIL import Image
from standardwebhooks import Webhook

from smart_filter_tests import walkthrough
from smart_filter_tests.running import PHOTO
from smart_filter_tests.walkthrough import Block, Walk

CHECKOUT = Path(__file__).parents[2]
GUIDE = "docs/client.md"
PORT = 8765  # of the pages' `smart-filter up`
# A copy's first `make run` and `make test` take a minute each.
PATIENCE_SECONDS = 400
# Not a newcomer's: what a checkout that was used has beside the repository's own files.
USED = shutil.ignore_patterns(
    *(".git", ".venv*", ".*_cache", "build", "node_modules", "__pycache__", "*.smart-filter.*")
)
# Those of whoever runs the tests, which would lead elsewhere than to the copy.
ELSEWHERE = {"PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    """The repository as a newcomer has it; not below pytest's own folder, which is private."""
    with tempfile.TemporaryDirectory(prefix="smart-filter-docs-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as another user where this one is root
        copy = Path(folder) / "smart-filter"
        shutil.copytree(CHECKOUT, copy, ignore=USED)
        yield copy


@pytest.fixture
def environment(checkout: Path, weights_folder: Path) -> Mapping[str, str]:
    """A newcomer's environment, with a data folder that has the weights and nothing else."""
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
        # What `make test` runs here: one file of it, not this one again.
        "TESTS": "tests/unit/test_rating.py",
        "COLUMNS": "120",
    }


@pytest.mark.timeout(PATIENCE_SECONDS)
@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_what_a_page_says_to_type_prints_what_it_shows(
    page: str, checkout: Path, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with walkthrough.walk(
        page, folder=checkout, scratch=tmp_path, environment=environment
    ) as terminal:
        typed = type_all(terminal)

    assert typed > 5


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_programs_of_the_client_guide_print_what_it_shows(
    checkout: Path, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with walkthrough.walk(
        GUIDE, folder=checkout, scratch=tmp_path, environment=environment
    ) as terminal:
        terminal.type(of_the_test("deploy/bootstrap.sh dev\n"))
        terminal.type(of_the_test(f"smart-filter up --port {PORT}\n", stays=True))
        for name in ("me.jpg", "you.jpg"):
            Image.open(PHOTO).convert("RGB").save(checkout / name)
        Image.new("RGB", (64, 64), "skyblue").save(checkout / "sky.png")

        typed = type_all(terminal)

        assert typed > 10
        assert received(terminal) == "204"
        other = "whsec_" + base64.b64encode(bytes(32)).decode()
        assert received(terminal, secret=other) == "400"
    for name in ("me-navy.jpg", "me.cut-out.png", "you.cut-out.png"):
        with Image.open(checkout / name) as picture:
            assert picture.size == (512, 512)


def type_all(terminal: Walk) -> int:
    """Type every block of a page, and compare; return how many there are."""
    found = walkthrough.blocks((terminal.folder / terminal.page).read_text())
    for block in found:
        printed = terminal.type(block)
        if block.prints is not None:
            where = f"{terminal.page}:{block.line}"
            assert walkthrough.shows(printed, block.prints), f"{where} prints\n{printed}"
    return len(found)


def received(terminal: Walk, *, secret: str | None = None) -> str:
    """Return what the guide's receiver answers to what the reference implementation sends."""
    own = terminal.type(of_the_test("print(secret)\n", language="python")).strip()
    body = '{"type":"job.failed","data":{"id":"j","state":"failed"}}'
    now = dt.datetime.now(dt.UTC)
    headers = {
        "webhook-id": "e1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret or own).sign("e1", now, body),
    }
    call = f"print(receive({headers!r}, {body.encode()!r}))\n"
    return terminal.type(of_the_test(call, language="python")).split()[-1]


def of_the_test(code: str, *, language: str = "sh", stays: bool = False) -> Block:
    return Block(language=language, code=code, line=1, stays=stays, prints=None)
