"""Corrections are collected into data sets, and removed with their jobs."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.feedback import datasets, examples
from smart_filter_shared.feedback.datasets import Dataset
from smart_filter_shared.feedback.examples import Split
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.storage import keys
from smart_filter_tests import corrected_jobs
from smart_filter_tests.commands import Command
from smart_filter_tests.maintenance import collector
from smart_filter_tests.serving import Api
from smart_filter_tests.stored_results import objects, pass_time
from smart_filter_training.evaluation import dataset_files
from smart_filter_workers.learning import dataset_export, register
from smart_filter_workers.learning.examples import ExampleCollector

SEGMENTATION, SMILE, EYES = TaskName.SEGMENTATION, TaskName.SMILE, TaskName.EYES
EVERYWHERE = np.full((corrected_jobs.SIDE, corrected_jobs.SIDE), 255, np.uint8)
NOWHERE = np.zeros_like(EVERYWHERE)


def a_collector(api: Api) -> ExampleCollector:
    """Make a collector that decodes in this process: another takes 0.3 s to start."""
    return ExampleCollector(api.bench.engine, api.bench.store, corrected_jobs.artifacts_of(api))


def sweep(api: Api) -> None:
    """Run retention's task of each second."""
    bench = api.bench
    retention = collector(bench, collecting=a_collector(api))
    retention.learn()
    retention.remove_expired()


def built(api: Api, task: TaskName) -> Dataset:
    """Build a data set of the present corrections."""
    a_collector(api).collect(most=100)
    made = register.build_dataset(api.bench.engine, api.bench.store, task)
    assert made is not None
    return made


def manifest(api: Api, data_set: Dataset) -> dict[str, Any]:
    """Return a manifest from storage."""
    content = api.bench.read(keys.manifest(data_set.task, data_set.version))
    (now,) = api.bench.do(datasets.list_datasets, task=data_set.task, version=data_set.version)
    assert now.manifest_digest == hashlib.sha256(content).hexdigest()
    document: dict[str, Any] = json.loads(content)
    return document


def export(api: Api, data_set: Dataset, folder: Path) -> Path:
    bench = api.bench
    dataset_export.export_dataset(
        bench.engine, bench.store, data_set.task, data_set.version, folder
    )
    return folder


def delete(api: Api, job_id: str) -> None:
    assert api.client.delete(f"/v1/jobs/{job_id}").status_code == 204


def labels_in(folder: Path) -> list[dict[str, str]]:
    (labels,) = folder.glob("*/smile_labels.csv")
    return list(csv.DictReader(labels.read_text().splitlines()))


def about_learning(api: Api) -> set[str]:
    """Return the keys of collected corrections."""
    return {key for key in objects(api) if "/data/" in key}


def test_only_corrections_with_consent_are_collected_with_their_provenance(api: Api) -> None:
    job_id = corrected_jobs.submit_finished(api)
    correction_id = corrected_jobs.correct_matte(api, job_id, EVERYWHERE)
    corrected_jobs.correct_matte(
        api, corrected_jobs.submit_finished(api, scene=1), EVERYWHERE, consent=False
    )

    sweep(api)
    (item,) = manifest(api, built(api, SEGMENTATION))["holds"]

    assert (item["id"], item["job_id"], item["tenant"]) == (correction_id, job_id, "tests")
    assert item["corrects"] == {"segmentation": "no-segmentation"}
    assert item["digests"] == {"segmentation": corrected_jobs.DIGEST}
    assert item["consent"] is True
    assert item["key_id"]
    assert item["files"].keys() == {"photo.jpg", "mask.png"}
    assert about_learning(api) == {file["key"] for file in item["files"].values()}


@pytest.mark.parametrize(("keeps_nothing", "years"), [(False, 0.1), (True, 200)])
def test_collected_correction_outlives_its_photo_by_consent(
    api: Api, *, keeps_nothing: bool, years: float
) -> None:
    if keeps_nothing:
        api.keep(nothing=True)
    corrected_jobs.correct_matte(api, corrected_jobs.submit_finished(api), EVERYWHERE)
    sweep(api)
    collected = about_learning(api)

    pass_time(api, hours=round(years * 366 * 24))
    sweep(api)

    assert len(collected) == 2
    assert about_learning(api) == collected
    assert not any(key.endswith("/photo") for key in objects(api))


