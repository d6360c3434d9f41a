"""Versions of weights, proven and promoted one at a time; of workers, refused when they differ."""

import dataclasses
import datetime as dt
import json
import math
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from smart_filter_shared.catalog import parameters
from smart_filter_shared.catalog.model_card import ModelCard, Offer, WeightsFile
from smart_filter_shared.errors import VersionRefused
from smart_filter_shared.feedback import datasets
from smart_filter_shared.ids import Capability, JobId
from smart_filter_shared.model_registry import published_models, weight_versions
from smart_filter_shared.model_registry.weight_versions import (
    TrainingRecord,
    VersionState,
    WeightVersion,
)
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.storage import keys
from smart_filter_tests import claiming, corrected_jobs, races, trainable_model
from smart_filter_tests.bench import Bench
from smart_filter_tests.commands import Command
from smart_filter_tests.serving import Api, Clock, a_card, a_photo
from smart_filter_workers.learning import register as learning_register
from smart_filter_workers.learning.register import RegistrationContext, TrainingInfo
from smart_filter_workers.models import catalog
from smart_filter_workers.runtime.capabilities import ServedCapabilities
from smart_filter_workers.stages.smile.models import expression
from smart_filter_workers.weights import packaged

FACE, SMILE, EYES = TaskName.FACE, TaskName.SMILE, TaskName.EYES
PREPARE = a_card(TaskName.PREPARE)
NEXT = dataclasses.replace(PREPARE, version="2")
LATER_RELEASE = (999, 0, 0)


@pytest.fixture
def place(api: Api, tmp_path: Path) -> RegistrationContext:
    """A place to register weights, on a machine with the trainable model alone."""
    (tmp_path / "none").mkdir()
    trainable_model.link_weights(tmp_path / "weights", tmp_path / "none")
    known = catalog.discover_models([trainable_model])
    return RegistrationContext(api.bench.engine, api.bench.store, known, tmp_path / "weights")


def with_two_answers() -> bytes:
    """Return weights that load, and answer what the model cannot read."""
    model = onnx.load_model_from_string(trainable_model.network(0.5))
    model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.array([0.5, 0.5], np.float32), "score")
    )
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("content", "wrong", "words"),
    [
        (trainable_model.network(math.nan), {}, "weights 'score' of this file are NaN"),
        (
            trainable_model.network(math.inf),
            {},
            "with this file it returns values that are not finite",
        ),
        (with_two_answers(), {}, "with this file it does not run: ValueError"),
        (
            trainable_model.network(0.5),
            {"metrics": {"candidate": {"\0": [1, 1, 1]}}},
            "the name of a figure is not printable",
        ),
    ],
    ids=["nan", "infinite", "two answers", "wrong metric"],
)
def test_refused_weights_are_not_stored(
    api: Api, place: RegistrationContext, content: bytes, wrong: dict[str, Any], words: str
) -> None:
    given = {"metrics": trainable_model.BETTER, "trained_on": "the tests", **wrong}
    training = TrainingInfo(trained_at=dt.datetime.now(dt.UTC), **given)

    with pytest.raises(VersionRefused, match=words):
        learning_register.register_weights(
            place, content, task=SMILE, model="learned", training=training
        )

    assert not api.bench.store.has(keys.weights(trainable_model.digest_of(content)))


def test_working_weights_are_stored_with_their_first_training(
    api: Api, place: RegistrationContext
) -> None:
    content = trainable_model.network(0.5)
    trainings = [
        TrainingInfo(trainable_model.BETTER, "the tests", dt.datetime.now(dt.UTC)) for _ in range(2)
    ]

    registered = [
        learning_register.register_weights(
            place, content, task=SMILE, model="learned", training=training
        )
        for training in trainings
    ]

    assert states(api) == {registered[0].digest: "candidate"}
    assert [one.trained.trained_at for one in registered] == [trainings[0].trained_at] * 2
    assert api.bench.read(registered[0].trained.key) == content


