"""Emotions turned off by the server or by a tenant: another model rates smiles, none reads them."""

import dataclasses
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from smart_filter_shared.catalog.emotions import OFF, OFF_FOR_TENANT
from smart_filter_shared.catalog.model_card import ModelCard, Offer
from smart_filter_shared.ids import JobId
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_tests.bench import TENANT
from smart_filter_tests.serving import (
    Api,
    a_card,
    a_photo,
    an_api_with,
    refusal_of,
)

SETTINGS = f"/v1/tenants/{TENANT}"
MOODY, MEASURED = "moody", "measured"


def smiles(name: str, **more: bool) -> ModelCard:
    # The bench serves this family.
    return dataclasses.replace(a_card(TaskName.SMILE, name), family="bench", **more)


@pytest.fixture
def api(api: Api) -> Api:
    """The API, with a default smile model that reads emotions and one that stands in for it."""
    api.bench.do(
        published_models.publish,
        [
            Offer(dataclasses.replace(a_card(TaskName.SMILE), default=False)),
            Offer(smiles(MOODY, default=True, emotions=True)),
            Offer(smiles(MEASURED, stands_in=True)),
        ],
    )
    return api


@pytest.fixture
def strict(api: Api) -> Iterator[Api]:
    """The same installation behind an API whose setting turns emotions off."""
    with an_api_with(api.bench, SMART_FILTER_EMOTIONS="off") as other:
        yield other


def smile_row(api: Api) -> Mapping[str, Any]:
    """Return the row of the smile stage of a job that asks for faces."""
    job_id = api.submit(outputs="faces,image", background="auto", seed="1")
    return api.bench.row(JobId(uuid.UUID(job_id)), StageName.SMILE)


def model_of(api: Api) -> object:
    return smile_row(api)["models"]["smile"]


def set_emotions(api: Api, emotions: bool | None) -> httpx.Response:  # noqa: FBT001 - the value
    return api.client.patch(SETTINGS, json={"emotions": emotions})


def test_tenant_turns_emotions_off_and_on_again_for_itself(api: Api) -> None:
    models = [model_of(api)]
    for emotions in (False, None):
        assert set_emotions(api, emotions).json()["emotions"] is emotions
        models.append(model_of(api))

    assert models == [MOODY, MEASURED, MOODY]


def test_server_turns_emotions_off_for_every_tenant(api: Api, strict: Api) -> None:
    assert (model_of(api), model_of(strict)) == (MOODY, MEASURED)


def test_tenant_cannot_turn_emotions_on(strict: Api) -> None:
    answer = set_emotions(strict, emotions=True)

    assert answer.status_code == 422
    assert "SMART_FILTER_EMOTIONS" in answer.json()["errors"][0]["detail"]
    assert model_of(strict) == MEASURED


def test_work_with_and_without_emotions_has_different_cache_keys(api: Api) -> None:
    job_id = uuid.UUID(api.submit(outputs="faces,image", background="auto", seed="1"))
    set_emotions(api, emotions=False)
    other_id = uuid.UUID(api.submit(outputs="faces,image", background="auto", seed="1"))

    for stage, shared in (
        (StageName.SEGMENTATION, True),
        (StageName.SMILE, False),
        (StageName.COMPOSITE, False),
    ):
        works = [api.bench.row(JobId(one), stage)["work"] for one in (job_id, other_id)]
        assert None not in works
        assert (works[0] == works[1]) is shared


@pytest.mark.parametrize(("by_server", "why"), [(True, OFF), (False, OFF_FOR_TENANT)])
def test_named_model_that_reads_emotions_is_refused_by_the_setting(
    api: Api,
    strict: Api,
    by_server: bool,  # noqa: FBT001 - pytest passes by name
    why: str,
) -> None:
    server = strict if by_server else api
    if not by_server:
        set_emotions(api, emotions=False)

    answer = server.post(a_photo(), {"outputs": "faces", "smile.model": MOODY})
    default = server.client.patch(SETTINGS, json={"recipe": {"smile": {"model": MOODY}}})
    listed = server.client.get("/v1/models?all=1").json()["items"]

    assert refusal_of(answer) == (422, "not_available")
    assert "SMART_FILTER_EMOTIONS" in answer.json()["errors"][0]["detail"]
    assert by_server or default.status_code == 422
    shown = {card["name"]: card for card in listed if card["task"] == "smile"}
    assert (shown[MOODY]["offered"], shown[MOODY]["default"]) == (False, False)
    assert (shown[MOODY]["fault"], shown[MOODY]["emotions"]) == (why, True)
    assert shown[MEASURED]["default"]


RATED = {
    StageName.PREPARE: {"width": 48, "height": 32, "format": "jpg", "quarter_turns": 0},
    StageName.SEGMENTATION: {"coverage": 0.3, "persons": 1},
    StageName.FACE: {
        "faces": [{"box": [0, 0, 9, 9], "score": 0.5, "landmarks": [[1, 2]] * 5}],
    },
    StageName.SMILE: {
        "smiles": [{"level": "huge", "score": 0.9, "emotion": [0.1, 0.9, 0, 0, 0, 0, 0, 0]}],
        "eyes": [{"left_open": True, "right_open": True}],
    },
}


def test_stored_emotions_are_hidden_wherever_faces_are_shown(api: Api, strict: Api) -> None:
    job_id = api.submit(outputs="faces", background="keep")
    for stage, facts in RATED.items():
        api.finish(stage, {"facts": facts, "arrays": {}, "files": {}})
    paths = (
        f"/v1/jobs/{job_id}",
        f"/v1/jobs/{job_id}/outputs/faces",
        f"/v1/jobs/{job_id}/events",
        "/v1/jobs",
    )

    shown, hidden = ([server.client.get(path).text for path in paths] for server in (api, strict))
    set_emotions(api, emotions=False)
    hidden += [api.client.get(path).text for path in paths]

    assert all('"happiness":0.9' in text for text in shown)
    assert all("huge" in text and "happiness" not in text for text in hidden)
    assert "infers emotions" in shown[0]
    assert all("infers emotions" not in text for text in hidden)