def test_correction_whose_photo_or_job_is_gone_is_skipped(api: Api) -> None:
    jobs = [corrected_jobs.submit_finished(api) for _ in range(2)]
    for job_id in jobs:
        corrected_jobs.correct_matte(api, job_id, EVERYWHERE)
    api.bench.execute("DELETE FROM jobs WHERE id = :id", id=jobs[0])
    for key in objects(api):
        if key.endswith("/photo"):
            api.bench.store.remove(key)

    sweep(api)
    sweep(api)

    assert about_learning(api) == set()
    assert api.bench.scalar("SELECT count(*) FROM corrections WHERE collected_at IS NULL") == 0


def test_matte_that_leaves_people_out_on_purpose_is_not_collected(api: Api) -> None:
    job_id = corrected_jobs.submit_finished(api, roi="10% 0 100% 100%")
    corrected_jobs.correct_matte(api, job_id, EVERYWHERE)
    corrected_jobs.label(api, job_id, smile="huge")

    sweep(api)

    assert register.build_dataset(api.bench.engine, api.bench.store, SEGMENTATION) is None
    assert sum(built(api, SMILE).items.values()) == 1


def test_exported_matte_is_the_latest_of_its_version(api: Api, tmp_path: Path) -> None:
    job_id = corrected_jobs.submit_finished(api)
    half = EVERYWHERE.copy()
    half[:, :256] = 0
    corrected_jobs.correct_matte(api, job_id, half)
    first = built(api, SEGMENTATION)
    corrected_jobs.correct_matte(api, job_id, NOWHERE)

    second = built(api, SEGMENTATION)

    for data_set, matte in ((first, half), (second, NOWHERE)):
        folder = export(api, data_set, tmp_path / str(data_set.version))
        (mask,) = folder.glob("*/masks/*.png")
        (photo,) = folder.glob("*/images/*.jpg")
        assert np.array_equal(dataset_files.read_photo(mask).srgb[..., 0], matte)
        assert photo.stem == mask.stem
        assert dataset_files.read_photo(photo).srgb.shape == (512, 512, 3)


def test_strokes_are_drawn_over_the_models_result(api: Api, tmp_path: Path) -> None:
    stroke = {"points": [[20, 20], [200, 20]], "width": 40, "keep": True}
    corrected_jobs.correct(
        api,
        corrected_jobs.submit_finished(api),
        kind="matte",
        stage="segmentation",
        strokes=[stroke],
    )

    (mask,) = export(api, built(api, SEGMENTATION), tmp_path / "one").glob("*/masks/*.png")

    seen = dataset_files.read_photo(mask).srgb[..., 0]
    assert seen[20, 100] == 255
    # The person in the middle is as the model saw her.
    assert seen[300, 230] > 200


def test_labels_become_crops_for_the_evaluation_of_smiles(api: Api, tmp_path: Path) -> None:
    corrected_jobs.label(api, corrected_jobs.submit_finished(api), smile="mild")
    data_set = built(api, SMILE)

    folder = export(api, data_set, tmp_path / "smiles")

    (labels,) = folder.glob("*/smile_labels.csv")
    crops, rows = dataset_files.read_crops(labels.parent)
    assert crops.shape == (1, 48, 48)
    # Upright, the eyes are dark, and the teeth below are not.
    assert crops[0, 16:22, 12:36].mean() < crops[0, 34:38, 20:28].mean()
    (row,) = labels_in(folder)
    assert rows[0]["level"] == "mild"
    assert (row["neutral"], row["happiness"], row["NF"]) == ("5", "5", "0")
    assert sum(number for counts in data_set.counts.values() for number in counts.values()) == 1


def test_labels_of_eyes_become_patches_of_each(api: Api, tmp_path: Path) -> None:
    corrected_jobs.label(api, corrected_jobs.submit_finished(api), right_open=True, left_open=False)

    folder = export(api, built(api, EYES), tmp_path / "eyes")

    assert [path.stem[-1] for path in folder.glob("*/open/*.png")] == ["R"]
    assert [path.stem[-1] for path in folder.glob("*/closed/*.png")] == ["L"]
    with pytest.raises(SetupFailed, match="no data set of smile"):
        register.export_latest(api.bench.engine, api.bench.store, SMILE, tmp_path / "none")


def test_version_does_not_change_when_more_corrections_arrive(api: Api) -> None:
    corrected_jobs.correct_matte(api, corrected_jobs.submit_finished(api, scene=1), EVERYWHERE)
    first = built(api, SEGMENTATION)
    again = built(api, SEGMENTATION)
    document = manifest(api, first)
    corrected_jobs.correct_matte(api, corrected_jobs.submit_finished(api, scene=2), EVERYWHERE)

    second = built(api, SEGMENTATION)

    assert (first, again.version) == (again, 1)
    assert (second.version, second.parent, sum(second.items.values())) == (2, 1, 2)
    assert manifest(api, first) == document


