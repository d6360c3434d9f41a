"""Write deploy/compose.release.yml, which needs no checkout; `make release-compose` runs this.

It has the services of docker-compose.yml's profile `cpu`, with published images. Monitoring is not
in it, because its configuration is files of the checkout. The service `secrets` runs
deploy/secrets.sh in a container, next to a copy of deploy/storage, and gives each service a volume
with the secrets that it needs, and with the files of the checkout that it reads.
"""

import re
import sys
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "docker-compose.yml"
OUTPUT: Final = ROOT / "deploy" / "compose.release.yml"
_PROFILE: Final = "cpu"
_KEYS: Final = (
    *("image", "restart", "user", "read_only", "cap_drop", "security_opt", "logging"),
    *("network_mode", "networks", "ports", "tmpfs", "shm_size", "volumes", "env_file"),
    *(
        "environment",
        "entrypoint",
        "command",
        "depends_on",
        "healthcheck",
        "stop_signal",
        "stop_grace_period",
    ),
    "deploy",
)
_AFTER_SECRETS: Final = {"secrets": {"condition": "service_completed_successfully"}}
_HEADING: Final = """\
# The whole service from published images, without a checkout (docs/deploying.md):
#
#   docker compose up --wait
#
# Made from docker-compose.yml by `make release-compose`. SMART_FILTER_IMAGES names another
# registry, SMART_FILTER_VERSION another version. Secrets are generated at the first start, into
# volumes. Other settings go into a file settings.env next to this one.
"""


def make_release_compose() -> str:
    """Return the file as text."""
    given = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    services = {
        name: definition
        for name, definition in given["services"].items()
        if _PROFILE in definition.get("profiles", [_PROFILE])
    }
    held = {name: service.pop("secrets", []) for name, service in services.items()}
    held = {name: secrets for name, secrets in held.items() if secrets}
    volume_of = _share_volumes(held)
    folders: dict[str, str] = {}
    for name, service in services.items():
        _convert(service, volume_of.get(name))
        folders.update(_replace_folders(name, service))
    by_volume = {volume_of[name]: secrets for name, secrets in held.items()}
    services = {"secrets": _secrets_service(services["api"], by_volume, folders), **services}
    used = {
        volume.partition(":")[0]
        for service in services.values()
        for volume in service.get("volumes", ())
    }
    networks = {network for service in services.values() for network in service.get("networks", ())}
    document = {
        "name": given["name"],
        "services": {
            name: {key: service[key] for key in _KEYS if key in service}
            for name, service in services.items()
        },
        "networks": {
            name: given["networks"][name] for name in given["networks"] if name in networks
        },
        "volumes": {name: {} for name in sorted(used)},
    }
    return f"{_HEADING}{_dump(document)}"


def main() -> None:
    """Write the file."""
    OUTPUT.write_text(make_release_compose(), encoding="utf-8")
    sys.stdout.write(f"{OUTPUT.relative_to(ROOT)}\n")


def _share_volumes(held: dict[str, list[str]]) -> dict[str, str]:
    """Return each service's volume of secrets; services with the same secrets share one."""
    first: dict[tuple[str, ...], str] = {}
    return {
        name: f"secrets-{first.setdefault(tuple(sorted(secrets)), name)}"
        for name, secrets in held.items()
    }


def _convert(service: dict[str, Any], secrets_volume: str | None) -> None:
    """Change one service: a published image, its secrets from a volume, no files of a checkout."""
    service.pop("build", None)
    for file in service.get("env_file", ()):
        file["path"] = Path(file["path"]).name
    service["image"] = re.sub(
        r"^(smart-filter-[a-z-]+):([0-9.]+)",
        r"${SMART_FILTER_IMAGES:-ghcr.io/smart-filter}/\1:${SMART_FILTER_VERSION:-\2}",
        service["image"],
    )
    if secrets_volume:
        volumes = service.get("volumes", [])
        service["volumes"] = [*volumes, f"{secrets_volume}:/run/secrets:ro"]
        service["depends_on"] = {**_AFTER_SECRETS, **service.get("depends_on", {})}


def _replace_folders(name: str, service: dict[str, Any]) -> dict[str, str]:
    """Mount a volume in place of each folder of the checkout; return the folders by volume.

    name: of the service, which mounts one at most.
    """
    folders = {}
    for index, mounted in enumerate(service.get("volumes", ())):
        source, _, target = mounted.partition(":")
        if source.startswith("./"):
            folders[f"files-{name}"] = source
            service["volumes"][index] = f"files-{name}:{target}"
    if folders:
        service["depends_on"] = {**_AFTER_SECRETS, **service.get("depends_on", {})}
    return folders


def _write_folder(target: str, folder: str) -> list[str]:
    """Return the lines of a script that write the files of a folder into another one."""
    lines = []
    for file in sorted((ROOT / folder).iterdir()):
        written = f"{target}/{file.name}"
        lines += [
            f"rm -f {written}",
            f"cat > {written} <<'END_OF_FILE'",
            *file.read_text(encoding="utf-8").splitlines(),
            "END_OF_FILE",
            f"chmod 0444 {written}",
        ]
    return lines


def _secrets_service(
    api: dict[str, Any], by_volume: dict[str, list[str]], folders: dict[str, str]
) -> dict[str, Any]:
    """Return the service that generates secrets once and copies them to the others' volumes.

    folders: folders of the checkout whose files it writes, by volume.
    """
    script = (ROOT / "deploy" / "secrets.sh").read_text(encoding="utf-8")
    copies = [
        f"for name in {' '.join(sorted(secrets))}; do"
        f' cp --force --preserve=mode "secrets/$name" /copies/{volume}; done'
        for volume, secrets in by_volume.items()
    ]
    for volume, folder in folders.items():
        copies += _write_folder(f"/copies/{volume}", folder)
    policies = _write_folder("/all/storage", "deploy/storage")
    lines = [line for line in script.splitlines() if line and not line.startswith("#")]
    kept = ("logging", "read_only", "cap_drop", "security_opt", "image")
    return {
        **{key: api[key] for key in kept},
        "restart": "on-failure:3",
        # Volumes belong to root at first. Without capabilities it cannot write to read-only files,
        # so copies of an earlier start are replaced: --force.
        "user": "0:0",
        "network_mode": "none",
        "tmpfs": ["/all/storage:size=1m"],
        "volumes": [
            "secrets:/all/secrets",
            *(f"{name}:/copies/{name}" for name in (*by_volume, *folders)),
        ],
        "entrypoint": ["/bin/sh", "-c"],
        "command": [
            "\n".join([*policies, *lines, *copies, ""]).replace("$", "$$"),
            "/all/secrets.sh",
        ],
        "healthcheck": {"disable": True},
        "deploy": {"resources": {"limits": {"cpus": "1", "memory": "64M", "pids": 32}}},
    }


class _Dumper(yaml.SafeDumper):
    """Writes scripts as blocks, and repeats shared parts instead of anchors."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Dumper.add_representer(str, _write_text)


def _dump(document: dict[str, Any]) -> str:
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=100)
    return text


if __name__ == "__main__":
    main()