def test_register_command_reports_weights_that_were_registered_before(
    api: Api, owner_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Path(packaged.__file__).parent / "trained" / expression.CARD.learns
    again = onnx.load_model(own)
    again.doc_string = "trained again"
    (tmp_path / "weights").mkdir()
    file, metrics = tmp_path / "again.onnx", tmp_path / "metrics.json"
    file.write_bytes(again.SerializeToString())
    metrics.write_text(json.dumps(trainable_model.BETTER), encoding="utf-8")
    monkeypatch.setenv("SMART_FILTER_DATA", str(tmp_path))
    api.bench.do(published_models.publish, [Offer(expression.CARD)])
    given = ("models", "register", str(file), "--model", "smile/expression", "--metrics")

    said = [owner_command.output(*given, str(metrics)) for _ in range(2)]

    assert ["already registered; its figures are unchanged" in one for one in said] == [False, True]
    assert list(states(api).values()) == ["candidate"]


@pytest.mark.parametrize("figure", ["[NaN, 0, 1]", "[1e400, 0, 1]", f"[1{'0' * 400}, 0, 1]"])
def test_metrics_that_are_not_numbers_are_refused_in_one_line(
    api: Api, owner_command: Command, tmp_path: Path, figure: str
) -> None:
    file, metrics = tmp_path / "weights.onnx", tmp_path / "metrics.json"
    file.write_bytes(trainable_model.network(0.5))
    metrics.write_text(f'{{"candidate": {{"macro_f1": {figure}}}}}', encoding="utf-8")

    said = owner_command.output(
        *("models", "register", str(file), "--model", "smile/expression"),
        *("--metrics", str(metrics), "--data-set", "99999999999999"),
    )

    assert said.startswith("smart-filter: metrics: 'candidate.macro_f1.0': Input should be")
    assert states(api) == {}


@pytest.fixture
def api(api: Api) -> Api:
    """The API, with workers that offer a trainable model."""
    api.bench.do(published_models.publish, [Offer(trainable_model.CARD)])
    return api


def register(api: Api, score: float, **more: Any) -> str:  # noqa: ANN401 - of Trained
    content = trainable_model.network(score)
    digest = trainable_model.digest_of(content)
    key = keys.weights(digest)
    api.bench.store.put(key, content, length=len(content), media_type="application/octet-stream")
    usual: dict[str, Any] = {
        "task": SMILE,
        "model": "learned",
        "metrics": {**trainable_model.BETTER, "against": None},
        "parent": None,
        "data_set": None,
        "trained_on": "the tests",
        "trained_at": dt.datetime.now(dt.UTC),
    }
    trained = TrainingRecord(digest=digest, key=key, **{**usual, **more})
    return api.bench.do(weight_versions.register, trained).digest


def promote(api: Api, digest: str, *, anyway: bool = False) -> WeightVersion:
    return api.bench.do(weight_versions.promote, digest, anyway=anyway)


def rollback(api: Api) -> str | None:
    return api.bench.do(weight_versions.rollback, SMILE, "learned")[1]


def states(api: Api) -> dict[str, str]:
    return {one.digest: str(one.state) for one in api.bench.do(weight_versions.list_versions)}


def smile_row(api: Api) -> dict[str, Any]:
    """Submit a job whose smiles the trainable model rates; return that stage's row."""
    answer = api.post(a_photo(), {"outputs": "faces", "smile.model": "learned"})
    assert answer.status_code == 202, answer.text
    return api.bench.row(JobId(uuid.UUID(answer.json()["id"])), StageName.SMILE)


@pytest.mark.parametrize(
    ("score", "wrong", "why"),
    [
        (0.125, {}, "these are the original weights of learned"),
        (0.5, {"model": "no-smile"}, "has no trainable weights"),
        (0.5, {"data_set": 99999999999999}, "there is no data set smile 99999999999999"),
        (0.5, {"parent": "0" * 64}, "the parent 0+ was never registered"),
        (0.5, {"parent": "%"}, "the parent '%' is not a digest of 64 hex digits"),
        (0.5, {"trained_on": "\0"}, "trained_on has unprintable characters"),
    ],
)
def test_wrong_weights_are_refused(api: Api, score: float, wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(VersionRefused, match=why):
        register(api, score, **wrong)


def test_promotion_retires_the_live_version_and_rollback_restores_it(api: Api) -> None:
    one = register(api, 0.5)
    promote(api, one)
    two = register(api, 0.75, metrics={**trainable_model.BETTER, "against": one})
    promote(api, two)
    after_both = states(api)
    promote(api, one, anyway=True)

    seen = [(rollback(api), states(api)) for _ in range(3)]

    assert after_both == {one: "retired", two: "live"}
    assert seen == [
        (two, {one: "retired", two: "live"}),
        (one, {one: "live", two: "retired"}),
        (None, {one: "retired", two: "retired"}),
    ]
    with pytest.raises(VersionRefused, match="already runs with its original weights"):
        rollback(api)


def test_worse_weights_are_promoted_only_with_anyway(api: Api) -> None:
    worse = {**trainable_model.BETTER, "candidate": {"macro_f1": [0.5, 0.4, 0.6]}, "against": None}
    digest = register(api, 0.5, metrics=worse)

    with pytest.raises(VersionRefused, match=r"its macro_f1 is 0\.5, worse than 0\.6; --anyway"):
        promote(api, digest)

    assert promote(api, digest, anyway=True).state == VersionState.LIVE


def test_two_promotions_at_once_leave_one_live(api: Api) -> None:
    digests = [register(api, score) for score in (0.5, 0.625, 0.75, 0.875)]

    races.at_once([lambda digest=digest: promote(api, digest, anyway=True) for digest in digests])

    assert sorted(states(api).values()) == ["live", "retired", "retired", "retired"]


def test_stage_names_the_weights_that_are_live_when_it_is_submitted(api: Api, clock: Clock) -> None:
    digest = register(api, 0.5)
    before = smile_row(api)
    promote(api, digest)
    clock.expire_caches()

    promoted = smile_row(api)

    assert (before["digests"], promoted["digests"]) == ({}, {"smile": digest})
    assert before["batch_key"] != promoted["batch_key"]
    assert before["work"] != promoted["work"]


def test_weights_missing_in_storage_are_not_run(api: Api, owner_command: Command) -> None:
    digest = register(api, 0.5)
    api.bench.store.remove(keys.weights(digest))

    said = owner_command.output("models", "promote", digest)

    assert said.strip().endswith(f"the file of {digest} is no longer in storage: register it again")
    assert states(api) == {digest: "candidate"}


def test_malformed_metrics_of_an_earlier_version_are_listed(
    api: Api, owner_command: Command
) -> None:
    digest = register(api, 0.5)
    api.bench.execute(
        """
            UPDATE model_versions SET metrics = jsonb_build_object('candidate',
                jsonb_build_object('a', jsonb_build_array(CAST(:huge AS numeric)), 'b', 'c'))
        """,
        huge="1" + "0" * 400,
    )

    assert "candidate: a ?, b ?" in owner_command.output("models", "versions")
    assert "metrics: 'candidate.a.0': Input should be" in owner_command.output(
        "models", "promote", digest
    )


def test_version_counts_the_deleted_photos_of_its_training(
    api: Api, owner_command: Command
) -> None:
    jobs = [corrected_jobs.submit_finished(api, scene) for scene in range(3)]
    for job_id in jobs:
        corrected_jobs.label(api, job_id, smile="huge")
    api.client.delete(f"/v1/jobs/{jobs[0]}")  # before any data set was built
    bench = api.bench
    built = learning_register.build_dataset(bench.engine, bench.store, SMILE)
    assert built is not None
    one = register(api, 0.5, data_set=built.version)
    heir = register(api, 0.75, parent=one)
    api.client.delete(f"/v1/jobs/{jobs[1]}")
    late = register(api, 0.875, data_set=built.version)

    counts = {each.digest: each.deletions for each in bench.do(weight_versions.list_versions)}
    assert counts == {one: 1, heir: 1, late: 0}
    assert bench.do(datasets.list_datasets)[0].removed == 1
    assert "trained before 1 deletion\n" in owner_command.output("models", "versions")
    items = api.read("/v1/models")["items"]
    (shown,) = [each for each in items if each["name"] == "learned"]
    assert {each["digest"]: each["deletions"] for each in shown["versions"]} == counts


def test_versions_command_promotes_and_rolls_back(api: Api, owner_command: Command) -> None:
    digest = register(api, 0.5)

    promoted = owner_command("models", "promote", digest[:10])
    listed = owner_command("models", "versions", "--model", "smile/learned")["items"]
    taken_back = owner_command("models", "rollback", "smile/learned")

    assert promoted["state"] == "live"
    assert [one["digest"] for one in listed] == [digest]
    assert (taken_back["retired"], taken_back["live"]) == (digest, None)
    assert "macro_f1 0.7" in owner_command.output("models", "versions")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["promote", "0123"], "is too short: give 8 digits or more"),
        (["promote", "0123456789"], "no version begins with 0123456789"),
        (["rollback", "smile/nosuch"], "no worker has ever offered smile/nosuch"),
        (["rollback", "learned"], "is not TASK/NAME such as smile/expression"),
        (["promote", "%%%%%%%%%%%%"], "'%%%%%%%%%%%%' is not a digest: give its first digits"),
        (["promote", "0" * 65], "is not a digest"),
    ],
)
def test_wrong_command_names_the_reason(
    owner_command: Command, arguments: list[str], why: str
) -> None:
    said = owner_command.output("models", *arguments)

    assert why in said
    assert owner_command.status("models", *arguments) == 2


