"""Run shadow weights on the inputs of completed stages, and compare the results.

A shadow run starts after its stage is complete and the client has its result, and only while
nothing else is ready. Under load most runs are skipped; the rest is still a sample.

Weights that are not promoted may hang or crash: they run in a child process, one at a time, and
this worker does not repeat weights that have killed a child.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Engine

from smart_filter_shared.config.settings import Settings
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import ModelNotLoaded, Poison, TryAgain
from smart_filter_shared.model_registry import shadow_results
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.results import Faces, Smiles
from smart_filter_shared.telemetry.logs import logger
from smart_filter_wire.findings import Eyes
from smart_filter_workers import child_process
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.results import PreparedPhoto, Segmentation
from smart_filter_workers.stages.segmentation.mattes import agreement as of_mattes

# Length of the queue: each entry holds a proxy of 3 MB.
_MAX_WAITING: Final = 4
_MAX_ERROR_LENGTH: Final = 300
_log = logger("shadow")


@dataclass(frozen=True, slots=True)
class CompletedStage:
    """The inputs of a completed stage for one photo, and its result."""

    lease: Lease
    inputs: object
    result: object


class ShadowRunner:
    """The shadow runs that wait in this process; safe for threads.

    extra_models: see `child_process.ChildRequest`.
    """

    def __init__(
        self,
        engine: Engine,
        models: ModelCache,
        *,
        settings: Settings,
        extra_models: Sequence[str] = (),
    ) -> None:
        self._engine = engine
        self._models = models
        self._settings = settings
        self._extra_models = extra_models
        self._deadly: set[str] = set()  # digests of weights that have killed a child
        # One thread at a time: if weights hang, the other threads keep serving jobs.
        self._turn = threading.Lock()
        self._waiting: deque[CompletedStage] = deque(maxlen=_MAX_WAITING)
        self._lock = threading.Lock()

    def offer(self, ran: CompletedStage) -> None:
        """Queue a completed stage for its shadow weights; they run when no stage is ready."""
        if ran.lease.shadows and ran.inputs is not None:
            with self._lock:
                self._waiting.append(ran)

    def run_next(self) -> bool:
        """Run one queued stage; return False if none is queued or another thread runs one.

        Every error is recorded.
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
                    self._run_shadow(ran, task, digest)
        finally:
            self._turn.release()
        return True

    def _run_shadow(self, ran: CompletedStage, task: TaskName, digest: str) -> None:
        lease = ran.lease
        counted = self._models.digests(lease.models, lease.parameters, lease.digests)
        shares, failed = None, None
        try:
            answer = self._run(ran, task, digest)
            shares = measure_agreement(task, ran.result, answer.result)
        except ModelNotLoaded as error:
            failed = str(error)[:_MAX_ERROR_LENGTH]
        except Poison as error:
            self._deadly.add(digest)
            failed = str(error)[:_MAX_ERROR_LENGTH]
            _log.warning("shadow_run_abandoned", digest=digest, reason=failed)
        except TryAgain as error:
            # The weights did not cause this: leave the photo out.
            _log.warning("shadow_run_failed", digest=digest, reason=str(error))
            return
        except Exception as error:  # noqa: BLE001 - the top of a shadow run
            # Shadow weights may raise anything; it must not affect a job.
            _log.exception("shadow_model_raised", digest=digest, stage=lease.stage)
            failed = f"{type(error).__name__}: {error}"[:_MAX_ERROR_LENGTH]
        if shares is None and failed is None:
            return
        agreement = None if shares is None else {**shares, "seconds": answer.seconds}
        try:
            with sessions.transaction(self._engine) as connection:
                shadow_results.record(
                    connection, digest, against=counted.get(task), agreement=agreement, error=failed
                )
        except TryAgain as error:
            _log.warning("shadow_report_failed", digest=digest, reason=str(error))

    def _run(self, ran: CompletedStage, task: TaskName, digest: str) -> child_process.ChildResult:
        """Run a stage with shadow weights.  Raises Poison, and what the stage raises."""
        lease = replace(ran.lease, digests={**ran.lease.digests, task: digest}, shadows={})
        request = child_process.ChildRequest(
            self._settings, self._extra_models, lease, None, ran.inputs
        )
        answer = child_process.run(request, limit_seconds=self._settings.engine.stage_seconds)
        if answer.error is not None:
            raise answer.error
        return answer


def measure_agreement(task: TaskName, counted: object, tried: object) -> dict[str, float] | None:
    """Return how far the shadow result agrees with the live one; None if they are not comparable.

    segmentation: `iou` of both mattes, `coverage` the difference of their coverages.  smile:
    `level` the share of faces with the same level, `score` the mean difference of scores.  eyes:
    `eyes` the share of eyes with the same answer.  orientation: `turns`, 1 for the same answer.
    face: `faces`, 1 for the same number.
    """
    if isinstance(counted, Segmentation) and isinstance(tried, Segmentation):
        return {
            "iou": of_mattes.agreement(counted.matte, tried.matte),
            "coverage": abs(counted.coverage - tried.coverage),
        }
    if isinstance(counted, Smiles) and isinstance(tried, Smiles):
        return _compare_smiles(task, counted, tried) if counted.smiles else None
    if isinstance(counted, Faces) and isinstance(tried, Faces):
        return {"faces": float(len(counted.faces) == len(tried.faces))}
    if isinstance(counted, PreparedPhoto) and isinstance(tried, PreparedPhoto):
        return {"turns": float(counted.quarter_turns == tried.quarter_turns)}
    return None


def _compare_smiles(task: TaskName, counted: Smiles, tried: Smiles) -> dict[str, float]:
    if task == TaskName.EYES:
        counted_eyes, tried_eyes = _eye_states(counted.eyes), _eye_states(tried.eyes)
        same = [before == after for before, after in zip(counted_eyes, tried_eyes, strict=True)]
        return {"eyes": sum(same) / len(same)}
    pairs = list(zip(counted.smiles, tried.smiles, strict=True))
    return {
        "level": sum(smile.level == other.level for smile, other in pairs) / len(pairs),
        "score": sum(abs(smile.score - other.score) for smile, other in pairs) / len(pairs),
    }


def _eye_states(eyes: tuple[Eyes, ...]) -> list[bool | None]:
    return [is_open for pair in eyes for is_open in (pair.left_open, pair.right_open)]
