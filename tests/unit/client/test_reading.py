"""The client's parser against the examples that the API's description records from a server."""

import dataclasses
import importlib
import json
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import smart_filter_wire
from smart_filter_api.http import documents
from smart_filter_client.errors import UnexpectedAnswer
from smart_filter_client.reading import read_answer
from smart_filter_tests.clients import job_document
from smart_filter_tests.openapi_document import OPENAPI
from smart_filter_wire.corrections import Correction, FaceChanges, FaceLabel, Label
from smart_filter_wire.jobs import Job

REFERENCE = "#/components/schemas/"


def wire_types() -> dict[str, type]:
    modules = [
        importlib.import_module(f"{smart_filter_wire.__name__}.{module.name}")
        for module in pkgutil.iter_modules(smart_filter_wire.__path__)
    ]
    return {
        name: kind
        for module in modules
        for name, kind in vars(module).items()
        if dataclasses.is_dataclass(kind) and isinstance(kind, type)
    }


def examples() -> Iterator[Any]:
    kinds = wire_types()
    document = json.loads(OPENAPI.read_text())
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                content = answer.get("content", {}).get("application/json", {})
                name = content.get("schema", {}).get("$ref", "").removeprefix(REFERENCE)
                if name in kinds:
                    for title, example in content.get("examples", {}).items():
                        place = f"{operation['operationId']} {status} {title}"
                        yield pytest.param(kinds[name], example["value"], id=place)


def holds(answer: Any, example: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether an answer is an example, which may lack fields that have a default."""
    if isinstance(example, dict):
        return all(holds(answer[name], value) for name, value in example.items())
    if isinstance(example, list):
        return len(answer) == len(example) and all(map(holds, answer, example))
    return bool(answer == example)


@pytest.mark.parametrize(("kind", "example"), [*examples()])
def test_client_loses_nothing_of_an_answer(kind: type, example: dict[str, object]) -> None:
    assert holds(documents.to_json(read_answer(kind, example)), example)


def test_client_reads_corrections_of_faces() -> None:
    common = {"id": "c1", "job_id": "j1", "consent": False, "created_at": "2031-05-06T07:08:09Z"}
    label = {"faces": [{"number": 1, "smile": "huge", "left_open": None, "right_open": True}]}
    changes = {"remove": [2], "add": [[1, 2, 30, 40.5]], "restore": None}
    stored = {**common, "kind": "faces", "stage": "face", "form": "faces", "faces": changes}

    correction = read_answer(Correction, {**stored, "label": label})

    assert correction.label == Label([FaceLabel(1, "huge", right_open=True)])
    assert correction.faces == FaceChanges([2], [[1, 2, 30, 40.5]])


def test_client_reads_an_answer_of_a_newer_server() -> None:
    stage = {"name": "sharpness", "model": "laplacian", "state": "dreaming", "attempt": 1}
    answer = job_document("dreaming", new={"a": 1}, stages=[{**stage, "new": 2}])

    job = read_answer(Job, answer)

    assert (job.state, job.is_final) == ("dreaming", False)
    assert [(each.name, each.state) for each in job.stages] == [("sharpness", "dreaming")]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"id": None}, "is not what the field holds"),
        ({"seed": True}, "is not what the field holds"),
        ({"created_at": "yesterday"}, "is not what the field holds"),
        ({"links": []}, "a JobLinks was expected"),
        ({"links": {"self": "/"}}, "a JobLinks without 'photo'"),
        ({"warnings": [1]}, "is not what the field holds"),
    ],
)
def test_answer_of_another_server_is_unexpected(fields: dict[str, object], words: str) -> None:
    with pytest.raises(UnexpectedAnswer, match=words):
        read_answer(Job, job_document(**fields))