def part_of(shot: int) -> Split:
    """Return the split of a photo of scene 0 that resembles no other photo."""
    return examples.choose_split(hashlib.sha256(corrected_jobs.photo_of(0, shot)).hexdigest())


def test_splits_stay_as_they_were_drawn(api: Api) -> None:
    # Scenes that do not resemble each other: each is drawn.
    shots = {part: next(shot for shot in range(100) if part_of(shot) == part) for part in Split}
    corrected_jobs.correct_matte(
        api, corrected_jobs.submit_finished(api, 0, shots[Split.FROZEN]), EVERYWHERE
    )
    first = manifest(api, built(api, SEGMENTATION))
    corrected_jobs.correct_matte(api, corrected_jobs.submit_finished(api, 1), EVERYWHERE)

    second = manifest(api, built(api, SEGMENTATION))

    assert [item["part"] for item in first["holds"]] == [Split.FROZEN]
    assert second["holds"][0] == first["holds"][0]


def test_photos_of_one_scene_are_in_one_split(api: Api) -> None:
    shots = [next(shot for shot in range(100) if part_of(shot) == part) for part in Split]
    for shot in shots:
        corrected_jobs.label(api, corrected_jobs.submit_finished(api, 0, shot), smile="huge")

    data_set = built(api, SMILE)

    assert sorted(data_set.items.values()) == [0, 2]


def test_deleting_a_job_removes_it_from_every_version(api: Api, tmp_path: Path) -> None:
    jobs = [corrected_jobs.submit_finished(api, scene) for scene in range(2)]
    ids = [corrected_jobs.correct_matte(api, job_id, EVERYWHERE) for job_id in jobs]
    first = built(api, SEGMENTATION)
    corrected_jobs.correct_matte(api, corrected_jobs.submit_finished(api, scene=2), EVERYWHERE)
    second = built(api, SEGMENTATION)

    delete(api, jobs[0])
    sweep(api)

    for data_set, left in ((first, 1), (second, 2)):
        document = manifest(api, data_set)
        assert (len(document["holds"]), document["removed"]) == (left, 1)
        assert jobs[0] not in json.dumps(document)
        assert ids[0] not in json.dumps(document)
    assert not any(jobs[0] in key for key in objects(api))
    assert len(list(export(api, second, tmp_path / "now").glob("*/masks/*"))) == 2


def test_deletion_during_a_kill_is_finished_by_the_next_sweep(api: Api) -> None:
    job_id = corrected_jobs.submit_finished(api)
    corrected_jobs.correct_matte(api, job_id, EVERYWHERE)
    data_set = built(api, SEGMENTATION)
    # The state after a kill: a committed version, without its manifest in storage.
    api.bench.store.remove(keys.manifest(SEGMENTATION, data_set.version))
    api.bench.execute("UPDATE data_sets SET manifest_digest = NULL")
    delete(api, job_id)

    sweep(api)

    document = manifest(api, data_set)
    assert (document["holds"], document["removed"]) == ([], 1)


def test_correction_that_was_deleted_meanwhile_is_not_collected(api: Api) -> None:
    job_id = corrected_jobs.submit_finished(api)
    corrected_jobs.correct_matte(api, job_id, EVERYWHERE)
    bench = api.bench

    class Slow(ExampleCollector):
        """A correction whose job is deleted while it is drawn."""

        def _made(self, *given: Any) -> Any:  # noqa: ANN401 - whatever it is given
            made = super()._made(*given)
            delete(api, job_id)
            return made

    Slow(bench.engine, bench.store, corrected_jobs.artifacts_of(api)).collect(most=1)

    assert bench.scalar("SELECT count(*) FROM data_items") == 0
    assert about_learning(api) == set()


def test_feedback_commands(api: Api, tmp_path: Path, owner_command: Command) -> None:
    nothing = owner_command.output("feedback", "build", "smile")
    corrected_jobs.label(api, corrected_jobs.submit_finished(api), smile="huge")

    made = owner_command("feedback", "build", "smile")
    listed = owner_command("feedback", "list")["items"]
    shown = owner_command("feedback", "show", "smile", "1")
    owner_command("feedback", "export", "smile", "1", str(tmp_path / "out"))
    full = owner_command.output("feedback", "export", "smile", "1", str(tmp_path / "out"))

    assert "there are no corrections of smile with consent" in nothing
    assert listed == [made]
    assert [item["counts"] for item in shown["holds"]] == [{"huge": 1}]
    assert (tmp_path / "out" / "manifest.json").is_file()
    assert "is not empty: name a new folder" in full
    assert "there is no data set smile 9" in owner_command.output("feedback", "show", "smile", "9")
