"""Finished jobs of a real portrait, and corrections of them with consent."""

import base64
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from smart_filter_shared.config.settings import OutboundSettings
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import StageOutcome
from smart_filter_shared.results import Faces, Smiles
from smart_filter_tests import portrait
from smart_filter_tests.pictures import encode
from smart_filter_tests.serving import Api
from smart_filter_tests.unlocked_decoders import UnlockedDecoders
from smart_filter_workers.artifacts.store import ArtifactStore
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.results import Bytes, CompositeResult, Segmentation, Srgb8
from smart_filter_workers.stock.tenant_backgrounds import TenantBackgrounds
from smart_filter_workers.system.lru_cache import LruCache

SIDE = 512
DIGEST = "d" * 64  # the digest of the weights of every model of these jobs


def artifacts_of(api: Api) -> ArtifactStore:
    """Return a store that loads and stores as a worker does."""
    recent, bench = LruCache(0), api.bench
    backgrounds = TenantBackgrounds(bench.engine, bench.store, recent)
    return ArtifactStore(
        bench.store, recent, backgrounds, Fetcher(OutboundSettings()), UnlockedDecoders()
    )


def photo_of(scene: int, shot: int, srgb: Srgb8 | None = None) -> bytes:
    """Return the file of the portrait or of another picture, marked in its first pixel."""
    pixels = (portrait.a_portrait(SIDE).prepared.proxy_srgb if srgb is None else srgb).copy()
    pixels[0, 0] = scene, shot, 0
    return encode(Image.fromarray(pixels), "PNG", compress_level=1)


def submit_finished(
    api: Api, scene: int = 0, shot: int = 0, *, proxy_srgb: Srgb8 | None = None, **fields: str
) -> str:
    """Submit the portrait and complete all stages with its known results.

    scene, shot: another shot is another photo of the same scene.  proxy_srgb: the picture that
    models saw instead, of the same size.  fields: of the recipe.
    """
    answer = api.post(
        photo_of(scene, shot, proxy_srgb),
        {"background": "auto", "outputs": "image,faces", **fields},
    )
    assert answer.status_code == 202, answer.text
    job_id = JobId(api.bench.job(answer.json()["id"]).id)
    sample = portrait.a_portrait(SIDE)
    # Scenes differ from each other in more bits than photos of one scene.
    fingerprint = int.from_bytes(np.random.default_rng(scene).bytes(8), "big")
    prepared = dataclasses.replace(sample.prepared, fingerprint=fingerprint)
    made: Mapping[StageName, object] = {
        StageName.PREPARE: prepared,
        StageName.SEGMENTATION: Segmentation(
            matte=sample.segmented.matte.copy(), coverage=0.4, persons=1
        ),
        StageName.FACE: Faces(sample.faces),
        StageName.SMILE: Smiles(sample.smiles, sample.eyes),
        StageName.COMPOSITE: CompositeResult(image=None, matte=None, background=None),
    }
    artifacts = artifacts_of(api)
    for stage, result in made.items():
        lease = api.bench.claim_one(stage)
        kept = artifacts.store(api.bench.job(job_id), lease, result)
        digests = dict.fromkeys(lease.models, DIGEST)
        done = StageOutcome(lease, {**kept.row, "digests": digests}, 0.1, kept.artifacts)
        api.bench.work(WORKER.complete, [done])
    return str(job_id)


def correct(api: Api, job_id: str, **correction: Any) -> str:  # noqa: ANN401 - JSON
    body = {"consent": True, **correction}
    return str(api.create(f"/v1/jobs/{job_id}/corrections", json=body)["id"])


def correct_matte(api: Api, job_id: str, mask: Bytes, **more: object) -> str:
    """Correct the matte to `mask`, (512, 512) uint8."""
    text = base64.b64encode(encode(Image.fromarray(mask), "PNG")).decode()
    return correct(api, job_id, kind="matte", stage="segmentation", mask=text, **more)


def label(api: Api, job_id: str, **face: object) -> str:
    faces = {"faces": [{"number": 1, **face}]}
    return correct(api, job_id, kind="label", stage="smile", label=faces)
