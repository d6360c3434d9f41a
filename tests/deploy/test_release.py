"""deploy/release.sh and the workflow that runs it; nothing is built or pushed here."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
SCRIPT = CHECKOUT / "deploy" / "release.sh"
WORKFLOWS = sorted((CHECKOUT / ".github" / "workflows").glob("*.yml"))
RELEASE: dict[str, Any] = yaml.safe_load((CHECKOUT / ".github/workflows/release.yml").read_text())
IMAGES = ["api", "worker-cpu", "worker-cpu-torch", "worker-gpu"]


def run_script(
    folder: Path, *arguments: str, **variables: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the script with programs that only write down their arguments; return these, too."""
    programs = folder / "programs"
    programs.mkdir()
    calls = folder / "calls"
    for name in ("docker", "cosign"):
        program = programs / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $*" >> "{calls}"\n'
            "case $* in *Digest*) echo sha256:0123 ;; esac\n"
        )
        program.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name[:6] != "GITHUB"}
    ended = subprocess.run(
        [SCRIPT, *arguments],
        env={**environment, "PATH": f"{programs}:{os.environ['PATH']}", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended, calls.read_text().splitlines() if calls.exists() else []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflow_pins_actions_by_commit_and_allows_only_reading(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text())

    used = re.findall(r"uses: (.*)", file.read_text())

    assert used
    for one in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", one), one
    assert workflow["permissions"] == {"contents": "read"}


def test_workflow_builds_and_publishes_every_image_after_a_tag() -> None:
    jobs = RELEASE["jobs"]

    # YAML 1.1 reads the key `on` as true.
    assert RELEASE[True] == {"push": {"tags": ["v[0-9]*"]}}
    assert jobs["build"]["strategy"]["matrix"]["image"] == IMAGES
    assert jobs["publish"]["strategy"]["matrix"]["image"] == IMAGES
    assert jobs["publish"]["needs"] == ["build", "sbom"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert [command for command in commands if command.startswith("deploy/release.sh")] == [
        "deploy/release.sh push ${{ matrix.image }}",
        "deploy/release.sh publish ${{ matrix.image }}",
        "deploy/release.sh rehearse",
    ]
    assert jobs["packages"]["needs"] == ["publish", "rehearse"]


def test_release_builds_nothing_while_an_image_of_others_has_no_digest() -> None:
    steps = [step.get("run", "") for step in RELEASE["jobs"]["build"]["steps"]]

    push = "deploy/release.sh push ${{ matrix.image }}"
    assert steps.index("deploy/pin_images.sh check") < steps.index(push)


def test_job_that_signs_runs_no_packages_of_development() -> None:
    signing = [job for job in RELEASE["jobs"].values() if "id-token" in job.get("permissions", {})]

    assert [job["name"] for job in signing] == [
        "Publish ${{ matrix.image }}",
        "Publish the packages",
    ]
    assert not [step for job in signing for step in job["steps"] if "make " in step.get("run", "")]


def test_architectures_of_the_workflow_are_those_that_are_joined(tmp_path: Path) -> None:
    matrix = RELEASE["jobs"]["build"]["strategy"]["matrix"]
    left_out = [tuple(one.values()) for one in matrix["exclude"]]
    built = {
        (image, one)
        for image in IMAGES
        for one in matrix["architecture"]
        if (image, one) not in left_out
    }

    joined = set()
    for image in IMAGES:
        folder = tmp_path / image
        folder.mkdir()
        ended, calls = run_script(folder, "publish", image, IMAGES="registry.test/Acme")
        assert ended.returncode == 0, ended.stderr
        [create] = [call for call in calls if "imagetools create" in call]
        joined |= {(image, one) for one in re.findall(r"-(amd64|arm64)\b", create)}
        [signed] = [call for call in calls if call.startswith("cosign")]
        assert re.fullmatch(r"cosign sign --yes registry\.test/acme/\S+@sha256:0123", signed)

    assert joined == built


def test_build_loads_the_image_that_the_compose_file_names(tmp_path: Path) -> None:
    ended, calls = run_script(tmp_path, "build", *IMAGES, IMAGES="registry.test/acme")

    assert ended.returncode == 0, ended.stderr
    names = re.findall(r"--load --tag (\S+)", "\n".join(calls))
    composed = (CHECKOUT / "deploy" / "compose.release.yml").read_text()
    expected = re.sub(r"\$\{SMART_FILTER_IMAGES:-[^}]*\}", "registry.test/acme", composed)
    for name in (names[0], names[1]):
        image, _, tag = name.rpartition(":")
        version, _, variant = tag.partition("-")
        suffix = "-${WORKER_VARIANT:-" + variant + "}" if variant else ""
        assert f"image: {image}:${{SMART_FILTER_VERSION:-{version}}}{suffix}\n" in expected


def test_tag_of_another_version_publishes_nothing(tmp_path: Path) -> None:
    ended, calls = run_script(tmp_path, "publish", "api", GITHUB_REF_NAME="v99.0.0")

    assert ended.returncode == 2
    assert "the tag is v99.0.0, but pyproject.toml has " in ended.stderr
    assert calls == []
