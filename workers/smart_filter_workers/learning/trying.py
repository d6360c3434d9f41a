"""Weights that are tried: they see what a stage has seen, after it is done, and are compared.

A photo's stage is complete, and whoever waits for it is served, before any of this runs; and it
runs while nothing else is ready. Under load most of it falls away: it is a sample all the same.

Weights that are not promoted may hang or crash: they run in a child process, one at a time, and
what has cost a child its life is not tried again by this worker.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Engine

from smart_filter_shared.cards import TaskName
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import ModelNotLoaded, Poison, TryAgain
from smart_filter_shared.jobs import shadows
from smart_filter_shared.jobs.leases import Lease
from smart_filter_shared.settings import Settings
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers import isolation
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.results import Eyes, Faces, Prepared, Segmented, Smiles
from smart_filter_workers.stages.segmentation import agreement as of_mattes

# Each holds a proxy of 3 MB.
_MOST_WAITING: Final = 4
_LONGEST_ERROR: Final = 300
_log = logger("shadow")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a stage saw of a photo, and what it made of that."""

    lease: Lease
    inputs: object
    result: object


class Trying:
    """What waits to be tried in this process; safe for threads.

    extra_models: as of `isolation.Request`.
    """

    def __init__(
        self,
        engine: Engine,
        models: LoadedModels,
        *,
        settings: Settings,
        extra_models: Sequence[str] = (),
    ) -> None:
        self._engine = engine
        self._models = models
        self._settings = settings
        self._extra_models = extra_models
        self._deadly: set[str] = set()  # digests
        # One thread at a time: should weights hang, the others go on with what counts.
        self._turn = threading.Lock()
        self._waiting: deque[Ran] = deque(maxlen=_MOST_WAITING)
        self._lock = threading.Lock()

    def offer(self, ran: Ran) -> None:
        """Let a stage that is complete be tried with other weights, when there is time."""
        if ran.lease.shadows and ran.inputs is not None:
            with self._lock:
                self._waiting.append(ran)

    def try_one(self) -> bool:
        """Try one that waits; False when none does, or another thread is at it.

        Whatever goes wrong is written down.
        """
        if not self._turn.acquire(blocking=False):
            return False
        try:
            with self._lock:
                if not self._waiting:
                    return False
                ran = self._waiting.popleft()
            for task, digest in ran.lease.shadows.items():
                if digest not in self._deadly:
                    self._try(ran, task, digest)
        finally:
            self._turn.release()
        return True

    def _try(self, ran: Ran, task: TaskName, digest: str) -> None:
        lease = ran.lease
        counted = self._models.digests(lease.models, lease.parameters, lease.digests)
        found, failed = None, None
        try:
            answer = self._run(ran, task, digest)
            found = agreement(task, ran.result, answer.result)
        except ModelNotLoaded as error:
            failed = str(error)[:_LONGEST_ERROR]
        except Poison as error:
            self._deadly.add(digest)
            failed = str(error)[:_LONGEST_ERROR]
            _log.warning("not tried again", digest=digest, reason=failed)
        except TryAgain as error:
            # Not their fault: this photo is left out.
            _log.warning("not tried", digest=digest, reason=str(error))
            return
        except Exception as error:  # noqa: BLE001 - the top of what is tried
            # Weights that nobody has promoted may do anything; no job is to know.
            _log.exception("tried weights raised", digest=digest, stage=lease.stage)
            failed = f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
        if found is None and failed is None:
            return
        told = None if found is None else {**found, "seconds": answer.seconds}
        try:
            with sessions.transaction(self._engine) as connection:
                shadows.record(
                    connection, digest, against=counted.get(task), agreement=told, error=failed
                )
        except TryAgain as error:
            _log.warning("not told", digest=digest, reason=str(error))

    def _run(self, ran: Ran, task: TaskName, digest: str) -> isolation.Answer:
        """Run a stage with weights that are tried.  Raises Poison, and what the stage raises."""
        lease = replace(ran.lease, digests={**ran.lease.digests, task: digest}, shadows={})
        request = isolation.Request(self._settings, self._extra_models, lease, None, ran.inputs)
        answer = isolation.run(request, limit_seconds=self._settings.engine.stage_seconds)
        if answer.error is not None:
            raise answer.error
        return answer


def agreement(task: TaskName, counted: object, tried: object) -> dict[str, float] | None:
    """Return how far what was tried says the same as what counted; None: there was nothing to say.

    segmentation: `iou` of both mattes, `coverage` the difference of theirs.  smile: `level` the
    share of faces with the same, `score` the mean difference of scores.  eyes: `eyes` the share
    of eyes with the same answer.  orientation: `turns`, 1 when it is the same.  face: `faces`,
    1 when there are as many.
    """
    if isinstance(counted, Segmented) and isinstance(tried, Segmented):
        return {
            "iou": of_mattes.agreement(counted.matte, tried.matte),
            "coverage": abs(counted.coverage - tried.coverage),
        }
    if isinstance(counted, Smiles) and isinstance(tried, Smiles):
        return _of_smiles(task, counted, tried) if counted.smiles else None
    if isinstance(counted, Faces) and isinstance(tried, Faces):
        return {"faces": float(len(counted.faces) == len(tried.faces))}
    if isinstance(counted, Prepared) and isinstance(tried, Prepared):
        return {"turns": float(counted.quarter_turns == tried.quarter_turns)}
    return None


def _of_smiles(task: TaskName, counted: Smiles, tried: Smiles) -> dict[str, float]:
    if task == TaskName.EYES:
        own, other = _each(counted.eyes), _each(tried.eyes)
        same = [one == two for one, two in zip(own, other, strict=True)]
        return {"eyes": sum(same) / len(same)}
    pairs = list(zip(counted.smiles, tried.smiles, strict=True))
    return {
        "level": sum(one.level == other.level for one, other in pairs) / len(pairs),
        "score": sum(abs(one.score - other.score) for one, other in pairs) / len(pairs),
    }


def _each(eyes: tuple[Eyes, ...]) -> list[bool | None]:
    return [is_open for one in eyes for is_open in (one.left_open, one.right_open)]
