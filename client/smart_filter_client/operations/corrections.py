"""Corrections of a job's results; `derive` applies one."""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection
from smart_filter_client.models import Stroke
from smart_filter_client.operations import photos
from smart_filter_client.operations.pagination import fetch_list
from smart_filter_client.operations.photos import Picture
from smart_filter_client.requests import path
from smart_filter_wire.corrections import Correction, FaceChanges, FaceLabel
from smart_filter_wire.formats import JsonObject

# Drawn lines, or the fields of lines as JSON.
Strokes: TypeAlias = Sequence[Stroke | Mapping[str, object]]


async def correct_matte(
    client: Connection,
    job_id: str,
    *,
    mask: Picture | None = None,
    strokes: Strokes | None = None,
    consent: bool = False,
    replaces: str | None = None,
) -> Correction:
    """Correct a matte, by a mask (a gray PNG of its size, white is people) or by strokes.

    consent: whether it can be kept as a training example.
    replaces: an applied correction of the job that this one takes the place of.
    Raises OSError: unreadable file.
    """
    if mask is None:
        drawn = [given_fields(stroke) for stroke in strokes or ()]
        content_field: dict[str, object] = {"strokes": drawn}
    else:
        content = await photos.read_photo(client, await photos.make_resendable(client, mask))
        content_field = {"mask": base64.b64encode(content).decode()}
    body = {"kind": "matte", "stage": "segmentation", **content_field, "consent": consent}
    if replaces is not None:
        body["replaces"] = replaces
    return await _post_correction(client, job_id, body)


async def correct_faces(
    client: Connection,
    job_id: str,
    faces: Sequence[FaceLabel] | FaceChanges,
    *,
    consent: bool = False,
) -> Correction:
    """Correct smiles and open eyes, or which faces count.

    consent: as for `correct_matte`, for labels only.
    """
    if isinstance(faces, FaceChanges):
        body: dict[str, object] = {"kind": "faces", "stage": "face", "faces": given_fields(faces)}
    else:
        label = {"faces": [given_fields(face) for face in faces]}
        body = {"kind": "label", "stage": "smile", "label": label}
    return await _post_correction(client, job_id, {**body, "consent": consent})


async def corrections(client: Connection, job_id: str) -> list[Correction]:
    """Return the corrections of a job, the oldest first."""
    return await fetch_list(client, path("jobs", job_id, "corrections"), Correction)


async def _post_correction(client: Connection, job_id: str, body: dict[str, object]) -> Correction:
    return await exchange.send(client, Correction, "POST", "jobs", job_id, "corrections", json=body)


def given_fields(item: Stroke | FaceLabel | FaceChanges | Mapping[str, object]) -> JsonObject:
    """Return what a correction says as JSON, without fields that are None."""
    fields = item if isinstance(item, Mapping) else dataclasses.asdict(item)
    return {name: value for name, value in fields.items() if value is not None}
