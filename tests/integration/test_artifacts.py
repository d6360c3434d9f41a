"""Results of stages in storage: what one worker stores, another loads."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest

from smart_filter_shared.errors import ArtifactsGone
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import StageOutcome
from smart_filter_tests import portrait
from smart_filter_tests.corrected_jobs import artifacts_of, photo_of
from smart_filter_tests.serving import Api
from smart_filter_workers import images
from smart_filter_workers.results import PreparedPhoto, Segmentation
from smart_filter_workers.stages.prepare.stage import make_proxy


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a later stage asks for."""

    prepared: PreparedPhoto
    segmented: Segmentation


def finish(api: Api, job_id: JobId, stage: StageName, result: object) -> None:
    lease = api.bench.claim_one(stage)
    stored = artifacts_of(api).store(api.bench.job(job_id), lease, result)
    lengths = {key: len(api.bench.read(key)) for key in stored.artifacts}
    assert stored.lengths == lengths
    done = StageOutcome(lease, {**stored.row, "digests": {}}, 0.1, stored.artifacts)
    api.bench.work(WORKER.complete, [done])


def prepare_and_segment(api: Api, side: int) -> tuple[JobId, PreparedPhoto, Segmentation]:
    """Submit a drawn photo of side × side pixels and complete its first two stages."""
    drawn = portrait.a_portrait(512).prepared
    srgb = np.tile(drawn.proxy_srgb, (side // 512, side // 512, 1))
    answer = api.post(photo_of(1, 1, srgb), {"background": "auto"})
    job_id = JobId(api.bench.job(answer.json()["id"]).id)
    photo = images.decode(photo_of(1, 1, srgb))
    proxy = images.rotate_quarter_turns(make_proxy(photo.srgb), 1)
    prepared = dataclasses.replace(
        drawn, width=side, height=side, proxy_srgb=proxy.copy(), quarter_turns=1
    )
    segmented = Segmentation(matte=proxy[:, :, 0].copy(), coverage=0.5)
    finish(api, job_id, StageName.PREPARE, prepared)
    finish(api, job_id, StageName.SEGMENTATION, segmented)
    return job_id, prepared, segmented


@pytest.mark.parametrize(("side", "stored"), [(512, 0), (2048, 1)])
def test_other_worker_has_the_same_proxy_and_matte(api: Api, side: int, stored: int) -> None:
    job_id, prepared, segmented = prepare_and_segment(api, side)

    loaded = artifacts_of(api).load(api.bench.job(job_id), Inputs)

    assert np.array_equal(loaded.prepared.proxy_srgb, prepared.proxy_srgb)
    assert np.array_equal(loaded.segmented.matte, segmented.matte)
    assert sum("proxy" in one.key for one in api.bench.store.stored()) == stored


def test_damaged_matte_is_made_again(api: Api) -> None:
    job_id, _, _ = prepare_and_segment(api, 512)
    [key] = [one.key for one in api.bench.store.stored() if "matte" in one.key]
    api.bench.store.put(key, b"damaged", length=7, media_type="image/png")

    with pytest.raises(ArtifactsGone) as caught:
        artifacts_of(api).load(api.bench.job(job_id), Inputs)

    assert caught.value.keys == (key,)


def test_damaged_photo_is_not_decoded(api: Api) -> None:
    job_id, _, _ = prepare_and_segment(api, 512)
    [photo] = [one.key for one in api.bench.store.stored() if one.key.endswith("/photo")]
    content = bytearray(api.bench.read(photo))
    content[-20] ^= 1
    api.bench.store.put(photo, bytes(content), length=len(content), media_type="image/jpeg")

    with pytest.raises(ArtifactsGone) as caught:
        artifacts_of(api).load(api.bench.job(job_id), Inputs)

    assert caught.value.keys == (photo,)
