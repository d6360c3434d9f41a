"""Run jobs by hand over HTTP, with stored results that other jobs can take over."""

from typing import Any

from smart_filter_shared.artifacts.retention import ArtifactKind
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import Lease, StageOutcome
from smart_filter_tests.bench import Bench
from smart_filter_tests.serving import Api
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE

FACTS: dict[StageName, dict[str, Any]] = {
    PREPARE: {"width": 48, "height": 32, "format": "jpg"},
    SEGMENTATION: {
        "coverage": 0.5,
        "found": [{"number": 1, "box": [1.0, 2.0, 3.0, 4.0], "kept": True}],
    },
    FACE: {"faces": [{"box": [1, 1, 9, 9], "score": 0.9, "landmarks": [[2, 2]] * 5}]},
    SMILE: {
        "smiles": [{"level": "none", "score": 0.1}],
        "eyes": [{"left_open": True, "right_open": None}],
    },
    COMPOSITE: {"background": None},
}
JPEG = {"media_type": "image/jpeg", "width": 1, "height": 1, "format": "jpg"}
ARRAYS = {SEGMENTATION: "matte"}
# A correction of a matte by one stroke.
STROKE = {"points": [[1, 2], [40, 30.5]], "width": 12, "keep": True}
STROKES = {"kind": "matte", "stage": "segmentation", "strokes": [STROKE], "consent": False}


def run_stages(api: Api, *stages: StageName, content: bytes = b"made") -> None:
    """Complete the head of each stage's queue, with arrays and files in storage."""
    for stage in stages:
        lease = api.bench.claim_one(stage)
        complete(api.bench, lease, f"2026-01-01/tests/{lease.job_id}/{stage}/", content)


def complete(bench: Bench, lease: Lease, folder: str, content: bytes) -> None:
    """Complete a stage; its arrays and files have this content, below a folder in storage."""
    arrays, files = {}, {}
    if lease.stage in ARRAYS:
        arrays[ARRAYS[lease.stage]] = f"{folder}array.png"
    if lease.stage == COMPOSITE:
        shape = {"width": 1, "height": 1, "format": "png", "bytes": len(content)}
        files["image"] = {"key": f"{folder}image.png", "media_type": "image/png", **shape}
    kinds = dict.fromkeys(arrays.values(), ArtifactKind.INTERMEDIATE)
    kinds |= {str(file["key"]): ArtifactKind.RESULT for file in files.values()}
    if lease.stage == PREPARE:
        files["preview"] = {**JPEG, "key": f"{folder}preview.jpg", "bytes": len(content)}
        kinds[f"{folder}preview.jpg"] = ArtifactKind.INTERMEDIATE
    for key in kinds:
        bench.store.put(key, content, length=len(content), media_type="image/png")
    result = {"facts": FACTS[lease.stage], "arrays": arrays, "files": files}
    bench.complete_as_worker(StageOutcome(lease, result, 0.25, kinds))


def run_whole_job(api: Api, **fields: str) -> str:
    job_id = api.submit(**fields)
    run_stages(api, PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE)
    return job_id


def derive(api: Api, job_id: str, **asked: object) -> dict[str, Any]:
    return api.create(f"/v1/jobs/{job_id}/derive", json=asked)


def objects(api: Api) -> set[str]:
    return {stored.key for stored in api.bench.store.stored()}


def pass_time(api: Api, *, hours: float) -> None:
    """Make artifacts `hours` older."""
    api.bench.execute(
        "UPDATE artifacts SET expires_at = expires_at - make_interval(hours => :hours)", hours=hours
    )
