"""Run a Docker engine: this machine's own, or Debian's, which is unpacked and not installed."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from containers.private_network import (
    NAME_SERVER,
    private_network,
    tied_to_this_process,
)
from smart_filter_tests import debian_packages

CHECKOUT: Final = Path(__file__).parents[2]
STANDINS: Final = CHECKOUT / "deploy" / "standins"
# Source: docker-compose.yml's `start_interval` needs Docker 25, whose API is 1.44.
_FIRST_API = (1, 44)
_RELEASE = "trixie"  # the first Debian release with such an engine
_PACKAGES = ("containerd", "docker-buildx", "docker-cli", "docker-compose", "docker.io")
# Of this machine's own release: these use its C library.
_OWN_PACKAGES = (
    *("iptables", "libip4tc2", "libip6tc2", "libmnl0", "libnetfilter-conntrack3"),
    *("libnfnetlink0", "libnftnl11", "libxtables12", "runc"),
    *("slirp4netns", "libslirp0", "libpcre2-8-0", "libseccomp2"),
)
# For the limits of docker-compose.yml.
_CONTROLLERS = {"cpu", "memory", "pids"}
_INSTALL = "install Docker Engine 25 or newer with Compose (Debian 13: docker.io, docker-compose)"
_TUN = Path("/dev/net/tun")
_CGROUPS = Path("/sys/fs/cgroup")
# A group has the weight of one process by default, and would starve where other tests run.
_CPU_SHARES = 8 * 1024
_START_SECONDS = 120.0
_STOP_SECONDS = 120.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Engine:
    """A running Docker engine.

    environment: of commands that use it.  origin: where it comes from, for people.
    is_private: whether it is unpacked for the tests, with a network of its own.
    """

    environment: Mapping[str, str]
    origin: str
    is_private: bool

    def run(
        self, *command: str | Path, folder: Path = CHECKOUT, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command that uses the engine.  Raises AssertionError with its output."""
        ended = subprocess.run(
            command,
            cwd=folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check:
            shown = " ".join(map(str, command))
            assert ended.returncode == 0, f"{shown}: {ended.stdout[-2000:]}{ended.stderr[-6000:]}"
        return ended

    def docker(self, *arguments: str | Path) -> str:
        """Return what a command of docker prints."""
        return self.run("docker", *arguments).stdout.strip()


@contextmanager
def open_engine() -> Iterator[Engine]:
    """Yield the machine's engine if it is new enough, else a private one; skip without either.

    The private one has data, socket and network of its own, and leaves nothing behind. While it
    runs, this thread and all processes that it starts are in that network: 127.0.0.1 is the
    engine's.
    """
    version, refusal = _machine_version()
    if refusal is None:
        yield Engine(dict(os.environ), f"{version}, this machine's own", is_private=False)
        return
    if reason := next(_list_obstacles(), None):
        pytest.skip(f"{refusal}: {_INSTALL}. A private one cannot run: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="smart-filter-engine-"))
    try:
        with _private_engine(folder) as engine:
            yield engine
    finally:
        shutil.rmtree(folder)


def remove_cgroups(name: str) -> None:
    """Remove an engine's empty groups, in the one hierarchy of version 2 or those of version 1."""
    for top in (_CGROUPS / name, *_CGROUPS.glob(f"*/{name}")):
        if top.exists():
            for place in sorted((top, *filter(Path.is_dir, top.rglob("*"))), reverse=True):
                place.rmdir()


def _machine_version() -> tuple[str, str | None]:
    """Return the version of this machine's engine, and why it cannot be used, or None."""
    if shutil.which("docker") is None:
        return "", "this machine has no Docker engine"
    form = "{{.Server.Version}} {{.Server.APIVersion}}"
    ended = subprocess.run(
        ["docker", "version", "--format", form], capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        return "", "this machine's Docker engine does not answer"
    version, api = ended.stdout.split()
    if tuple(map(int, api.split("."))) < _FIRST_API:
        return version, f"this machine's Docker engine {version} is older than 25"
    compose = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return version, None if compose.returncode == 0 else "this machine's docker has no compose"


def _list_obstacles() -> Iterator[str]:
    """Yield why no private engine can run here, and what to do about it."""
    if sys.platform != "linux":
        yield "this is not Linux"
    if os.geteuid() != 0:
        yield "it needs root"
    commands = {"apt-get": "apt", "dpkg-deb": "dpkg", "ip": "iproute2", "unshare": "util-linux"}
    for command, package in commands.items():
        if shutil.which(command) is None:
            yield f"there is no {command}: install {package}, on Debian"
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        yield "it comes from Debian's packages: install debian-archive-keyring"
    if not _TUN.exists():
        yield f"its network needs {_TUN}: load the kernel's module tun"
    for controller in sorted(_CONTROLLERS - _list_controllers()):
        yield f"the kernel has no cgroup controller {controller}: enable it, or cgroup v2"
    namespaces = ["unshare", "--mount", "--net", "true"]
    if subprocess.run(namespaces, capture_output=True, check=False).returncode != 0:
        yield "this machine allows no new namespaces: allow CAP_SYS_ADMIN"


def _list_controllers() -> set[str]:
    """Return the names of the cgroup controllers of either version that the kernel has enabled."""
    lines = Path("/proc/cgroups").read_text().splitlines()[1:]
    return {line.split()[0] for line in lines if line.split()[3] == "1"}


@contextmanager
def _private_engine(folder: Path) -> Iterator[Engine]:
    _unpack(folder)
    binaries = ":".join(
        f"{folder}/{place}"
        for place in (*("new/usr/sbin", "new/usr/bin", "own/usr/sbin", "own/usr/bin"),)
    )
    [libraries] = folder.glob("own/usr/lib/*-linux-gnu")
    socket = f"unix://{folder}/docker.sock"
    path = f"{binaries}:{os.environ['PATH']}:/usr/sbin:/sbin"
    environment = {
        **os.environ,
        "PATH": path,
        "DOCKER_HOST": socket,
        "DOCKER_CONFIG": str(folder / "config"),
    }
    # Of programs that are not installed, such as iptables.
    variables = {
        "LD_LIBRARY_PATH": str(libraries),
        "XTABLES_LIBDIR": str(libraries / "xtables"),
    }
    settings = {
        "data-root": str(folder / "data"),
        "exec-root": str(folder / "exec"),
        "pidfile": str(folder / "dockerd.pid"),
        "hosts": [socket],
        "ip6tables": False,
        "cgroup-parent": f"/{folder.name}",
    }
    (folder / "daemon.json").write_text(json.dumps(settings))
    _weigh_cgroup(folder.name)
    (folder / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\n")
    mount = f"mount --bind {folder}/resolv.conf /etc/resolv.conf"
    daemon_command = f"{mount} && exec dockerd --config-file={folder}/daemon.json"
    with (
        private_network({**environment, **variables}),
        (folder / "dockerd.log").open("wb") as log,
    ):
        daemon = subprocess.Popen(
            # Its mounts end with its last process.
            tied_to_this_process("unshare", "--mount", "sh", "-c", daemon_command),
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            version = _wait_for(daemon, environment, folder)
            yield Engine(environment, f"{version}, Debian's, unpacked", is_private=True)
        finally:
            daemon.terminate()
            try:
                daemon.wait(_STOP_SECONDS)
            finally:
                daemon.kill()
            remove_cgroups(folder.name)
    assert _list_processes(folder) == []


def _weigh_cgroup(name: str) -> None:
    """Let the containers have the processor as several processes; only with cgroups v1."""
    if (_CGROUPS / "cpu").is_dir():
        group = _CGROUPS / "cpu" / name
        group.mkdir()
        (group / "cpu.shares").write_text(str(_CPU_SHARES))


def _unpack(folder: Path) -> None:
    release = debian_packages.own_release()
    # Debian renamed it when times became 64 bits wide.
    glib = "libglib2.0-0" if release == "bookworm" else "libglib2.0-0t64"
    wanted = (
        ("new", _RELEASE, _PACKAGES),
        ("own", release, (*_OWN_PACKAGES, glib)),
    )
    for name, of_release, packages in wanted:
        debian_packages.unpack(folder / name, of_release, *packages, instead=_INSTALL)
    # dpkg's alternatives would make this link.
    (folder / "own/usr/sbin/iptables").symlink_to("iptables-nft")
    plugins = folder / "config" / "cli-plugins"
    plugins.mkdir(parents=True)
    for plugin in (folder / "new/usr/libexec/docker/cli-plugins").iterdir():
        (plugins / plugin.name).symlink_to(plugin)


def _wait_for(daemon: subprocess.Popen[bytes], environment: Mapping[str, str], folder: Path) -> str:
    """Return the engine's version as soon as it answers; skip where it ends at its start.

    Then the machine lacks what it needs.  Raises AssertionError with its log when it hangs.
    """
    gives_up_at = time.monotonic() + _START_SECONDS
    while daemon.poll() is None and time.monotonic() < gives_up_at:
        ended = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode == 0:
            return ended.stdout.strip()
        time.sleep(_POLL_SECONDS)
    printed = (folder / "dockerd.log").read_text()[-3000:]
    if daemon.poll() is not None:
        pytest.skip(f"{_INSTALL}. A private one ends at its start: {printed.strip()}")
    raise AssertionError(f"dockerd does not answer: {printed}")


def _list_processes(folder: Path) -> list[str]:
    """Return the command lines that name a folder, such as those of an engine's helpers."""
    commands = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            commands.append(command)
    return commands
