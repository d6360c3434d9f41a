"""Pauses: an operator stops all claims from a capability until it is resumed.

Running stages finish, new ones wait. The claim statement itself checks the table `pauses`
(transitions/sql.py), so a pause takes effect at its commit, in every process.
"""

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability

_PAUSE = text("""
    INSERT INTO pauses (capability, paused_at) VALUES (:capability, statement_timestamp())
    ON CONFLICT DO NOTHING RETURNING capability
""")
_LIST_PAUSED = text("SELECT capability FROM pauses")
_RESUME = text("DELETE FROM pauses WHERE capability = :capability RETURNING capability")


def pause(connection: Connection, capability: Capability) -> bool:
    """Pause a capability; return whether it was not paused before."""
    return connection.execute(_PAUSE, {"capability": capability}).one_or_none() is not None


def list_paused(connection: Connection) -> frozenset[Capability]:
    """Return the paused capabilities."""
    return frozenset(Capability(row.capability) for row in connection.execute(_LIST_PAUSED))


def resume(connection: Connection, capability: Capability) -> bool:
    """Resume a capability; return whether it was paused.

    The next polls of its workers find its ready rows.
    """
    return connection.execute(_RESUME, {"capability": capability}).one_or_none() is not None
