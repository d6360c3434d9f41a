"""What a bare install can do: talk to a server, and name what is missing for the rest."""

import os
import subprocess
import sys

import pytest

# Every package that only the extras bring, as far as our own code imports it.
_EXTRAS = (
    "ai_edge_litert alembic celery coloraide cv2 fastapi kombu minio numpy onnxruntime PIL psycopg "
    "pydantic pydantic_settings redis simplejpeg sqlalchemy structlog uuid_utils uvicorn"
)
_WITHOUT_EXTRAS = f"""
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {_EXTRAS.split()!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from smart_filter_deploy.cli import main
main(sys.argv[1:])
"""


def bare(*arguments: str, url: str = "http://127.0.0.1:0") -> subprocess.CompletedProcess[str]:
    """Run the command line where no extra is installed."""
    return subprocess.run(
        [sys.executable, "-c", _WITHOUT_EXTRAS, *arguments],
        env={
            "SMART_FILTER_URL": url,
            "SMART_FILTER_DATA": "/nonexistent",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", __file__],
        ["submit", __file__],
        ["jobs", "list"],
        ["jobs", "show", "x"],
        ["models", "list"],
    ],
)
def test_client_commands_get_as_far_as_the_server(arguments: list[str]) -> None:
    ended = bare(*arguments)

    assert ended.returncode == 3
    assert ended.stderr.startswith("smart-filter: no answer from http://127.0.0.1:0")


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["up"], "embedded"),
        (["worker", "--stages", "prepare"], "worker"),
        (["api", "--port", "8000"], "api"),
        (["models", "pull"], "worker"),
        (["keys", "list"], "api"),
        (["tenants", "list"], "api"),
        (["eval", "smile", "--data", "."], "worker"),
        (["compare", __file__], "worker"),
        (["live", __file__], "live"),
    ],
)
def test_server_commands_name_the_extra_in_one_line(arguments: list[str], extra: str) -> None:
    ended = bare(*arguments)

    assert ended.returncode == 3
    assert ended.stderr.count("\n") == 1
    assert f"pip install 'smart-filter[{extra}]'" in ended.stderr


def test_help_needs_no_extra() -> None:
    ended = bare("--help")

    assert ended.returncode == 0
    assert "worker" in ended.stdout
