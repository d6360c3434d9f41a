"""docs/extending.md adds a field of the recipe in three files: done to a copy; all else follows."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from acceptance import extending_page
from acceptance.extending_page import CHECKOUT, FOLDERS

PLACES = {
    "# in Look": (r"(?m)^    harmonize: float", 1),
    "# in add_picture_files": (r"(?m)^    if Output\.IMAGE in recipe\.outputs:\n", 1),
}
# What follows from the declaration, each as JSON under a name of its own.
FOLLOWS = """
import json
from smart_filter_api.openapi import bodies
from smart_filter_api.schemas.recipe import Recipe, Resolved
from smart_filter_client import Recipe as ClientRecipe
from smart_filter_deploy.cli.commands.pictures.run import run
from smart_filter_docs.api_documents import PAGE, write_tables
from smart_filter_shared.errors import InvalidRecipe
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Recipe as Value, from_json
from smart_filter_shared.recipe.fields import parse
from smart_filter_shared.jobs.result_cache import _read_by

read = parse({"mirrored": "true"}, offered={})
try:
    parse({"mirrored": "perhaps"}, offered={})
except InvalidRecipe as refused:
    refusal = refused.errors[0].detail
form = bodies.SUBMISSION["content"]["multipart/form-data"]["schema"]["properties"]["mirrored"]
print(json.dumps({
    "read": read.look.mirrored,
    "refused": refusal,
    "stored": from_json(read.as_json(), seed=1, metadata={}).look.mirrored,
    "request": Recipe.model_json_schema()["properties"]["mirrored"]["anyOf"][0]["type"],
    "answer": Resolved.model_json_schema()["properties"]["mirrored"]["type"],
    "form": [form["x-default"], form["x-group"]],
    "cached": [_read_by(stage, read).get("mirrored") for stage in ("segmentation", "composite")],
    "client": "mirrored" in ClientRecipe.__annotations__,
    "option": [one.help for one in run.params if "--mirrored" in one.opts],
    "page": [line for line in write_tables(PAGE.read_text()).splitlines() if "`mirrored`" in line],
}))
"""


@pytest.mark.slow
def test_field_of_three_files_is_everywhere(tmp_path: Path) -> None:
    blocks = extending_page.blocks_by_file("A recipe field")
    folders = (*FOLDERS, "docs", "tests")
    environment = extending_page.apply_to_copy(blocks, tmp_path, PLACES, folders)
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)

    def run(*arguments: str) -> str:
        ended = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    run("client/generate_recipe.py")
    followed = json.loads(run("-c", FOLLOWS))
    (test,) = (name for name in blocks if name.startswith("tests/"))
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", test)

    text = "Mirror the image from left to right"
    assert len(blocks) == 3
    assert followed == {
        "read": True,
        "refused": "'perhaps' is neither true nor false",
        "stored": True,
        "request": "boolean",
        "answer": "boolean",
        "form": [False, "Edge and light"],
        "cached": [None, True],
        "client": True,
        "option": [f"{text}; false by default."],
        "page": [
            f"| `mirrored` | `false` · `true` | {text}. Cut-outs and the matte stay as they are |"
        ],
    }
