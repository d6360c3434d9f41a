"""Version skew between workers and API, capability by capability.

Recipes are validated against the cards in the table `models`. A worker with another card of the
same model would make other pictures, so it claims nothing of that capability.
"""

import json
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version

from sqlalchemy import Connection, text

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.db import driver_queries
from smart_filter_shared.ids import Capability
from smart_filter_shared.queue.leases import VersionGuard

_FIND_SKEW = text("""
    SELECT task, name, models.card ->> 'version'
    FROM models JOIN json_to_recordset(CAST(CAST(:cards AS text) AS json))
        AS own (task text, name text, fingerprint text) USING (task, name)
    WHERE models.fingerprint <> own.fingerprint
    ORDER BY task, name
""")


def select_cards(capability: Capability, cards: Iterable[ModelCard]) -> VersionGuard:
    """Return the cards that decide a capability's results, with its stage's light models."""
    return to_guard(
        card
        for card in cards
        if card.capability == capability or capability.startswith(f"{card.capability}.")
    )


def to_guard(cards: Iterable[ModelCard]) -> VersionGuard:
    """Return cards as the JSON that statements take."""
    fields = ("task", "name", "fingerprint")
    objects = [{field: getattr(card, field) for field in fields} for card in cards]
    return VersionGuard(json.dumps(objects))


def current_release() -> tuple[int, ...]:
    """Return the version of this code as a tuple of numbers, which compare like versions."""
    return tuple(int(part) for part in re.findall(r"[0-9]+", version("smart-filter"))[:3])


def reset_release(connection: Connection) -> None:
    """Let cards of this version replace the cards of a later one, as after a rollback."""
    connection.execute(
        text("UPDATE models SET release = :own WHERE release > CAST(:own AS integer[])"),
        {"own": list(current_release())},
    )


def find_skew(connection: Connection, cards: Sequence[ModelCard]) -> dict[Capability, str]:
    """Return the capabilities whose published cards differ from one's own, with the remedy."""
    rows = driver_queries.fetch_rows(connection, _FIND_SKEW, {"cards": to_guard(cards)})
    reasons: dict[Capability, str] = {}
    for task, name, published in rows:
        card = next(card for card in cards if (card.task, card.name) == (task, name))
        why = (
            f"{card.task} {card.name} has version {card.version} here, but jobs are accepted for"
            f" version {published} with other parameters or weights: run workers and API of one"
            " version"
        )
        for capability in {other.capability for other in cards if other.stage == card.stage}:
            if not card.leads or capability == card.capability:
                reasons.setdefault(capability, why)
    return reasons