def publish(bench: Bench, *cards: ModelCard, release: tuple[int, ...] | None = None) -> None:
    bench.do(published_models.publish, [Offer(card) for card in cards], release=release)


def compared(bench: Bench, *cards: ModelCard) -> ServedCapabilities:
    serving = ServedCapabilities([card.capability for card in cards if card.leads], {}, cards)
    serving.open()
    bench.do(serving.compare)
    return serving


def claim(bench: Bench, *cards: ModelCard) -> list[Lease]:
    return bench.do(
        claiming.claim,
        [Capability("prepare.bench")],
        worker=bench.worker,
        guard=published_models.select_cards(Capability("prepare.bench"), cards),
    )


@pytest.mark.parametrize(
    ("own", "fails", "again"),
    [(NEXT, False, True), (NEXT, True, False), (PREPARE, False, False)],
    ids=["as published", "cannot be loaded", "of another version"],
)
def test_worker_that_runs_for_a_month_offers_its_served_models(
    bench: Bench, own: ModelCard, *, fails: bool, again: bool
) -> None:
    publish(bench, NEXT)
    now = [0.0]
    serving = ServedCapabilities([own.capability], {}, [own], offered=[own], clock=lambda: now[0])
    if fails:
        serving.fail(own.capability, "weights file has a wrong SHA-256")
    serving.open()
    bench.execute("UPDATE models SET offered_at = offered_at - interval '40 days'")
    offered = []

    for now[0] in (0.0, 25 * 3600.0):
        bench.do(serving.renew)
        known = bench.do(published_models.list_models)
        offered += [one.offered for one in known if one.card.task == TaskName.PREPARE]

    assert offered == [False, again]


