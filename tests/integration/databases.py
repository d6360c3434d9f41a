"""Create databases for a single test on the tests' server."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, make_url, text

from smart_filter_shared.config.settings import DatabaseSettings
from smart_filter_shared.db import migrate, sessions


@contextmanager
def an_empty_database(url: str, name: str) -> Iterator[DatabaseSettings]:
    """Provide a database without tables while the block lasts.

    url: of any database on the server.
    """
    outside = create_engine(url, isolation_level="AUTOCOMMIT")
    with outside.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    address = make_url(url).set(database=name).render_as_string(hide_password=False)
    try:
        yield DatabaseSettings(url=SecretStr(address))
    finally:
        with outside.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        outside.dispose()


@contextmanager
def connect(settings: DatabaseSettings, *, connections: int = 2) -> Iterator[Engine]:
    engine = sessions.open_engine(
        settings, connections=connections, statement_seconds=sessions.COMMAND_SECONDS
    )
    try:
        yield engine
    finally:
        engine.dispose()


def bring_to(engine: Engine, revision: str) -> None:
    """Apply the migrations up to a revision, without the other steps of an upgrade."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
