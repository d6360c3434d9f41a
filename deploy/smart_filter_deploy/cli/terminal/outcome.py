"""Outcome of one photo."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smart_filter_client import Job
from smart_filter_client.models import Failure
from smart_filter_deploy.cli.terminal.outputs import OutputPaths


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one photo.

    job: None when the server refused the photo.  image: path of the picture.
    others: paths of the other outputs, by name.
    failure: why there is no result, including the job's own error.
    seconds: from submitting the photo to the written result.
    """

    place: OutputPaths
    job: Job | None
    image: Path | None
    others: Mapping[str, Path]
    failure: Failure | None
    seconds: float
