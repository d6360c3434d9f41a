"""The pages about the API: their commands work, and they name every operation."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from smart_filter_tests.full_stack import KEY, PHOTO, RunningStack
from smart_filter_tests.openapi_document import OPENAPI
from smart_filter_tests.page_walk import type_all, walk

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "api").glob("*.md"))
# Answers and deliveries, and a receiver of webhooks, which the client's guide runs.
SHOWN = {"http", "json", "python", "text"}
_NAMES_IN_PATHS = re.compile(r"\{[a-z_]*\}")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page_print_what_the_page_shows(
    page: Path, running_stack: RunningStack, tmp_path: Path
) -> None:
    if shutil.which("jq") is None or shutil.which("curl") is None:
        pytest.skip("no curl or no jq: install them (Debian: sudo apt install curl jq)")
    Image.open(PHOTO).convert("RGB").save(tmp_path / "me.jpg")
    environment = {
        "URL": str(running_stack.client.base_url).removesuffix("/"),
        "OPERATORS_URL": str(running_stack.operators.base_url).removesuffix("/"),
        "KEY": KEY,
        "PATH": os.environ["PATH"],
    }

    with walk(page.name, folder=tmp_path, scratch=tmp_path, environment=environment) as terminal:
        typed = type_all(terminal, page.read_text(), SHOWN)

    assert typed > 0


def test_every_operation_is_on_a_page() -> None:
    text = "".join(page.read_text() for page in PAGES)
    named = _NAMES_IN_PATHS.sub("{}", text)

    paths = {_NAMES_IN_PATHS.sub("{}", path) for path in json.loads(OPENAPI.read_text())["paths"]}

    own = {path for path in paths if not path.startswith(("/v1.0/", "/problems/"))}
    assert {path for path in own if not re.search(rf"{re.escape(path)}(?![\w/])", named)} == set()