@pytest.mark.parametrize(
    ("change", "claimed"),
    [
        # Changes of these give another picture.
        ({"version": "2"}, 0),
        ({"parameters": (parameters.number("least", 0.5, "Least", least=0, most=1),)}, 0),
        ({"weights": (WeightsFile("one.onnx", "0" * 64),)}, 0),
        ({"combines": True}, 0),
        # Changes of these do not.
        ({"title": "Everything"}, 1),
        ({"quality": {"iou": 0.9}}, 1),
        ({"license": "MIT"}, 1),
        ({"default": False}, 1),
        ({"devices": ("cpu", "cuda")}, 1),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_worker_claims_jobs_for_which_it_makes_the_same_pictures(
    bench: Bench, change: dict[str, object], claimed: int
) -> None:
    published = dataclasses.replace(PREPARE, **change)  # type: ignore[arg-type]  # as named
    publish(bench, published)
    bench.submit()

    assert len(claim(bench, PREPARE)) == claimed
    assert len(claim(bench, published)) == 1 - claimed


def test_entries_of_another_machine_do_not_prevent_a_claim(bench: Bench) -> None:
    def entry(*names: str) -> ModelCard:
        chosen = parameters.choice("entry", names[0], "Which", choices=names)
        return dataclasses.replace(PREPARE, parameters=(chosen,))

    publish(bench, entry("one", "two"))
    bench.submit()

    assert len(claim(bench, entry("two"))) == 1


def test_version_skew_of_one_capability_leaves_the_others_served(bench: Bench) -> None:
    publish(bench, NEXT, a_card(FACE))

    serving = compared(bench, PREPARE, a_card(FACE))

    assert serving.capabilities == (Capability("face.bench"),)
    why = serving.failed[Capability("prepare.bench")]
    assert "prepare no-prepare has version 1 here" in why
    assert "accepted for version 2" in why


def test_version_skew_of_a_light_model_stops_its_stage(bench: Bench) -> None:
    publish(bench, a_card(SMILE), dataclasses.replace(a_card(EYES), version="2"))

    serving = compared(bench, a_card(SMILE), a_card(EYES), a_card(FACE))

    assert serving.capabilities == (Capability("face.bench"),)


def test_version_skew_ends_when_the_workers_own_version_is_published_again(bench: Bench) -> None:
    publish(bench, NEXT)
    serving = compared(bench, PREPARE)
    publish(bench, PREPARE)

    bench.do(serving.compare)

    assert serving.capabilities == (Capability("prepare.bench"),)
    assert serving.failed == {}


@pytest.mark.parametrize("goes_back", [False, True])
def test_later_release_stays_until_prepare_is_rolled_back(bench: Bench, *, goes_back: bool) -> None:
    publish(bench, NEXT, release=LATER_RELEASE)
    if goes_back:
        bench.do(published_models.reset_release)

    publish(bench, PREPARE)

    assert (compared(bench, PREPARE).failed == {}) is goes_back
    assert (compared(bench, NEXT).failed == {}) is not goes_back


@pytest.mark.parametrize(
    ("field", "is_offered"), [('{"mirrors": true}', False), ('{"mirrors": false}', True)]
)
def test_card_that_needs_more_than_the_api_knows_is_not_available(
    api: Api, clock: Clock, field: str, *, is_offered: bool
) -> None:
    api.bench.execute(
        "UPDATE models SET card = card || CAST(:more AS jsonb) WHERE task = 'face'", more=field
    )
    clock.expire_caches()

    answer = api.post(a_photo())

    assert answer.status_code == (202 if is_offered else 422)
    if not is_offered:
        assert answer.json()["code"] == "not_available"
        assert "upgrade the API" in answer.json()["errors"][0]["detail"]
    listed = api.read("/v1/models?all=true")["items"]
    assert {"no-face": is_offered} == {
        card["name"]: card["offered"] for card in listed if card["task"] == "face"
    }
