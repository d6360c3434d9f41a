"""Pauses: capabilities from which nobody claims for now, because an operator says so.

What runs there is finished, what comes waits. The claim itself looks (transitions/statements.py),
so that a pause holds from its commit on, whatever rings and whichever process asks.
"""

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability

_PAUSE = text("""
    INSERT INTO pauses (capability, paused_at) VALUES (:capability, statement_timestamp())
    ON CONFLICT DO NOTHING RETURNING capability
""")
_PAUSED = text("SELECT capability FROM pauses")
_RESUME = text("DELETE FROM pauses WHERE capability = :capability RETURNING capability")


def pause(connection: Connection, capability: Capability) -> bool:
    """Let nobody claim from a capability any more; return whether somebody could until now."""
    return connection.execute(_PAUSE, {"capability": capability}).one_or_none() is not None


def paused(connection: Connection) -> frozenset[Capability]:
    """Return the capabilities that nobody may claim from."""
    return frozenset(Capability(row.capability) for row in connection.execute(_PAUSED))


def resume(connection: Connection, capability: Capability) -> bool:
    """Let workers claim from a capability again; return whether they could not.

    The next sweep rings for what is ready by then.
    """
    return connection.execute(_RESUME, {"capability": capability}).one_or_none() is not None
