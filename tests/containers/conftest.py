"""One engine and one pair of images for all tests of containers."""

from collections.abc import Iterator

import pytest

from containers import images
from containers.compose_stack import ComposeStack, compose_stack
from containers.engine import Engine, open_engine
from containers.images import OwnImages
from smart_filter_client import Client

_REPORT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep what the terminal shows at the end."""
    config.stash[_REPORT] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print which engine ran, and which images were not the real ones."""
    for line in config.stash[_REPORT]:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A Docker engine; the tests are skipped where none can run."""
    with open_engine() as opened:
        request.config.stash[_REPORT].append(f"Docker engine: {opened.origin}.")
        yield opened


@pytest.fixture(scope="session")
def own_images(engine: Engine, request: pytest.FixtureRequest) -> Iterator[OwnImages]:
    """Both images, built from this checkout."""
    report = request.config.stash[_REPORT]
    with images.provide(engine, images.list_bases()) as standins:
        real = sorted(set(images.list_bases()) - set(standins))
        for names, kind in ((real, "The real images"), (standins, "Stand-ins")):
            report.append(f"{kind}: {', '.join(names) or 'none'}.")
        with images.built(engine) as built:
            report.append(images.describe_sizes(images.measure_sizes(engine, built)))
            yield built


@pytest.fixture(scope="session")
def stack(engine: Engine, own_images: OwnImages) -> Iterator[ComposeStack]:
    """The services of docker-compose.yml, healthy; a test starts again what it has stopped."""
    with compose_stack(engine) as services:
        services.up(images=own_images)
        yield services


@pytest.fixture(scope="session")
def client(stack: ComposeStack) -> Iterator[Client]:
    """A client with a key of its own."""
    with Client(stack.url, stack.create_key()) as opened:
        yield opened
