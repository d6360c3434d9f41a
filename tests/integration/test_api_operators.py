"""The operators' port, which alone serves the pages and routes for operators."""

import socket
from pathlib import Path

import httpx
import pytest

from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port
from smart_filter_shared.recipe.document_photos import OWN_ROWS, document_photos
from smart_filter_tests.commands import Command
from smart_filter_tests.serving import Api

PATHS = ("/metrics", "/readyz", "/admin", "/v1/operator/standing", "/v1/operator/history")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_public_port_answers_as_for_an_unknown_path(api: Api, method: str, path: str) -> None:
    unknown = api.client.request(method, "/nowhere")

    answer = api.client.request(method, path)

    ours = {"date", "x-request-id", "content-length"}
    assert (answer.status_code, unknown.status_code) == (404, 404)
    assert {name: value for name, value in answer.headers.items() if name not in ours} == {
        name: value for name, value in unknown.headers.items() if name not in ours
    }
    if method != "HEAD":
        assert answer.json()["code"] == unknown.json()["code"] == "not_found"


@pytest.mark.parametrize(
    "path",
    ["/admin/", "/%61dmin", "//admin", "/./admin", "/x/../admin", "/v1/%6fperator/standing"],
)
def test_other_spellings_of_a_path_do_not_open_the_public_port(api: Api, path: str) -> None:
    target = httpx.URL(api.url).copy_with(raw_path=path.encode())

    assert api.client.get(target).status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_operators_port_serves_the_paths(api: Api, path: str) -> None:
    assert api.operators.get(path).status_code == 200


def test_changing_requests_are_unknown_on_the_public_port(api: Api) -> None:
    pause = "/v1/operator/queues/prepare.bench/pause"

    assert api.client.put(pause).status_code == 404
    assert api.operators.put(pause).json()["capability"] == "prepare.bench"
    assert api.operators.delete(pause).json()["paused_at"] is None


def test_no_header_of_a_client_opens_the_public_port(api: Api) -> None:
    place = httpx.URL(str(api.operators.base_url)).netloc.decode()
    port = place.rpartition(":")[2]
    headers = {
        "Host": place,
        "Forwarded": f"host={place};proto=http",
        "X-Forwarded-Host": place,
        "X-Forwarded-Port": port,
        "X-Forwarded-For": "127.0.0.1",
    }

    assert {api.client.get(path, headers=headers).status_code for path in PATHS} == {404}


def test_operators_port_serves_the_routes_of_clients_too(api: Api) -> None:
    alive = [client.get("/livez").status_code for client in (api.client, api.operators)]

    assert alive == [200, 200]
    assert api.operators.get("/v1/jobs").status_code == 200


def test_taken_operators_port_names_its_options(command: Command) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = str(taken.getsockname()[1])
        line = command.output("api", "--port", str(free_port()), "--operators-port", port)
    same = command.usage_error("api", "--port", "8000", "--operators-port", "8000")

    assert "--operators-host and --operators-port" in line
    assert "--operators-port must differ from --port" in same


@pytest.mark.parametrize("arguments", [["api", "--port", "8000"], ["preflight"]])
def test_faulty_documents_of_the_operator_stop_the_start(
    arguments: list[str], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "documents.toml"
    file.write_text("[club]\ntitle = 3")
    monkeypatch.setenv(OWN_ROWS, str(file))
    document_photos.cache_clear()

    line = command.output(*arguments)

    assert f"SMART_FILTER_DOCUMENTS: {file}: 'club.title'" in line
    document_photos.cache_clear()
