"""Makes pictures at full quality of the smile shutter's moments, from the original frames."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from smart_filter_client import Client, Recipe
from smart_filter_client import errors as client_errors
from smart_filter_deploy.cli.live.session import Moment
from smart_filter_deploy.cli.server import submit_and_fetch
from smart_filter_deploy.cli.terminal.outputs import OutputPaths

# Video seconds, not wall-clock: the message about a moment follows its best frame by up to 1 s
# (docs/live.md), and a slow worker takes longer than that for a second of a recording.
_BUFFER_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class MomentPicture:
    """Result of one moment.

    path: the picture.  error: why there is none.
    """

    frame: int
    score: float
    job_id: str | None
    path: Path | None
    error: str | None

    def as_json(self) -> dict[str, object]:
        """Return the result as a JSON document."""
        return {
            "frame": self.frame,
            "score": self.score,
            "job_id": self.job_id,
            "path": None if self.path is None else str(self.path.absolute()),
            "error": self.error,
        }


class MomentRecorder:
    """Keeps the frames of the last seconds, and makes a picture of each moment among them.

    folder: for the pictures.  recipe: of the jobs.  rate: frames per second of the video.
    """

    def __init__(
        self,
        client: Client,
        folder: Path,
        recipe: Recipe,
        *,
        rate: float,
    ) -> None:
        self._client = client
        self._folder = folder
        self._recipe = recipe
        self._rate = rate
        self._frames: deque[tuple[int, bytes]] = deque()
        # A thread of its own, so that the video does not wait for a picture.
        self._maker = ThreadPoolExecutor(1)
        self._shots: list[Future[MomentPicture]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._maker.shutdown(wait=error is None, cancel_futures=error is not None)

    def remember(self, number: int, jpeg: bytes) -> None:
        """Keep a frame for some seconds of the video."""
        self._frames.append((number, jpeg))
        while (number - self._frames[0][0]) / self._rate > _BUFFER_SECONDS:
            self._frames.popleft()

    def take(self, moment: Moment) -> None:
        """Start making a picture of a moment, if its frame is still kept."""
        for number, jpeg in self._frames:
            if number == moment.number:
                self._shots.append(self._maker.submit(self._make, moment, jpeg))
                return

    def shots(self) -> list[MomentPicture]:
        """Wait for all pictures; return the result of each moment."""
        return [future.result() for future in self._shots]

    def _make(self, moment: Moment, jpeg: bytes) -> MomentPicture:
        job_id = None
        try:
            job = self._client.submit(jpeg, self._recipe)
            job_id = job.id
            job = self._client.wait(job.id)
            failure = submit_and_fetch.find_failure(job)
            if failure is not None:
                why = failure.detail or failure.title
                return MomentPicture(moment.number, moment.score, job_id, None, why)
            stem = f"shutter-{moment.number:06d}"
            place = OutputPaths(self._folder / stem, self._folder, stem, None)
            image, _ = submit_and_fetch.fetch_outputs(self._client, job, place)
        except (client_errors.Error, OSError) as error:
            return MomentPicture(moment.number, moment.score, job_id, None, str(error))
        return MomentPicture(moment.number, moment.score, job_id, image, None)
