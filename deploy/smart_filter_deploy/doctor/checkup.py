"""Run all checks in order; an error in one does not stop the others."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from smart_filter_deploy.doctor import configuration, findings, machine, programs, service
from smart_filter_deploy.doctor.findings import Finding, Level, fail
from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_deploy.embedded.folder import running_stack
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.errors import Error
from smart_filter_shared.extras import install_hint
from smart_filter_shared.security import signing_certificate

_SERVER_VARIABLES = tuple(
    f"SMART_FILTER_{name}"
    for name in "DATABASE_URL BROKER_URL STORAGE_URL STORAGE_ACCESS_KEY STORAGE_SECRET_KEY".split()
)


def run_checks(
    data: Path | None, *, port: int | None, on_check: Callable[[str], None]
) -> Iterator[Finding]:
    """Yield the findings of every check, as soon as they are known.

    data: the folder of the stack; None: the default folder.  port: the port that should be free;
    None: any.  on_check: called with the name of each check before it runs.
    """
    secrets = findings.find_secrets()
    for name, check in _checks(data, port, secrets):
        on_check(name)
        yield from findings.redact(guard_check(name, check), secrets)


def _checks(
    data: Path | None, port: int | None, secrets: set[str]
) -> Iterator[tuple[str, Iterator[Finding]]]:
    """Yield every check by its name; a check does nothing before its findings are read.

    Where the environment names servers, nothing of the embedded stack is checked.
    """
    yield "python", machine.check_python()
    yield "packages", machine.check_packages()
    yield "variables", _check_variables()
    path = (data or data_folder()).absolute()
    up = running_stack(path)
    managed = any(os.environ.get(name) for name in _SERVER_VARIABLES)
    if not managed:
        yield from _embedded_checks(path)
    yield "disk", machine.check_disk(path)
    yield "gpu", machine.check_gpu()
    yield "port", machine.check_port(port)
    yield from _model_checks(path / "weights", needed=not managed)
    if up is not None:
        secrets.add(up.api_key)
        for url in (up.servers.database_url, up.servers.broker_url):
            secrets |= findings.find_passwords(url)
    address = os.environ.get("SMART_FILTER_URL")
    if os.environ.get(signing_certificate.CERTIFICATE):
        yield "c2pa", _check_signature()
    for url in filter(None, (address, None if up is None else up.https_url)):
        yield "https", _check_https(url)
    if address:
        yield "api", service.check_api(address, os.environ.get("SMART_FILTER_API_KEY", ""))
    elif up is not None:
        yield "api", service.check_api(up.url, up.api_key)
    if address or managed or up is not None:
        yield "browsers", _check_browsers(address or (None if up is None else up.url))
        yield "outbound", service.check_outbound()
    if managed or up is not None:
        yield "servers", _check_servers(None if managed or up is None else up.servers)


def _embedded_checks(path: Path) -> Iterator[tuple[str, Iterator[Finding]]]:
    yield "data folder", configuration.check_folder(path)
    yield "permissions", configuration.check_postgres_user(path)
    yield "stack", configuration.check_stack(path)
    yield "memory", machine.check_memory()
    yield "programs", programs.check_servers()


def _model_checks(weights: Path, *, needed: bool) -> Iterator[tuple[str, Iterator[Finding]]]:
    # The API's image has no models.
    if needed or machine.has_models():
        yield "weights", programs.check_weights(weights)
        yield "commercial", programs.check_terms(weights)


def _check_variables() -> Iterator[Finding]:
    # Imported here, as in the functions below: a bare install lacks its dependencies.
    from smart_filter_deploy.doctor import configuration  # noqa: PLC0415

    yield from configuration.check_variables()


def _check_signature() -> Iterator[Finding]:
    from smart_filter_deploy.doctor import configuration  # noqa: PLC0415

    yield from configuration.check_signature()


def _check_https(url: str) -> Iterator[Finding]:
    from smart_filter_deploy.doctor import configuration  # noqa: PLC0415

    yield from configuration.check_https(url)


def _check_browsers(url: str | None) -> Iterator[Finding]:
    from smart_filter_shared.config import settings  # noqa: PLC0415

    yield from service.check_browsers(settings.load_browser(), url)


def _check_servers(addresses: Addresses | None) -> Iterator[Finding]:
    """Check the servers of a stack, or the servers of the environment's settings."""
    from smart_filter_deploy.doctor import servers  # noqa: PLC0415
    from smart_filter_shared.config import settings  # noqa: PLC0415

    if addresses is None:
        loaded = settings.load()
        addressed = (loaded.database, loaded.broker, loaded.storage)
    else:
        addressed = servers.settings_of(addresses)
    database, broker, storage = addressed
    yield from servers.check_database(database)
    yield from servers.check_broker(broker)
    yield from servers.check_storage(storage)


def guard_check(name: str, check: Iterator[Finding]) -> Iterator[Finding]:
    """Yield the findings of a check; turn an exception into a finding."""
    try:
        yield from check
    except ModuleNotFoundError as error:
        said = f"cannot be checked ({error.name} is missing)"
        yield Finding(Level.WARN, name, said, install_hint())
    except Error as error:
        message = str(error)
        # Errors of settings have the remedy after a semicolon, because it may contain a URL.
        said, _, fix = message.rpartition("; " if "; " in message else ": ")
        yield fail(name, said or fix, fix if said else "")
    except Exception as error:  # noqa: BLE001 - the top of a check: the others go on
        said = f"the check itself failed ({type(error).__name__}: {error})"
        yield fail(name, said, "report this to the authors")
