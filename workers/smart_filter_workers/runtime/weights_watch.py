"""Serve the models whose weights arrive while a worker runs."""

import threading
from collections.abc import Collection, Iterable

from smart_filter_shared.catalog.model_card import Offer
from smart_filter_shared.db import sessions
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.runtime import capabilities
from smart_filter_workers.runtime.context import WorkerContext

# A look reads one time of change: this only bounds the wait after a download.
_LOOK_SECONDS = 1.0
_log = logger("worker")


class WeightsWatch:
    """Adds the models of new weights files to the models that a process serves.

    A model whose file is removed is served until the process ends.

    offers: the offers that the process started with.  stages, models, gpu_fault: as for
    `capabilities.plan_capabilities`.
    """

    def __init__(
        self,
        context: WorkerContext,
        offers: Iterable[Offer],
        *,
        stages: Collection[StageName],
        models: Collection[str],
        gpu_fault: str | None,
    ) -> None:
        self._context = context
        self._offers = {(offer.card.task, offer.card.name): offer for offer in offers}
        self._stages = stages
        self._models = models
        self._gpu_fault = gpu_fault
        # None: files may have arrived since the offers were listed.
        self._changed_at: int | None = None

    def run(self, stopping: threading.Event) -> None:
        """Look for new files until `stopping` is set."""
        looks = SupervisedLoop("weights", every_seconds=_LOOK_SECONDS)
        while not stopping.wait(looks.pause_seconds):
            with looks.step():
                self.look()

    def look(self) -> None:
        """Serve the models whose files have arrived since the last look.

        Raises DatabaseUnavailable.
        """
        context = self._context
        folder = context.settings.weights
        try:
            changed_at = folder.stat().st_mtime_ns
        except OSError:  # a volume that is away
            return
        if changed_at == self._changed_at:
            return
        offers = self._offers | {
            (offer.card.task, offer.card.name): offer
            for offer in context.catalog.offers(folder)
            if offer.card.stage in self._stages and offer.fault is None
        }
        arrived = [offer for key, offer in offers.items() if offer != self._offers.get(key)]
        if arrived:
            setup = capabilities.plan_capabilities(
                offers.values(), stages=self._stages, models=self._models, gpu_fault=self._gpu_fault
            )
            setup.load(context.models)
            with sessions.transaction(context.engine) as connection:
                published_models.publish(connection, arrived)
            context.serving.extend(setup.serving)
            _log.info("weights_arrived", models=sorted(offer.card.name for offer in arrived))
            self._offers = offers
            context.heartbeat.announce()
        self._changed_at = changed_at
