"""docker-compose.yml: valid, hardened, and about commands and settings that exist."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from smart_filter_deploy.cli import smart_filter
from smart_filter_docs import settings
from smart_filter_shared.pipeline import PIPELINE

CHECKOUT = Path(__file__).parents[2]
FILE = CHECKOUT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, told in SERVICES.items() if told["image"].startswith("smart-filter-")]


def test_file_is_of_the_compose_specification() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")  # of the extra `dev`

    ended = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", str(FILE)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_hardened(name: str) -> None:
    told = SERVICES[name]

    assert told["read_only"] is True
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges:true"]
    limits = told["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}
    if name in OURS:
        assert "user" not in told  # the image's own, which its Dockerfile's test looks at
    else:
        assert re.fullmatch(r"[1-9]\d*:\d+", told["user"])
        assert re.search(r":v?\d+\.\d+", told["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z]+_PORT:-\d+\}:\d+", port)


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_each_stage_is_served_by_one_service(profile: str) -> None:
    served = [
        stage
        for name in OURS
        if SERVICES[name].get("command", [""])[0] == "worker"
        and profile in SERVICES[name]["profiles"]
        for stage in SERVICES[name]["command"][2].split(",")
    ]

    assert sorted(served) == sorted(stage.name for stage in PIPELINE)


@pytest.mark.parametrize(
    "name", [name for name in OURS if SERVICES[name].get("command", [""])[0] == "worker"]
)
def test_workers_can_be_any_number(name: str) -> None:
    assert "container_name" not in SERVICES[name]
    assert "ports" not in SERVICES[name]
    assert "--threads" in SERVICES[name]["command"]


@pytest.mark.parametrize("name", OURS)
def test_command_exists_and_takes_its_options(name: str) -> None:
    # The API's is that of its image.
    command = SERVICES[name].get("command", ["api", "--port", "8000"])
    context = click.Context(smart_filter)

    while command and isinstance(context.command, click.Group):
        found = context.command.get_command(context, command[0])
        assert found is not None, command
        context = found.make_context(command[0], list(command[1:]), parent=context)
        command = context.args if not isinstance(found, click.Group) else command[1:]

    assert command == []


@pytest.mark.parametrize("name", OURS)
def test_settings_exist(name: str) -> None:
    known = set(re.findall(r"SMART_FILTER_[A-Z_]+", settings.PAGE.read_text()))

    told = {one.removesuffix("_FILE") for one in SERVICES[name].get("environment", {})}

    assert told - known == set()


def test_settings_that_may_be_given_to_compose_exist() -> None:
    known = set(re.findall(r"SMART_FILTER_[A-Z_]+", settings.PAGE.read_text()))

    assert set(re.findall(r"\$\{(SMART_FILTER_[A-Z_]+)", FILE.read_text())) - known == set()


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_are_files_that_the_service_is_given(name: str) -> None:
    told = SERVICES[name]
    given = set(told.get("secrets", []))

    named = set(re.findall(r"/run/secrets/([\w.]+)", json.dumps(told)))

    assert named == given
    assert given <= set(COMPOSE["secrets"])
    for variable, value in told.get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|_KEY|DATABASE_URL|BROKER_URL", variable):
            assert variable.endswith("_FILE")
            assert str(value).startswith("/run/secrets/")


@pytest.mark.parametrize("name", SERVICES)
def test_service_waits_for_what_can_tell_that_it_is_ready(name: str) -> None:
    for other, told in SERVICES[name].get("depends_on", {}).items():
        if told["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
        if told["condition"] == "service_completed_successfully":
            assert SERVICES[other]["restart"].startswith("on-failure")
        # What it waits for is there whenever it is.
        assert set(SERVICES[other].get("profiles", [])) <= set(SERVICES[name].get("profiles", []))


@pytest.mark.parametrize("name", [name for name in OURS if "--threads" in str(SERVICES[name])])
def test_worker_has_as_many_threads_as_processors(name: str) -> None:
    command = SERVICES[name]["command"]

    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert command[command.index("--threads") + 1] == limits["cpus"]


def test_servers_lead_nowhere() -> None:
    assert COMPOSE["networks"]["servers"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == ["servers"]
    assert SERVICES["valkey"]["networks"] == ["servers"]


def test_script_draws_every_secret_once(tmp_path: Path) -> None:
    script = tmp_path / "deploy" / "secrets.sh"
    script.parent.mkdir()
    shutil.copy(CHECKOUT / "deploy" / "secrets.sh", script)
    subprocess.run([script], check=True)
    folder = script.with_name("secrets")
    drawn = {path.name: path.read_text() for path in folder.iterdir()}

    subprocess.run([script], check=True)

    assert {path.name: path.read_text() for path in folder.iterdir()} == drawn
    wanted = {Path(told["file"]).name for told in COMPOSE["secrets"].values()}
    assert set(drawn) == wanted
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}
    own = [text for name, text in drawn.items() if name.count("_") == 1 and "url" not in name]
    assert not [pair for pair in itertools.combinations(own, 2) if pair[0] == pair[1]]
    identity = json.loads(drawn["storage_identities.json"])["identities"][0]["credentials"][0]
    assert identity["secretKey"] == drawn["storage_secret_key"]


def test_program_reads_what_the_script_has_drawn(tmp_path: Path) -> None:
    script = shutil.copy(CHECKOUT / "deploy" / "secrets.sh", tmp_path / "secrets.sh")
    subprocess.run([script], check=True)
    environment = {
        variable: str(value).replace("/run/secrets", str(tmp_path / "secrets"))
        for variable, value in SERVICES["api"]["environment"].items()
        if variable.endswith("_FILE")
    }
    shown = (
        "import os; from smart_filter_deploy.cli import secret_files as files;"
        "files.read_into(os.environ); from smart_filter_shared import settings;"
        "read = settings.load();"
        "print(len(read.secrets.key), len(read.live.secret))"
    )

    told = subprocess.run(
        [sys.executable, "-c", shown],
        env={
            "PYTHONPATH": os.pathsep.join(sys.path),
            "SMART_FILTER_STORAGE_URL": "http://storage:8333",
            "SMART_FILTER_DATA": "/var/lib/smart-filter",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert (told.stdout, told.stderr) == ("1 1\n", "")
