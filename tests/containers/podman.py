"""Run pods of the chart with Debian's Podman, which is unpacked and not installed."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from containers.engine import remove_cgroups
from smart_filter_tests import debian_packages

_PACKAGES: Final = (
    *("catatonit", "conmon", "golang-github-containers-common", "golang-github-containers-image"),
    *("libassuan0", "libdevmapper1.02.1", "libgpgme11", "libsubid4", "podman", "runc"),
)
# Its libraries have other names in later releases.
_RELEASE: Final = "bookworm"
# All containers of a Podman that does not use systemd.
_CGROUP: Final = "libpod_parent"
# Of the images.
_USER: Final = 10001


@dataclass(frozen=True, slots=True)
class Podman:
    """Podman with a storage of its own.  environment: of its command."""

    environment: Mapping[str, str]

    def run(self, *arguments: str | Path, given: str | None = None, check: bool = True) -> str:
        """Return what a command of podman prints.  Raises AssertionError with its output.

        given: its standard input.
        """
        ended = subprocess.run(
            ["podman", *arguments],
            env=dict(self.environment),
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        shown = " ".join(map(str, arguments))
        assert not check or ended.returncode == 0, f"podman {shown}: {ended.stdout[-6000:]}"
        return ended.stdout.strip()

    def inspect(self, container: str) -> dict[str, Any]:
        """Return a container as Podman describes it."""
        described: list[dict[str, Any]] = json.loads(self.run("container", "inspect", container))
        return described[0]

    def create_secret(self, name: str, values: Mapping[str, str]) -> None:
        """Create a secret as `kubectl create secret generic` does."""
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in values.items()}
        self.run("secret", "create", name, "-", given=json.dumps(encoded))

    def create_claim(self, name: str) -> None:
        """Create a volume that the user of our images may write, as fsGroup would make it."""
        self.run("volume", "create", name)
        place = self.run("volume", "inspect", "--format={{.Mountpoint}}", name)
        os.chown(place, _USER, _USER)

    def play(self, name: str, pod: Mapping[str, Any]) -> None:
        """Start a pod of this name from a template of the chart, in the network of this process."""
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**pod["metadata"], "name": name},
            "spec": pod["spec"],
        }
        self.run("kube", "play", "--network=host", "-", given=json.dumps(manifest))


@contextmanager
def open_podman() -> Iterator[Podman]:
    """Yield Podman; afterwards remove its containers and files.  Skips where none can run."""
    if debian_packages.own_release() != _RELEASE or os.geteuid() != 0:
        pytest.skip(f"a private Podman needs root on Debian {_RELEASE}")
    folder = Path(tempfile.mkdtemp(prefix="smart-filter-podman-"))
    try:
        podman = _unpack(folder)
        try:
            yield podman
        finally:
            podman.run("pod", "rm", "--all", "--force", check=False)
            podman.run("system", "reset", "--force", check=False)
            subprocess.run(["umount", folder / "data" / "overlay"], check=False)
            remove_cgroups(_CGROUP)
    finally:
        shutil.rmtree(folder)


def _unpack(folder: Path) -> Podman:
    debian_packages.unpack(folder, _RELEASE, *_PACKAGES, instead="run on a machine with apt")
    [libraries] = folder.glob("usr/lib/*-linux-gnu")
    configuration = {
        "containers": {
            # Podman's own are higher than those of a container that the tests may run in.
            "default_ulimits": ["nofile=20000:20000", "nproc=20000:20000"],
            "init_path": f"{folder}/usr/libexec/podman/catatonit",
            "seccomp_profile": f"{folder}/usr/share/containers/seccomp.json",
        },
        "engine": {
            "cgroup_manager": "cgroupfs",
            "conmon_path": [f"{folder}/usr/bin/conmon"],
            "events_logger": "file",
            "helper_binaries_dir": [f"{folder}/usr/lib/podman", f"{folder}/usr/libexec/podman"],
            "runtime": "runc",
        },
        "engine.runtimes": {"runc": [f"{folder}/usr/sbin/runc", f"{folder}/usr/bin/runc"]},
    }
    storage = {
        "storage": {
            "driver": "overlay",
            "graphroot": f"{folder}/data",
            "runroot": f"{folder}/run",
        }
    }
    for name, tables in (("containers.conf", configuration), ("storage.conf", storage)):
        (folder / name).write_text(_format_toml(tables))
    policies = folder / "home" / ".config" / "containers"
    policies.mkdir(parents=True)
    shutil.copy2(folder / "etc" / "containers" / "policy.json", policies)
    return Podman(
        {
            **os.environ,
            "PATH": f"{folder}/usr/bin:{folder}/usr/sbin:{os.environ['PATH']}:/usr/sbin:/sbin",
            "HOME": str(folder / "home"),
            "LD_LIBRARY_PATH": str(libraries),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(folder / "etc" / "containers" / "registries.conf"),
        }
    )


def _format_toml(tables: Mapping[str, Mapping[str, object]]) -> str:
    """Return a file of TOML: JSON's strings and lists are also TOML's."""
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in tables.items()
    )
