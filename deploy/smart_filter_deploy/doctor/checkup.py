"""Which checks there are, in order; nothing that they meet ends them."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from smart_filter_deploy.doctor import findings, machine, place, programs
from smart_filter_deploy.doctor.findings import Finding, Level, fail
from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_deploy.embedded.folder import running_stack
from smart_filter_shared.errors import Error
from smart_filter_shared.places import data_folder

Check = Callable[[], Iterator[Finding]]

_SERVERS = tuple(
    f"SMART_FILTER_{name}"
    for name in "DATABASE_URL BROKER_URL STORAGE_URL STORAGE_ACCESS_KEY STORAGE_SECRET_KEY".split()
)


def examine(
    data: Path | None, *, port: int | None, on_check: Callable[[str], None]
) -> Iterator[Finding]:
    """Yield what every check finds, as soon as it has.

    data: the folder of the stack; None: the default one.  port: which one should be free.
    on_check: told what is looked at from now on.
    """
    secrets = findings.secrets_in()
    for name, check in _checks(data, port, secrets):
        on_check(name)
        yield from findings.without(survived(name, check), secrets)


def _checks(data: Path | None, port: int | None, secrets: set[str]) -> Iterator[tuple[str, Check]]:
    yield "python", machine.python
    yield "packages", machine.packages
    yield "variables", _variables
    path = (data or data_folder()).absolute()
    up = running_stack(path)
    yield "data folder", partial(place.folder, path)
    yield "permissions", partial(place.postgres_user, path)
    yield "stack", partial(place.stack, path)
    yield "disk", partial(machine.disk, path)
    yield "memory", machine.memory
    yield "gpu", machine.gpu
    yield "port", partial(machine.port, port)
    managed = any(os.environ.get(name) for name in _SERVERS)
    yield "programs", partial(programs.servers, needed=not managed)
    yield "weights", partial(programs.weights, path / "weights")
    if up is not None:
        secrets |= {up.api_key, up.servers.storage_secret_key}
        for url in (up.servers.database_url, up.servers.broker_url):
            secrets |= findings.passwords_in(url)
    named = os.environ.get("SMART_FILTER_URL")
    if named:
        yield "api", partial(_api, named, os.environ.get("SMART_FILTER_API_KEY", ""))
    elif up is not None:
        yield "api", partial(_api, up.url, up.api_key)
    if named or managed or up is not None:
        yield "browsers", partial(_browsers, named or (None if up is None else up.url))
        yield "outbound", _outbound
    if managed or up is not None:
        yield "servers", partial(_servers, None if managed or up is None else up.servers)


def _variables() -> Iterator[Finding]:
    # Not part of a bare install, here and below.
    from smart_filter_deploy.doctor import variables  # noqa: PLC0415

    return variables.variables()


def _api(url: str, api_key: str) -> Iterator[Finding]:
    from smart_filter_deploy.doctor import service  # noqa: PLC0415

    return service.api(url, api_key)


def _browsers(url: str | None) -> Iterator[Finding]:
    from smart_filter_deploy.doctor import service  # noqa: PLC0415
    from smart_filter_shared import settings  # noqa: PLC0415

    return service.browsers(settings.browser(), url)


def _outbound() -> Iterator[Finding]:
    from smart_filter_deploy.doctor import service  # noqa: PLC0415

    return service.outbound()


def _servers(addresses: Addresses | None) -> Iterator[Finding]:
    """Look at the servers of a stack, or at those that the environment names."""
    from smart_filter_deploy.doctor import servers  # noqa: PLC0415
    from smart_filter_shared import settings  # noqa: PLC0415

    if addresses is None:
        named = settings.load()
        found = (named.database, named.broker, named.storage)
    else:
        found = servers.settings_of(addresses)
    database, broker, storage = found
    yield from servers.database(database)
    yield from servers.broker(broker)
    yield from servers.storage(storage)


def survived(name: str, check: Check) -> Iterator[Finding]:
    """Yield what a check finds; when it raises, that is a finding too."""
    try:
        yield from check()
    except ModuleNotFoundError as error:
        fix = "pip install 'smart-filter[embedded]'"
        yield Finding(Level.WARN, name, f"cannot be looked at ({error.name} is missing)", fix)
    except Error as error:
        told = str(error)
        # Settings tell the remedy behind a semicolon, for it may hold a URL.
        said, _, fix = told.rpartition("; " if "; " in told else ": ")
        yield fail(name, said or fix, fix if said else "")
    except Exception as error:  # noqa: BLE001 - the top of a check: the others go on
        said = f"the check itself failed ({type(error).__name__}: {error})"
        yield fail(name, said, "tell the authors")
