"""Proxies between a process and its servers, all of a stack."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_shared.config.settings import Settings
from smart_filter_tests.bench import settings_of
from smart_filter_tests.proxy import Mode, Proxy


@dataclass(frozen=True, slots=True)
class ServerProxies:
    """Proxies to the servers; each can be cut.  settings: of a process that knows only them."""

    database: Proxy
    storage: Proxy
    broker: Proxy
    settings: Settings

    def cut(self, name: str, mode: Mode) -> None:
        proxy: Proxy = getattr(self, name)
        proxy.mode = mode
        if mode == Mode.RESET:
            proxy.cut()


@contextmanager
def before_servers(addresses: Addresses) -> Iterator[ServerProxies]:
    """Run a proxy before each server while the block lasts."""
    urls = (addresses.database_url, addresses.storage_url, addresses.broker_url)
    with ExitStack() as stack:
        proxies, through = [], []
        for url in urls:
            place = urlsplit(url)
            proxies.append(stack.enter_context(Proxy(place.hostname or "", place.port or 0)))
            address = place.netloc.rpartition("@")[2]
            through.append(url.replace(address, f"127.0.0.1:{proxies[-1].port}"))
        database_url, storage_url, broker_url = through
        settings = settings_of(
            addresses,
            SMART_FILTER_DATABASE_URL=database_url,
            SMART_FILTER_STORAGE_URL=storage_url,
            SMART_FILTER_BROKER_URL=broker_url,
        )
        yield ServerProxies(*proxies, settings)
