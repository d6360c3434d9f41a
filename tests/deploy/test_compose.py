"""docker-compose.yml: valid, hardened, with existing commands and settings."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
import yaml

from smart_filter_deploy.cli import secret_files
from smart_filter_deploy.process_secrets import NEEDED_BY, Process
from smart_filter_docs import release_compose
from smart_filter_docs import settings as documented
from smart_filter_shared.config import settings
from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_shared.pipeline import PIPELINE
from smart_filter_tests import commands

CHECKOUT = Path(__file__).parents[2]
FILE = CHECKOUT / "docker-compose.yml"
OWN_SERVERS = CHECKOUT / "deploy" / "compose.own-servers.yml"
PROVENANCE = CHECKOUT / "deploy" / "compose.provenance.yml"
RELEASE = CHECKOUT / "deploy" / "compose.release.yml"
TLS = CHECKOUT / "deploy" / "compose.tls.yml"
PODMAN = CHECKOUT / "deploy" / "compose.podman.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
# Only the operator knows the receivers of alerts: the profile `alerts` needs the variable, no
# other.
TOLD_BY_HAND = {"alert_url"}
OURS = [
    name for name, definition in SERVICES.items() if definition["image"].startswith("smart-filter-")
]
WORKERS = [name for name in OURS if SERVICES[name].get("command", [""])[0] == "worker"]


class ComposeLoader(yaml.SafeLoader):
    """Reads `!reset`, which removes a value of the main file, as None; `!override` as its value."""


ComposeLoader.add_constructor("!reset", lambda *_: None)
ComposeLoader.add_constructor(
    "!override", lambda loader, node: loader.construct_mapping(node, deep=True)
)


def test_files_follow_the_compose_specification(tmp_path: Path) -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")  # of the extra `dev`
    for file in (FILE, OWN_SERVERS, PROVENANCE, RELEASE, TLS):
        document = yaml.load(file.read_text(), ComposeLoader)
        (tmp_path / f"{file.stem}.json").write_text(json.dumps(document))

    ended = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", *tmp_path.iterdir()],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout


def test_file_of_a_release_is_that_of_the_checkout_without_its_files() -> None:
    written = RELEASE.read_text()
    services = yaml.safe_load(written)["services"]

    assert written == release_compose.make_release_compose(), "run make release-compose"
    assert services.keys() == {"secrets"} | {
        name for name, one in SERVICES.items() if "cpu" in one.get("profiles", ["cpu"])
    }
    for name, one in services.items():
        assert "build" not in one, name
        assert [volume for volume in one.get("volumes", []) if volume.startswith(".")] == [], name


def test_service_of_a_release_has_only_its_own_secrets() -> None:
    services = yaml.safe_load(RELEASE.read_text())["services"]
    script = services["secrets"]["command"][0]

    copied = {
        volume: set(names.split())
        for names, volume in re.findall(r"for name in (.*); do cp .* /copies/(\S+); done", script)
    }

    for name, one in services.items():
        mounted = [
            volume.partition(":")[0]
            for volume in one.get("volumes", [])
            if volume.endswith(":/run/secrets:ro")
        ]
        given = set(SERVICES[name].get("secrets", [])) if name in SERVICES else set()
        assert given == (copied[mounted[0]] if mounted else set()), name


def test_script_of_a_release_has_the_policies_of_the_bucket() -> None:
    script = yaml.safe_load(RELEASE.read_text())["services"]["secrets"]["command"][0]

    for policy in (CHECKOUT / "deploy" / "storage").iterdir():
        assert f"cat > /all/storage/{policy.name} <<'END_OF_FILE'\n{policy.read_text()}" in script


def test_only_workers_that_compose_have_the_key_of_content_credentials() -> None:
    added = yaml.safe_load(PROVENANCE.read_text())

    have_key = {name for name, one in added["services"].items() if "c2pa_key" in one["secrets"]}

    composing = {
        name for name in WORKERS if "composite" in ",".join(SERVICES[name]["command"]).split(",")
    }
    assert have_key == composing
    assert set(added["services"]) == composing | {"api"}


def test_emotions_are_off_unless_the_operator_turns_them_on() -> None:
    for name in [*WORKERS, "api", "sender", "live", "migrate"]:
        assert SERVICES[name]["environment"]["SMART_FILTER_EMOTIONS"].endswith(":-off}"), name


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_hardened_and_open_to_this_machine_alone(name: str) -> None:
    definition = SERVICES[name]

    assert definition["read_only"] is True
    assert definition["cap_drop"] == ["ALL"]
    assert definition["security_opt"] == ["no-new-privileges:true"]
    assert set(definition["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    for port in definition.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z]+_PORT:-\d+\}:\d+", port)
    if name in OURS:
        assert "user" not in definition  # the image's own, which its Dockerfile's test checks
    else:
        assert re.fullmatch(r"[1-9]\d*:\d+", definition["user"])
        assert re.search(r":v?\d+\.\d+", definition["image"])


def test_caddy_is_hardened_and_trusted_by_its_address_alone() -> None:
    services = yaml.safe_load(TLS.read_text())["services"]
    caddy = services["caddy"]

    assert caddy["read_only"] is True
    assert (caddy["cap_drop"], caddy["cap_add"]) == (["ALL"], ["NET_BIND_SERVICE"])
    assert caddy["security_opt"] == ["no-new-privileges:true"]
    assert set(caddy["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    for name in ("api", "live"):
        trusted = services[name]["environment"]["SMART_FILTER_TRUSTED_PROXIES"]
        assert trusted == caddy["networks"]["proxied"]["ipv4_address"], name


@pytest.mark.parametrize("name", OURS)
def test_stopping_service_has_the_time_of_its_pod(name: str) -> None:
    # As terminationGracePeriodSeconds in the chart.
    assert SERVICES[name]["stop_grace_period"] == "30s"


def test_third_party_services_make_no_connection_of_their_own() -> None:
    grafana = SERVICES["grafana"]["environment"]

    assert {
        name.removeprefix("GF_"): value
        for name, value in grafana.items()
        if re.search(r"ANALYTICS|PLUGINS|NEWS|GRAVATAR|SNAPSHOTS", name)
    } == {
        "ANALYTICS_REPORTING_ENABLED": "false",
        "ANALYTICS_CHECK_FOR_UPDATES": "false",
        "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "PLUGINS_PREINSTALL_DISABLED": "true",
        "PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED": "true",
        "NEWS_NEWS_FEED_ENABLED": "false",
        "SECURITY_DISABLE_GRAVATAR": "true",
        "SNAPSHOTS_EXTERNAL_ENABLED": "false",
    }
    assert "-master.telemetry=false" in SERVICES["storage"]["command"]


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_each_stage_is_served_by_one_service(profile: str) -> None:
    served = [
        stage
        for name in WORKERS
        if profile in SERVICES[name]["profiles"]
        for stage in SERVICES[name]["command"][2].split(",")
    ]

    assert sorted(served) == sorted(stage.name for stage in PIPELINE)


def test_settings_exist() -> None:
    known = set(re.findall(r"SMART_FILTER_[A-Z0-9_]+", documented.PAGE.read_text()))
    set_here = {
        variable.removesuffix("_FILE")
        for name in OURS
        for variable in SERVICES[name].get("environment", {})
    }
    read = set(re.findall(r"\$\{(SMART_FILTER_[A-Z0-9_]+)", FILE.read_text()))

    assert (set_here | read) - known == set()
    assert set(re.findall(r"#   (SMART_FILTER_[A-Z0-9_]+)=", OWN_SERVERS.read_text())) <= read


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_are_files_given_to_the_service(name: str) -> None:
    definition = SERVICES[name]
    given = set(definition.get("secrets", []))

    folders = [
        Path(one.split(":")[0]) for one in definition.get("volumes", []) if one.startswith("./")
    ]
    mounted = [
        path.read_text()
        for folder in folders
        for path in (CHECKOUT / folder).rglob("*.*")
        if path.is_file()
    ]

    named = set(re.findall(r"/run/secrets/([\w.]+)", json.dumps(definition) + "".join(mounted)))

    assert named == given
    assert given <= set(COMPOSE["secrets"])
    for variable, value in definition.get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|_KEY(?!_RETRIEVAL)|DATABASE_URL|BROKER_URL", variable):
            assert variable.endswith("_FILE")
            assert str(value).startswith("/run/secrets/")


@pytest.mark.parametrize("name", SERVICES)
def test_service_waits_for_dependencies_with_a_health_check(name: str) -> None:
    for other, definition in SERVICES[name].get("depends_on", {}).items():
        if definition["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
        if definition["condition"] == "service_completed_successfully":
            assert SERVICES[other]["restart"].startswith("on-failure")
        # Its dependencies are in every profile.
        assert set(SERVICES[other].get("profiles", [])) <= set(SERVICES[name].get("profiles", []))


def test_networks_separate_servers_dashboards_and_the_internet() -> None:
    members = {
        network: {
            name for name, definition in SERVICES.items() if network in definition["networks"]
        }
        for network in COMPOSE["networks"]
    }
    inner = {name for name, definition in COMPOSE["networks"].items() if definition.get("internal")}
    outward = set().union(*(members[network] for network in members.keys() - inner))

    assert inner == {"servers", "watching"}
    # Published ports need a network with a route outside.
    published = {name for name, definition in SERVICES.items() if "ports" in definition}
    assert outward == published | {"prepare", "sender", "weights", "collector"}
    assert members["screens"] == {"prometheus", "grafana", "collector", "jaeger", "alertmanager"}
    assert members["published"] == {"storage"}


@pytest.mark.parametrize("name", SERVICES)
def test_podman_takes_what_it_would_refuse_or_read_otherwise(name: str) -> None:
    definition = SERVICES[name]
    without = yaml.load(PODMAN.read_text(), ComposeLoader)["services"]

    health = definition.get("healthcheck", {})
    removed = without.get(name, {}).get("healthcheck", {})

    assert ("start_interval" in health) == ("start_interval" in removed)
    # Podman's Docker API splits the arguments of a check at blanks.
    assert health.get("test", ["CMD"])[0] == "CMD-SHELL" or not [
        word for word in health.get("test", []) if " " in word
    ]
    for place in definition.get("tmpfs", []):
        # Without a size it is half the machine's memory, and counts against the container's.
        assert re.fullmatch(r"/[\w/]+:(mode=\d+,)?size=\d+[mg]", place)
    # Without a registry in the name Podman asks which one is meant.
    assert name in OURS or re.match(r"docker\.io/[\w-]+/[\w-]+:", definition["image"])


def test_bundled_servers_can_be_omitted() -> None:
    own = yaml.load(OWN_SERVERS.read_text(), ComposeLoader)
    waiting = {name for name, one in own["services"].items() if "depends_on" in one}
    left_out = {
        name
        for name, definition in own["services"].items()
        if definition == {"profiles": ["never"]}
    }

    assert left_out == set(own["services"]) - waiting == {"postgres", "valkey", "storage"}
    for name in waiting:
        wanted = SERVICES[name]["depends_on"]
        kept = {other: how for other, how in wanted.items() if other not in left_out}
        assert own["services"][name]["depends_on"] == kept
    for name, definition in SERVICES.items():
        for other, how in definition.get("depends_on", {}).items():
            assert name in left_out | waiting or other not in left_out, how
    # External servers may be anywhere; this network gives their clients a route outside.
    assert own["networks"] == {"servers": {"internal": False}}


def test_file_needs_no_variable_of_the_environment() -> None:
    for file in (FILE, OWN_SERVERS):
        asked = re.findall(r"(?<!\$)\$(?:\{([^}]*)\}|(\w+))", file.read_text())
        assert [one for one, bare in asked if bare or ":-" not in one] == []


def draw_secrets(folder: Path) -> Path:
    """Run the script in a copy of its folder; return the folder of the secrets."""
    script = shutil.copy(CHECKOUT / "deploy" / "secrets.sh", folder / "secrets.sh")
    shutil.copytree(CHECKOUT / "deploy" / "storage", folder / "storage", dirs_exist_ok=True)
    subprocess.run([script], check=True)
    return folder / "secrets"


def test_script_generates_every_secret_once(tmp_path: Path) -> None:
    folder = draw_secrets(tmp_path)
    drawn = {path.name: path.read_text() for path in folder.iterdir()}

    draw_secrets(tmp_path)

    assert {path.name: path.read_text() for path in folder.iterdir()} == drawn
    wanted = {
        Path(definition["file"]).name for definition in COMPOSE["secrets"].values()
    } - TOLD_BY_HAND
    assert set(drawn) == wanted
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}
    own = [text for name, text in drawn.items() if "url" not in name]
    assert not [pair for pair in itertools.combinations(own, 2) if pair[0] == pair[1]]


def test_program_reads_the_secrets_of_the_script(tmp_path: Path) -> None:
    folder = draw_secrets(tmp_path)
    environment = {
        variable: str(value).replace("/run/secrets", str(folder))
        for variable, value in SERVICES["api"]["environment"].items()
        if variable.endswith("_FILE")
    }
    storage = {"SMART_FILTER_STORAGE_URL": "http://storage:8333"}

    with mock.patch.dict(os.environ, {**environment, **storage}, clear=True):
        secret_files.load_into(os.environ)
        read = settings.load()

    assert (len(read.secrets.key), len(read.live.secret)) == (1, 1)


def test_each_process_has_the_secret_files_of_its_role() -> None:
    roles = {"api": "_api", "migrate": "", **dict.fromkeys(WORKERS, "_worker")}
    suffixes = {
        "database_url": {**roles, "sender": "_sender"},
        "storage_access_key": roles,
        "storage_secret_key": roles,
    }

    for secret, of_process in suffixes.items():
        files = {
            name: SERVICES[name].get("environment", {}).get(f"SMART_FILTER_{secret.upper()}_FILE")
            for name in OURS
        }
        assert {name: file for name, file in files.items() if file is not None} == {
            name: f"/run/secrets/{secret}{suffix}" for name, suffix in of_process.items()
        }
    assert [one for one in SERVICES["postgres"]["secrets"] if one.startswith("database_url")] == [
        f"database_url_{role.name.lower()}" for role in sorted(ProcessRole)
    ]


def test_each_process_has_the_secrets_that_it_needs_and_no_others() -> None:
    more = yaml.safe_load(PROVENANCE.read_text())["services"]
    kinds = {
        "api": Process.API,
        "sender": Process.SENDER,
        "live": Process.LIVE,
        "migrate": Process.PREPARE,
    }
    stated = {
        name: {
            variable.removesuffix("_FILE")
            for place in (SERVICES[name], more.get(name, {}))
            for variable in place.get("environment", {})
            if variable.removesuffix("_FILE") in NEEDED_BY
        }
        for name in OURS
    }
    offered = set.union(*stated.values())

    for name in OURS:
        signs = "composite" in str(SERVICES[name].get("command"))
        worker = Process.COMPOSITE_WORKER if signs else Process.WORKER
        process = kinds.get(name, worker)
        needed = {variable for variable in offered if process in NEEDED_BY[variable]}
        assert stated[name] == (set() if name == "weights" else needed), name


def test_script_gives_processes_of_a_new_installation_their_own_roles(tmp_path: Path) -> None:
    folder = draw_secrets(tmp_path)

    for role in ProcessRole:
        url = urlsplit((folder / f"database_url_{role.name.lower()}").read_text())
        assert url.username == role
        assert len(url.password or "") == 64


def test_processes_share_the_role_of_a_database_url_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "database_url").write_text("postgresql+psycopg://own:url@host/d")

    draw_secrets(tmp_path)

    written = {path.read_text() for path in (tmp_path / "secrets").glob("database_url*")}
    assert written == {"postgresql+psycopg://own:url@host/d"}


def test_script_gives_api_and_workers_only_the_rights_of_their_policies(tmp_path: Path) -> None:
    folder = draw_secrets(tmp_path)
    written = json.loads((folder / "storage_roles.json").read_text())

    policies = {policy["name"]: json.loads(policy["content"]) for policy in written["policies"]}
    identities = {identity.pop("name"): identity for identity in written["identities"]}

    storage = CHECKOUT / "deploy" / "storage"
    assert policies == {
        role: json.loads((storage / f"policy-{role}.json").read_text())
        for role in ("api", "worker")
    }
    rights = {
        "": {"actions": ["Admin"]},
        "_api": {"policyNames": ["api"]},
        "_worker": {"policyNames": ["worker"]},
    }
    assert identities == {
        f"smart_filter{suffix}": {
            "credentials": [
                {
                    "accessKey": (folder / f"storage_access_key{suffix}").read_text(),
                    "secretKey": (folder / f"storage_secret_key{suffix}").read_text(),
                }
            ],
            **right,
        }
        for suffix, right in rights.items()
    }


@pytest.mark.parametrize("name", OURS)
def test_command_exists_and_takes_its_options(name: str) -> None:
    # The API's is that of its image.
    commands.parse(SERVICES[name].get("command", ["api", "--port", "8000"]))
