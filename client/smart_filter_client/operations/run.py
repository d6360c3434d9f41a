"""Submit a photo, wait, and fetch what was made, in one call."""

import dataclasses

from smart_filter_client.http.connection import Connection
from smart_filter_client.models import Job, Output
from smart_filter_client.operations import jobs, outputs, polling
from smart_filter_client.operations.photos import Photo, Picture
from smart_filter_client.recipe import NO_FIELDS, Recipe
from smart_filter_wire.words import OutputName

# Outputs that the job itself shows.
_SHOWN = frozenset[OutputName]({"faces", "rating", "printability"})


async def run(
    client: Connection,
    photo: Photo,
    recipe: Recipe = NO_FIELDS,
    *,
    background_file: Picture | None = None,
    timeout: float | None = None,
    expires_in: int | None = None,
    idempotency_key: str | None = None,
) -> Job:
    """Submit a photo, wait for its job and fetch its outputs; return the job.

    job.save("out.jpg") writes its image, job.save("out.png", "cutout") another output.
    photo, recipe, background_file, expires_in, idempotency_key: as for `submit`.
    timeout: seconds for the job after its submission, None: no limit.
    A failed job is returned too, see `job.succeeded`; its `save` raises NoOutput.
    Raises NotFinishedInTime, and OSError when a file cannot be read.
    """
    job = await jobs.submit(
        client,
        photo,
        recipe,
        background_file=background_file,
        expires_in=expires_in,
        idempotency_key=idempotency_key,
    )
    job = await polling.wait(client, job.id, timeout)
    files: dict[OutputName, Output] = {}
    for name in job.outputs:
        if name not in _SHOWN:
            files[name] = await outputs.output(client, job.id, name)
    return dataclasses.replace(job, files=files)
