"""What became of one photo."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smart_filter_client import Job
from smart_filter_client.models import Failure
from smart_filter_deploy.cli.photos import Place


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo.

    job: None when the server refused the photo.  image: where the picture was written;
    beside: where its other outputs were, by name.
    failure: why there is no result, the job's own error included.
    seconds: from sending the photo to the written result.
    """

    place: Place
    job: Job | None
    image: Path | None
    beside: Mapping[str, Path]
    failure: Failure | None
    seconds: float
