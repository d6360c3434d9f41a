"""From corrections to a candidate, by the one command, on real servers."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.catalog.model_card import Offer
from smart_filter_shared.model_registry import published_models
from smart_filter_tests import corrected_jobs, drawn_faces, portrait
from smart_filter_tests.bench import Bench
from smart_filter_tests.commands import Command
from smart_filter_tests.serving import Api, an_api, serve_api
from smart_filter_workers.networks.faces import expression
from smart_filter_workers.results import Bytes, Srgb8
from smart_filter_workers.stages.smile.models import expression as expression_model

pytest.importorskip("keras", reason="no Keras here: the extra train brings it")
pytestmark = [
    # A warning of Keras 3.15 with NumPy 2.4 on saving.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.timeout(1200),
]

JOBS = 80
LEVELS = ("none", "huge", "mild", "moderate")


@pytest.fixture
def api(bench: Bench) -> Iterator[Api]:
    with serve_api(bench.settings) as site, an_api(site, bench) as api:
        yield api


@pytest.fixture
def command(
    servers: Stack,
    tmp_path: Path,
    weights_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    (tmp_path / "weights").symlink_to(weights_folder)
    monkeypatch.setenv("SMART_FILTER_DATA", str(tmp_path))
    for name, value in servers.addresses.environment().items():
        monkeypatch.setenv(name, value)
    return Command(capsys)


def test_corrections_become_a_candidate_without_leaving_pictures(
    api: Api, command: Command, tmp_path: Path
) -> None:
    jobs = [labeled(api, number) for number in range(JOBS)]
    with api.bench.transaction() as connection:
        published_models.publish(connection, [Offer(expression_model.CARD)])

    command("train", "expression", "--from-feedback", "--set", "epochs=1")

    (version,) = command("models", "versions")["items"]
    assert version["state"] == "candidate"
    assert (version["data_set"], version["deletions"]) == (1, 0)
    assert version["metrics"]["count"] >= 10
    assert version["metrics"]["candidate"].keys() == version["metrics"]["live"].keys()
    assert "macro_f1" in version["metrics"]["candidate"]
    assert not [*tmp_path.rglob("*.npz"), *tmp_path.rglob("*_labels.csv")]

    # A deleted picture is not in the next run, and the version trained on it says so.
    assert api.client.delete(f"/v1/jobs/{jobs[0]}").status_code == 204
    command("train", "expression", "--from-feedback", "--set", "epochs=1")

    runs = list((tmp_path / "training").iterdir())
    assert len(runs) == 2
    versions = command("models", "versions")["items"]
    assert sorted(version["deletions"] for version in versions) == [0, 1]


def labeled(api: Api, number: int) -> str:
    """Process a photo with a face of its own, and label the face's smile."""
    rng = np.random.default_rng(number)
    crop = drawn_faces.crop(rng, happy=number % 2 == 1)
    job_id = corrected_jobs.submit_finished(api, scene=number, proxy_srgb=pasted(crop))
    corrected_jobs.label(api, job_id, smile=LEVELS[number % len(LEVELS)])
    return job_id


def pasted(crop: Bytes) -> Srgb8:
    """Return the portrait's picture with a drawn face in place of its own."""
    known = portrait.a_portrait(corrected_jobs.SIDE)
    square = expression.face_square(known.faces[0])
    srgb = known.prepared.proxy_srgb
    face = square.paste(crop.astype(np.float32), *srgb.shape[:2])[..., np.newaxis]
    covered = square.paste(np.ones(crop.shape, np.float32), *srgb.shape[:2])[..., np.newaxis]
    return np.clip(srgb * (1 - covered) + face, 0, 255).astype(np.uint8)
