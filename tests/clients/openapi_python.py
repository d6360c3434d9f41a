"""Submit a photo with a recipe, wait for its job and download the picture: openapi-python-client.

The photo is submitted twice, as a form and as JSON; the picture is that of the JSON's job.
"""

import base64
import json
import sys
from http import HTTPStatus
from pathlib import Path

from generated_client import AuthenticatedClient
from generated_client.api.jobs import get_job, get_output, submit_job
from generated_client.models import (
    FilterChoice,
    FilterChoiceName,
    FilterChoiceParamsType0,
    Format,
    Job,
    ModelChoice,
    Output,
    Recipe,
    RecipeMetadataType0,
    SubmitJobFilesBody,
    SubmitJobFilesBodyFiltersItem,
    SubmitJobRequest,
)
from generated_client.types import File


def main(url: str, key: str, photo: Path, picture: Path) -> None:
    """Run both jobs, write the picture, and print the jobs."""
    params = FilterChoiceParamsType0()
    params["strength"] = 0.3
    metadata = RecipeMetadataType0()
    metadata["order"] = "17"
    recipe = Recipe(
        background="color:teal",
        outputs=[Output.IMAGE, Output.RATING],
        format_=Format.PNG,
        crop=None,
        filters=[FilterChoice(name=FilterChoiceName.GRADE, params=params)],
        segmentation=ModelChoice(model="auto"),
        metadata=metadata,
    )
    as_json = SubmitJobRequest(
        photo_base64=base64.b64encode(photo.read_bytes()).decode(), photo_url=None, recipe=recipe
    )
    with photo.open("rb") as file, AuthenticatedClient(base_url=url, token=key) as client:
        as_form = SubmitJobFilesBody(
            photo=File(payload=file, file_name=photo.name, mime_type="image/png"),
            background="color:teal",
            outputs=[Output.IMAGE, Output.RATING],
            keep_metadata=False,
            filters=[SubmitJobFilesBodyFiltersItem.GRADE],
        )
        jobs = [run(client, body) for body in (as_form, as_json)]
        output = get_output.sync_detailed(jobs[-1].id, "image", client=client)
        assert output.status_code == HTTPStatus.OK
        picture.write_bytes(output.content)
    for job in jobs:
        assert job.rating is not None
        shown = {"id": str(job.id), "state": job.state.value, "rating": job.rating.score}
        sys.stdout.write(json.dumps(shown) + "\n")


def run(client: AuthenticatedClient, body: SubmitJobFilesBody | SubmitJobRequest) -> Job:
    """Submit a photo and return its job when it has ended."""
    job = submit_job.sync(client=client, body=body)
    assert isinstance(job, Job), job
    while job.finished_at is None:
        later = get_job.sync(job.id, client=client, prefer="wait=20")
        assert isinstance(later, Job), later
        job = later
    return job


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
