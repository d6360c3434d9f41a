"""docs/extending.md adds a stage in at most nine files: done to a copy, which runs a photo."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from acceptance import extending_page
from acceptance.extending_page import CHECKOUT
from smart_filter_deploy.cli.server import program

PHOTO = CHECKOUT / "tests" / "data" / "astronaut.png"
MAX_FILES = 9
PLACES = {
    "# in StageName and in TaskName": (r"(?m)^    COMPOSITE = \"composite\"\n", 2),
    "# in PIPELINE": (r"(?m)^    Stage\(\n        StageName\.COMPOSITE,", 1),
    "# before RESULT_TYPES": (r"(?m)^# The result of each stage;", 1),
    "# in RESULT_TYPES": (r"(?m)^    StageName\.COMPOSITE: CompositeResult,\n", 1),
}


@pytest.mark.slow
def test_stage_of_at_most_nine_files_runs(
    tmp_path: Path, data_folder: Path, weights_folder: Path
) -> None:
    data = data_folder / "new_stage"
    shutil.copytree(weights_folder, data / "weights")
    blocks = extending_page.blocks_by_file("A stage")
    environment = extending_page.apply_to_copy(blocks, tmp_path, PLACES)

    ended = subprocess.run(
        [
            *program.command("run", str(PHOTO)),
            *("--background", "preset:studio", "--set", "outputs=image,rating"),
            *("-o", str(tmp_path / "out.jpg"), "--json"),
        ],
        cwd=tmp_path,
        env={**environment, "SMART_FILTER_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert len(blocks) <= MAX_FILES
    assert ended.returncode == 0, ended.stderr + ended.stdout
    (job,) = [json.loads(line) for line in ended.stdout.splitlines()]
    states = {stage["name"]: stage["state"] for stage in job["stages"]}
    assert states["sharpness"] == "succeeded"
    assert set(states.values()) == {"succeeded"}
