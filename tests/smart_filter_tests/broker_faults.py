"""Faults of a broker that answers: it takes no writes, or no logins."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis


@contextmanager
def read_only(broker: redis.Redis) -> Iterator[None]:
    """Make the broker a replica while the block lasts, as a failover does."""
    broker.execute_command("REPLICAOF", "127.0.0.1", "9")
    try:
        yield
    finally:
        broker.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def full(broker: redis.Redis) -> Iterator[None]:
    """Let the broker have no memory left while the block lasts."""
    broker.config_set("maxmemory", "1")
    try:
        yield
    finally:
        broker.config_set("maxmemory", "0")


@contextmanager
def another_password(broker: redis.Redis) -> Iterator[None]:
    """Change the password while the block lasts; connections that are open stay signed in."""
    (before,) = broker.config_get("requirepass").values()
    broker.config_set("requirepass", "another")
    try:
        yield
    finally:
        broker.config_set("requirepass", before)
