"""Two whole installations behind one cell router, for tests that take one of them away."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from smart_filter_api import keys
from smart_filter_api.cells.choosing import Cell, Cells
from smart_filter_deploy.cli import program
from smart_filter_deploy.embedded.ports import LOOPBACK, free_port
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Tenant
from smart_filter_tests.bench import settings_of
from smart_filter_tests.running import ENGINE, Running, running

DOMAIN = "photos.test"
NAMES = ("amber", "basil")


@dataclass(slots=True)
class Celled:
    """The cells by name, the tenant of each, and a client of that tenant at the router.

    watch: URL of what the router tells operators.
    """

    url: str
    watch: str
    cells: Mapping[str, Running]
    tenants: Mapping[str, str]
    clients: Mapping[str, httpx.Client]


@contextmanager
def celled(folder: Path, weights: Path) -> Iterator[Celled]:
    """Run two stacks and the process of a router before them."""
    with ExitStack() as held:
        stacks = {
            name: held.enter_context(running(folder / name, weights, ENGINE)) for name in NAMES
        }
        cells = Cells([Cell(name, str(stack.client.base_url)) for name, stack in stacks.items()])
        tenants = {
            name: next(
                tenant
                for number in range(1000)
                if cells.of(tenant := f"tenant-{number}").name == name
            )
            for name in NAMES
        }
        port, watch_port = free_port(), free_port()
        options = [part for cell in cells.every for part in ("--cell", f"{cell.name}={cell.url}")]
        options += ["--port", str(port), "--watch", f"{LOOPBACK}:{watch_port}"]
        command = program.command("router", "--domain", DOMAIN, *options)
        process = subprocess.Popen(command)
        held.callback(process.wait)
        held.callback(process.terminate)
        url, watch = f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{watch_port}"
        stacks["amber"].until(lambda: _is_ready(watch))
        clients = {
            name: held.enter_context(
                httpx.Client(
                    base_url=url,
                    headers={
                        "Host": f"{tenants[name]}.{DOMAIN}",
                        "Authorization": f"Bearer {_key(stack, tenants[name])}",
                    },
                    timeout=30,
                    trust_env=False,
                )
            )
            for name, stack in stacks.items()
        }
        yield Celled(url, watch, stacks, tenants, clients)


def _key(cell: Running, tenant: str) -> str:
    engine = sessions.engine(settings_of(cell.stack.addresses).database, connections=1)
    with sessions.transaction(engine) as connection:
        key = keys.issue(connection, tenant=Tenant(tenant), scopes=keys.ALL_SCOPES).key
    engine.dispose()
    return key


def _is_ready(url: str) -> bool:
    try:
        answer = httpx.get(f"{url}/readyz", timeout=1, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.status_code == httpx.codes.OK and not answer.json()["degraded"]
