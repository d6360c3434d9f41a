"""The heads of the queues: which capabilities have ready rows, and which one is next."""

from collections.abc import Collection

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName, stage_index

# One probe of `stages_ready` per capability: `= ANY` would sort all their rows.
_HEADS = text("""
    SELECT served.capability, head.rank
    FROM unnest(CAST(:capabilities AS text[])) AS served (capability), LATERAL (
        SELECT rank FROM open_stages AS stages
        WHERE stages.capability = served.capability AND state = 'ready'
            AND coalesce(deadline_at > statement_timestamp(), true)
        ORDER BY rank LIMIT 1
    ) AS head
    WHERE NOT EXISTS (SELECT FROM pauses WHERE pauses.capability = served.capability)
""")


def next_capability(connection: Connection, served: Collection[Capability]) -> Capability | None:
    """Return the capability whose head has the lowest rank; the later stage breaks ties.

    None when no capability has a ready row.
    """
    heads = connection.execute(_HEADS, {"capabilities": list(served)}).all()
    if not heads:
        return None
    lowest = min(heads, key=lambda head: (head.rank, -stage_index(stage_of(head.capability))))
    return Capability(lowest.capability)


def list_ready(connection: Connection, served: Collection[Capability]) -> list[Capability]:
    """Return the capabilities that have a ready row."""
    heads = connection.execute(_HEADS, {"capabilities": list(served)})
    return [Capability(head.capability) for head in heads]


def stage_of(capability: str) -> StageName:
    """Return the stage of a capability, such as `face` of `face.centerface`."""
    return StageName(capability.partition(".")[0])
