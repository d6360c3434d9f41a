"""Dockerfiles: a linter's and our own rules; no image is built here."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
FILES = ("Dockerfile.api", "Dockerfile.gpu-worker")


def instructions(name: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions with their arguments, each in one line."""
    text = re.sub(r"^#.*\n", "", (CHECKOUT / name).read_text(), flags=re.MULTILINE)
    joined = text.replace("\\\n", " ").splitlines()
    return [(word, " ".join(rest.split())) for word, _, rest in (x.partition(" ") for x in joined)]


@pytest.mark.parametrize("name", FILES)
def test_linter_reports_nothing(name: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")  # of the extra `dev`

    ended = subprocess.run(
        [hadolint, "--no-color", name], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("name", FILES)
def test_image_runs_without_privileges_or_secrets(name: str) -> None:
    given = instructions(name)

    last_from = max(index for index, (word, _) in enumerate(given) if word == "FROM")
    users = [rest for word, rest in given[last_from:] if word == "USER"]
    assert users == ["10001:10001"]
    assert ("ENTRYPOINT", '["smart-filter"]') in given
    values = [rest for word, rest in given if word in {"ARG", "ENV"}]
    assert not [rest for rest in values if re.search(r"PASSWORD|SECRET|_KEY|TOKEN", rest)]


def test_worker_image_has_both_variants_no_telemetry_and_our_detectron2_build() -> None:
    given = instructions("Dockerfile.gpu-worker")
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    (declared,) = (
        one.partition(" @ ")[2]
        for one in project["optional-dependencies"]["detectron2"]
        if one.startswith("detectron2 @")
    )

    stages = {rest.rpartition(" AS ")[2] for word, rest in given if word == "FROM"}
    variables = " ".join(rest for word, rest in given if word == "ENV")
    assert {"build-gpu", "build-cpu", "run-gpu", "run-cpu"} <= stages
    assert "ORT_DISABLE_TELEMETRY=1" in variables.split()
    assert ("ARG", f"DETECTRON2={declared}") in given


def pins(lock: str) -> dict[str, str]:
    """Return the version of each package of a lock file, markers included."""
    text = (CHECKOUT / f"requirements{lock}.lock").read_text()
    return dict(re.findall(r"^([\w.-]+)==(.*?) \\$", text, re.MULTILINE))


def test_frameworks_have_the_versions_of_the_model_tests() -> None:
    tested, developed = pins("-models"), pins("-dev")
    installed = " ".join(rest for word, rest in instructions(FILES[1]) if word == "RUN")

    (torch,) = re.findall(r" torch==([0-9.]+)", installed)
    assert f"torch=={torch}" in (CHECKOUT / "deploy" / "bootstrap.sh").read_text()
    for lock, tensorflow in (("-worker-cpu", "tensorflow-cpu"), ("-worker-gpu", "tensorflow")):
        pinned = pins(lock)
        assert pinned[tensorflow] == tested["tensorflow-cpu"]
        assert (pinned["keras"], pinned["h5py"]) == (tested["keras"], tested["h5py"])
    gpu, cpu = pins("-worker-gpu"), pins("-worker-cpu")
    assert "onnxruntime" not in gpu  # two builds would shadow each other
    assert gpu["onnxruntime-gpu"] == cpu["onnxruntime"] == developed["onnxruntime"]


@pytest.mark.parametrize("lock", ["-api", "-build", "-worker-cpu", "-worker-gpu"])
def test_images_have_the_tested_versions(lock: str) -> None:
    tested = {name: version.partition(" ;")[0] for name, version in pins("-dev").items()}
    # With Python 3.12, the lock for 3.11 and later selects another fork.
    forked = {"numpy", "scipy"}

    pinned = {name: version.partition(" ;")[0] for name, version in pins(lock).items()}

    assert pinned
    other = {name for name in pinned.keys() & tested.keys() if pinned[name] != tested[name]}
    assert other - forked == set()


@pytest.mark.parametrize("name", FILES)
def test_packages_are_installed_by_their_digest(name: str) -> None:
    runs = " && ".join(rest for word, rest in instructions(name) if word == "RUN")
    installs = re.findall(r"pip (?:--python \S+ )?(?:install|wheel) (.*?)(?= && |$)", runs)

    # torch has its own index, detectron2 is a commit, and wheels were built before.
    others = [one for one in installs if not re.search(r"--require-hashes|--no-index", one)]

    assert [re.findall(r"torch==|detectron2 @|--no-deps .* \.$", one) for one in others] == [
        *([] if name == "Dockerfile.api" else [["torch=="], ["detectron2 @"]]),
        ["--no-deps --no-build-isolation --wheel-dir /wheels ."],
    ]


@pytest.mark.parametrize("name", FILES)
def test_images_have_the_version_of_the_package(name: str) -> None:
    version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]

    values = set(re.findall(r"smart-filter-[a-z-]+:(\d[0-9.]*\d)", (CHECKOUT / name).read_text()))

    assert values == {version}


def test_build_context_has_the_copied_files_and_no_secrets() -> None:
    allowed = {
        line[1:]
        for line in (CHECKOUT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        source.replace("${VARIANT}", variant)
        for name in FILES
        for word, rest in instructions(name)
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
        for variant in ("cpu", "gpu")
    }

    assert copied - allowed == set()
    assert {one for one in allowed if one.endswith(".lock")} <= copied
    assert "deploy/*" in (CHECKOUT / ".dockerignore").read_text().splitlines()
