"""What a worker serves: its capabilities, less those whose model cannot be loaded."""

import threading
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection

from smart_filter_shared.cards import ModelCard, Offer
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import skew
from smart_filter_shared.jobs.skew import OwnCards
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.loaded import LoadedModels

_log = logger("worker")


class Serving:
    """Which capabilities a process claims from, and which it should but cannot; safe for threads.

    wanted: what it was started for.  faults: what is known to be wrong with some of them.
    cards: what this process knows of its models.
    """

    def __init__(
        self,
        wanted: Iterable[Capability],
        faults: Mapping[Capability, str],
        cards: Iterable[ModelCard] = (),
    ) -> None:
        self._wanted = tuple(sorted(set(wanted)))
        self._failed = dict(faults)
        self._cards = tuple(cards)
        self._own = {one: skew.own_cards(one, self._cards) for one in self._wanted}
        self._skewed: dict[Capability, str] = {}
        self._resting = False
        self._lock = threading.Lock()

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What it serves: all that it can, and nothing while it rests."""
        return () if self.resting else self.able

    @property
    def able(self) -> tuple[Capability, ...]:
        """What it can serve, whether it rests or not."""
        with self._lock:
            out = {**self._failed, **self._skewed}
            return tuple(one for one in self._wanted if one not in out)

    @property
    def resting(self) -> bool:
        """Whether an operator wants it to claim no more."""
        with self._lock:
            return self._resting

    def rest(self, *, resting: bool) -> bool:
        """Claim no more, or claim again; return whether that changes anything."""
        with self._lock:
            changed = resting != self._resting
            self._resting = resting
        return changed

    @property
    def failed(self) -> dict[Capability, str]:
        """What it cannot serve, and why: the state `setup_failed`."""
        with self._lock:
            skewed = {one: why for one, why in self._skewed.items() if one in self._wanted}
            return {**skewed, **self._failed}

    def fail(self, capability: Capability, why: str) -> None:
        """Serve a capability no longer, until the process starts again."""
        with self._lock:
            self._failed.setdefault(capability, why)
        _log.error("setup failed", capability=capability, reason=why)

    def cards_of(self, capability: Capability) -> OwnCards:
        """Return the cards by which this process runs a capability."""
        return self._own[capability]

    def compare(self, connection: Connection) -> None:
        """Serve only what is published with the cards that this process has, as long as it is."""
        skewed = skew.differing(connection, self._cards)
        with self._lock:
            new = {one: why for one, why in skewed.items() if one not in self._skewed}
            self._skewed = skewed
        for capability, why in new.items():
            if capability in self._wanted:
                _log.error("another version is served", capability=capability, reason=why)


def begin(
    offers: Iterable[Offer],
    loaded: LoadedModels,
    *,
    stages: Collection[StageName],
    models: Collection[str] = (),
) -> Serving:
    """Load what is needed at once, and return what can be served.

    models: the leading models to serve, of those stages that have one of these names; of
    other stages all that this machine can run.  Those that are named are loaded now, else
    the default ones; the others at their first use.
    Raises SetupFailed when nothing can be served.
    """
    leading, beside = _parted(offers, stages)
    unknown = sorted(set(models) - {offer.card.name for offer in leading})
    if unknown:
        names = ", ".join(sorted({offer.card.name for offer in leading}))
        raise SetupFailed(
            f"no model of these stages is named {', '.join(unknown)}; there are {names}"
        )
    narrowed = {offer.card.stage for offer in leading if offer.card.name in models}
    leading = [
        offer for offer in leading if offer.card.name in models or offer.card.stage not in narrowed
    ]
    # A model that is not there for want of a package or of weights is only missed by name or
    # by default: a worker without detectron2 is in order.
    missed = [offer for offer in leading if offer.card.default or offer.card.name in models]
    faults = {offer.card.capability: offer.fault for offer in missed if offer.fault is not None}
    wanted = {offer.card.capability for offer in leading if offer.fault is None} | set(faults)
    serving = Serving(wanted, faults, [offer.card for offer in (*leading, *beside)])
    for capability, why in faults.items():
        _log.error("setup failed", capability=capability, reason=why)
    for offer in missed:
        if offer.fault is None:
            _load(loaded, offer.card, serving, [offer.card.capability])
    for offer in beside:
        if offer.card.default:
            affected = [one for one in wanted if one.startswith(f"{offer.card.stage}.")]
            _load(loaded, offer.card, serving, affected)
    if not serving.capabilities:
        raise SetupFailed("; ".join(dict.fromkeys(serving.failed.values())) or "nothing to serve")
    return serving


def _parted(
    offers: Iterable[Offer], stages: Collection[StageName]
) -> tuple[list[Offer], list[Offer]]:
    """Return the offers of leading models of some stages, and those of the light ones beside."""
    here = [offer for offer in offers if offer.card.stage in stages]
    return (
        [offer for offer in here if offer.card.leads],
        [offer for offer in here if not offer.card.leads],
    )


def _load(
    loaded: LoadedModels, card: ModelCard, serving: Serving, affected: Iterable[Capability]
) -> None:
    try:
        loaded.model(card.task, card.name)
    except ModelNotLoaded as error:
        for capability in affected:
            serving.fail(capability, str(error))
