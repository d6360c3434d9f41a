"""The content of an API image: what its lock file names, and our own code."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
MOST_BYTES = 150_000_000
NUMERICS = {"ai_edge_litert", "cv2", "numpy", "onnxruntime", "scipy", "tensorflow", "torch"}
INSTALL_SECONDS = 300


def run(*command: str | Path) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment made as Dockerfile.api makes it."""
    copy = tmp_path_factory.mktemp("context")
    for name in ("hatch_build.py", "LICENSE", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, copy)
    for name in ("api", "client", "deploy", "shared", "workers"):
        shutil.copytree(
            CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    environment = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    pip = (sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install")
    quiet = ("--quiet", "--no-compile")
    run(*pip, *quiet, "--require-hashes", "-r", CHECKOUT / "requirements" / "api.lock")
    run(*pip, *quiet, "--no-deps", copy)
    return environment


@pytest.mark.timeout(INSTALL_SECONDS)
def test_api_is_small_and_has_no_numerics(installed: Path) -> None:
    (packages,) = (installed / "lib").glob("python*/site-packages")

    size = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())

    print(f"\ninstalled API: {size / 1e6:.0f} MB")  # noqa: T201 - docs/measurements.md
    assert size <= MOST_BYTES
    assert {path.name for path in packages.iterdir()} & NUMERICS == set()


@pytest.mark.timeout(INSTALL_SECONDS)
def test_imports_of_the_image_are_installed(installed: Path) -> None:
    dockerfile = (CHECKOUT / "Dockerfile.api").read_text()
    (imports,) = re.findall(r'^ +"(import .*)"$', dockerfile, re.MULTILINE)

    run(installed / "bin" / "python", "-c", imports)


@pytest.mark.parametrize("command", ["api", "sender"])
def test_process_of_the_image_starts_without_workers(installed: Path, command: str) -> None:
    arguments = ["--port", "8000"] if command == "api" else []

    ended = subprocess.run(
        [installed / "bin" / "smart-filter", command, *arguments],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.stderr.startswith("smart-filter: SMART_FILTER_DATABASE_URL is not set")
