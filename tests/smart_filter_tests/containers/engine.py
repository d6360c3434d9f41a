"""Run a Docker engine: this machine's own, or Debian's, which is unpacked and not installed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from smart_filter_deploy.embedded import parent_death

CHECKOUT: Final = Path(__file__).parents[3]
STANDINS: Final = CHECKOUT / "deploy" / "standins"
# Source: docker-compose.yml's `start_interval` needs Docker 25, whose API is 1.44.
_FIRST_API = (1, 44)
_RELEASE = "trixie"  # the first Debian release with such an engine
_PACKAGES = ("containerd", "docker-buildx", "docker-cli", "docker-compose", "docker.io")
# Of this machine's own release: these use its C library.
_OWN_PACKAGES = (
    *("iptables", "libip4tc2", "libip6tc2", "libmnl0", "libnetfilter-conntrack3"),
    *("libnfnetlink0", "libnftnl11", "libxtables12", "runc"),
)
# Not the engine's defaults: another engine on this machine may have networks there.
_BRIDGE = "172.29.0.1/24"
_ADDRESSES = ("172.29.", "172.30.")
_POOL = {"base": "172.30.0.0/16", "size": 24}
_DEFAULT_BRIDGE = "docker0"
_INTERFACES = Path("/sys/class/net")
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_START_SECONDS = 120.0
_STOP_SECONDS = 120.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Engine:
    """A running Docker engine.

    environment: of commands that use it.  origin: where it comes from, for people.
    """

    environment: Mapping[str, str]
    origin: str

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

    The private one has data, socket and addresses of its own, and leaves nothing behind.
    """
    version, refusal = _machine_version()
    if refusal is None:
        yield Engine(dict(os.environ), f"{version}, this machine's own")
        return
    if reason := _obstacle():
        pytest.skip(f"{refusal}; no private one either: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="smart-filter-engine-"))
    try:
        with _private_engine(folder) as engine:
            yield engine
    finally:
        shutil.rmtree(folder)


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


def _obstacle() -> str | None:
    """Return why no private engine can run here; None when it can."""
    if sys.platform != "linux":
        return "this is not Linux"
    if os.geteuid() != 0:
        return "it needs root"
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return "it comes from Debian's packages, and this is not Debian"
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        return "it comes from Debian's packages, whose keys this machine does not have"
    if (_INTERFACES / _DEFAULT_BRIDGE).exists():
        return "another engine runs, whose packet filter it would replace"
    unshared = subprocess.run(
        ["unshare", "--mount", "--net", "true"], capture_output=True, check=False
    )
    return None if unshared.returncode == 0 else "this machine allows no new namespaces"


@contextmanager
def _private_engine(folder: Path) -> Iterator[Engine]:
    _unpack(folder)
    binaries = ":".join(
        f"{folder}/{place}" for place in ("new/usr/sbin", "new/usr/bin", "own/usr/sbin")
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
    network = _Network(path, libraries)
    settings = {
        "data-root": str(folder / "data"),
        "exec-root": str(folder / "exec"),
        "pidfile": str(folder / "dockerd.pid"),
        "hosts": [socket],
        "bip": _BRIDGE,
        "default-address-pools": [_POOL],
        "ip6tables": False,
    }
    (folder / "daemon.json").write_text(json.dumps(settings))
    with network.restored(), (folder / "dockerd.log").open("wb") as log:
        # If this process is killed, the kernel ends the engine.
        guard = [sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid())]
        guard += [str(int(signal.SIGTERM)), "-", "-", "--"]
        daemon = subprocess.Popen(
            [*guard, "dockerd", f"--config-file={folder}/daemon.json"],
            env={**environment, **network.variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield Engine(
                environment, f"{_wait_for(daemon, environment, folder)}, Debian's, unpacked"
            )
        finally:
            daemon.terminate()
            try:
                daemon.wait(_STOP_SECONDS)
            finally:
                daemon.kill()
            _unmount(folder)
    assert _list_processes(folder) == []


def _unpack(folder: Path) -> None:
    [own_release] = [
        line.partition("=")[2]
        for line in Path("/etc/os-release").read_text().splitlines()
        if line.startswith("VERSION_CODENAME=")
    ]
    wanted = (("new", _RELEASE, _PACKAGES), ("own", own_release, _OWN_PACKAGES))
    with ThreadPoolExecutor() as pool:
        ended = list(
            pool.map(
                lambda want: subprocess.run(
                    [STANDINS / "unpack.sh", folder / want[0], want[1], *want[2]],
                    capture_output=True,
                    text=True,
                    check=False,
                ),
                wanted,
            )
        )
    for one in ended:
        if one.returncode != 0:
            pytest.skip(f"Debian's packages cannot be had: {one.stderr.strip()[-500:]}")
    # dpkg's alternatives would make this link.
    (folder / "own/usr/sbin/iptables").symlink_to("iptables-nft")
    plugins = folder / "config" / "cli-plugins"
    plugins.mkdir(parents=True)
    for plugin in (folder / "new/usr/libexec/docker/cli-plugins").iterdir():
        (plugins / plugin.name).symlink_to(plugin)


def _wait_for(daemon: subprocess.Popen[bytes], environment: Mapping[str, str], folder: Path) -> str:
    """Return the engine's version as soon as it answers.  Raises AssertionError with its log."""
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
    raise AssertionError(f"dockerd does not start: {(folder / 'dockerd.log').read_text()[-3000:]}")


def _unmount(folder: Path) -> None:
    """Unmount what an engine that was killed has left in its folder."""
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        place = line.split()[1]
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", place], check=True)


def _list_processes(folder: Path) -> list[str]:
    """Return the command lines that name a folder, such as those of an engine's helpers."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


@dataclass(frozen=True, slots=True)
class _Network:
    """The kernel's packet filter and bridges, which dockerd changes for the whole machine."""

    path: str
    libraries: Path

    @property
    def variables(self) -> dict[str, str]:
        """The environment of iptables, which is not installed."""
        return {
            "LD_LIBRARY_PATH": str(self.libraries),
            "XTABLES_LIBDIR": str(self.libraries / "xtables"),
        }

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Remove an engine's bridges, chains and rules afterwards, and restore forwarding.

        Raises AssertionError when something stays.
        """
        forwarding = _FORWARDING.read_text()
        interfaces, rules = _list_interfaces(), self._list_rules()
        try:
            yield
        finally:
            added = _list_interfaces() - interfaces
            for name in added:
                self._run("ip", "link", "delete", name)
            traces = ("DOCKER", *added, *_ADDRESSES)
            saved = self._run("iptables-nft-save").splitlines()
            kept = [line for line in saved if not any(trace in line for trace in traces)]
            self._run("iptables-nft-restore", given="\n".join([*kept, ""]))
            for rule in rules:
                if rule.startswith("-P"):
                    self._run("iptables", *rule.split())
            _FORWARDING.write_text(forwarding)
        assert (_list_interfaces(), self._list_rules()) == (interfaces, rules)

    def _list_rules(self) -> list[str]:
        return self._run("iptables", "-S").splitlines()

    def _run(self, *command: str, given: str | None = None) -> str:
        return subprocess.run(
            command,
            env={**os.environ, "PATH": self.path, **self.variables},
            input=given,
            capture_output=True,
            text=True,
            check=True,
        ).stdout


def _list_interfaces() -> set[str]:
    return {place.name for place in _INTERFACES.iterdir()}
