"""Telemetry of real processes: a trace for each job, from request to webhook; logs; metrics."""

import base64
import dataclasses
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from integration import batches
from smart_filter_api.auth import api_keys
from smart_filter_deploy import wiring
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port
from smart_filter_shared.catalog.model_card import Offer
from smart_filter_shared.ids import Capability
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import heads
from smart_filter_shared.telemetry.metrics import WorkerStep
from smart_filter_tests import faults
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.faults import gathers
from smart_filter_tests.full_stack import PHOTO, answers
from smart_filter_tests.http_server import ReceivedRequest, Reply
from smart_filter_tests.outages import wait_until
from smart_filter_tests.patience import PATIENCE_SECONDS
from smart_filter_tests.serving import Api, Site, open_api
from smart_filter_tests.webhook_receiver import Receiver, a_receiver

CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
KEY = "sf_local_planted_key"
PLANTED = "planted-secret"
LATE = '"event": "background_unavailable"'
METRICS = {
    *(
        f'smart_filter_step_seconds_sum{{capability="composite.layers",step="{step}"}}'
        for step in WorkerStep
    ),
    'smart_filter_jobs_ended_total{outcome="succeeded"}',
    'smart_filter_attempts_total{capability="segmentation.people"}',
}
PREPARED = "SELECT count(*) FROM all_stages WHERE stage = 'prepare' AND state = 'succeeded'"
_LOG = "log"
_TESTS = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Seen:
    """A received span.

    trace, span, above: ids as hexadecimal; above: of the parent span, or empty. links: the ids of
    linked spans.  trouble: the message of its status.
    """

    service: str
    name: str
    trace: str
    span: str
    above: str
    links: frozenset[str]
    attributes: Mapping[str, str | int]
    began_ns: int
    ended_ns: int
    trouble: str


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The telemetry of a single job, and of a batch of three.

    log: the output of the processes meanwhile, including a photo whose address gives nothing.
    """

    alone: uuid.UUID
    batch: uuid.UUID
    together: list[uuid.UUID]
    collector: Receiver
    log: str

    def spans(self) -> list[Seen]:
        """Return all spans in the order of their beginnings."""
        found = [span for got in self.collector.got for span in _read(got)]
        return sorted(found, key=lambda span: span.began_ns)

    def trace(self, id_: uuid.UUID) -> list[Seen]:
        return [span for span in self.spans() if span.trace == id_.hex]

    def of_alone(self, name: str) -> Seen:
        (found,) = [one for one in self.trace(self.alone) if one.name == name]
        return found


def _read(got: ReceivedRequest) -> Iterator[Seen]:
    assert got.path == "/v1/traces"
    assert got.headers["content-type"] == "application/x-protobuf"
    request = ExportTraceServiceRequest.FromString(got.body)
    for resource in request.resource_spans:
        service = next(
            attribute.value.string_value
            for attribute in resource.resource.attributes
            if attribute.key == "service.name"
        )
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Seen(
                    service=service,
                    name=span.name,
                    trace=span.trace_id.hex(),
                    span=span.span_id.hex(),
                    above=span.parent_span_id.hex(),
                    links=frozenset(link.span_id.hex() for link in span.links),
                    attributes={
                        attribute.key: attribute.value.string_value or attribute.value.int_value
                        for attribute in span.attributes
                    },
                    began_ns=span.start_time_unix_nano,
                    ended_ns=span.end_time_unix_nano,
                    trouble=span.status.message,
                )


@pytest.fixture(scope="module")
def reported(
    _bench: Bench, weights_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Telemetry]:
    _bench.empty()
    data = tmp_path_factory.mktemp("traced")
    (data / "weights").symlink_to(weights_folder)
    with _bench.transaction() as connection:
        # As `up` does, so that photos are accepted before a worker exists.
        offers = wiring.list_offers(dataclasses.replace(_bench.settings, data=data))
        published_models.publish(connection, [*offers, Offer(gathers.CARD)])
    with a_receiver(lambda _: Reply(200)) as collector, a_receiver() as receiver:
        collector_url = collector.url.removesuffix("/hook")
        environment = _environment(_bench, data, collector_url)
        sender = program.command("sender")
        with _an_api(_bench, environment) as api, _process(environment, *sender):
            webhook = f"{receiver.url}/{PLANTED}"
            alone = _submit(api, webhook)
            batch, together = _submit_batch(api, webhook)
            # No process listens on the second one's port.
            for place in (collector_url, f"http://{LOOPBACK}:9"):
                url = f"{place}/{PLANTED}/photo.jpg?signature={PLANTED}"
                api.create("/v1/jobs", json={"photo_url": url})
            _be_refused(api)
            with _process(environment, *_worker(*StageName)):
                # Stages that become ready during the pause are then claimed together.
                with _all_paused_but(_bench, StageName.PREPARE):
                    wait_until(
                        lambda: _bench.scalar(PREPARED) == 1 + len(together),
                    )
                    wait_until(lambda: (data / _LOG).read_text().count(LATE) >= 2)
                wait_until(lambda: len(receiver.got) >= 2)
                wait_until(
                    lambda: set(_shown_above_zero(api.operators.get("/metrics").text)) >= METRICS,
                )
        yield Telemetry(alone, batch, together, collector, (data / _LOG).read_text())


def test_trace_of_a_job_leads_from_its_request_through_every_stage_to_its_webhook(
    reported: Telemetry,
) -> None:
    spans = reported.trace(reported.alone)

    (first,) = [span for span in spans if not span.above]
    assert (first.name, first.service) == ("POST /v1/jobs", "smart-filter-api")
    assert first.trace + first.span == reported.alone.hex + reported.alone.hex[16:]
    assert first.attributes["smart_filter.job_id"] == str(reported.alone)
    assert first.links == {CALLER[1]}
    below = [span for span in spans if span.above == first.span]
    assert sorted((span.name, span.service) for span in below[:-1]) == sorted(
        (stage, "smart-filter-worker") for stage in StageName
    )
    assert (below[-1].name, below[-1].service) == ("webhook", "smart-filter-sender")


def test_stage_span_has_its_model_device_batch_attempt_and_steps(reported: Telemetry) -> None:
    attributes = dict(reported.of_alone("segmentation").attributes)

    assert attributes.pop("smart_filter.batch_size") >= 1  # type: ignore[operator]  # a number
    assert uuid.UUID(str(attributes.pop("smart_filter.worker_id")))
    assert (
        attributes.items()
        >= {
            "smart_filter.capability": "segmentation.people",
            "smart_filter.model": "people",
            "smart_filter.device": "cpu",
            "smart_filter.attempt": 1,
        }.items()
    )
    stage = reported.of_alone("face")
    steps = [one for one in reported.trace(reported.alone) if one.above == stage.span]
    assert [step.name for step in steps] == ["claim", "load", "infer", "store"]
    assert all(stage.began_ns <= step.began_ns <= step.ended_ns <= stage.ended_ns for step in steps)


def test_batch_span_links_to_every_photo_in_it_and_back(reported: Telemetry) -> None:
    spans = reported.spans()
    stages = {span.span: span for span in spans if span.name in set(StageName)}
    batches = [span for span in spans if span.name.endswith(" batch")]

    assert batches
    for batch in batches:
        members = [stages[link] for link in batch.links]
        assert len(members) == batch.attributes["smart_filter.batch_size"] >= 2
        assert {member.links for member in members} == {frozenset({batch.span})}
        assert len({member.trace for member in members} | {batch.trace}) == len(members) + 1


def test_jobs_of_one_request_and_their_batch_have_separate_traces(reported: Telemetry) -> None:
    for job in reported.together:
        assert {span.name for span in reported.trace(job)} >= {
            "POST /v1/batches",
            *StageName,
        }
    names = [span.name for span in reported.trace(reported.batch)]
    assert names == ["POST /v1/batches", "webhook"]


def test_logs_are_json_lines_without_addresses_of_photos_and_keys(reported: Telemetry) -> None:
    # One runtime of networks writes its own line, which no setting silences.
    lines = [json.loads(line) for line in reported.log.splitlines() if "TensorFlow" not in line]
    assert {line["process"] for line in lines} == {"api", "worker"}
    assert all(line["timestamp"] and line["level"] and line["event"] for line in lines)

    attributes = " ".join(str(span) for span in reported.spans())

    assert LATE in reported.log
    assert str(reported.alone) in attributes
    for secret in (PLANTED, KEY, "astronaut", "s" * 32):
        assert secret not in reported.log
        assert secret not in attributes


def _submit(api: Api, webhook: str) -> uuid.UUID:
    """Submit a photo within a trace that began elsewhere."""
    within = {"traceparent": f"00-{CALLER[0]}-{CALLER[1]}-01"}
    answer = api.post(PHOTO.read_bytes(), {"webhook_url": webhook}, within)
    return uuid.UUID(answer.json()["id"])


def _submit_batch(api: Api, webhook: str) -> tuple[uuid.UUID, list[uuid.UUID]]:
    item = {"photo_base64": base64.b64encode(PHOTO.read_bytes()).decode()}
    recipe = {"segmentation": {"model": "gathers"}}
    document = {"items": [item] * 3, "recipe": recipe, "webhook_url": webhook}
    shown = batches.batch(api, batches.submit(api, document)["id"])
    return uuid.UUID(shown["id"]), [uuid.UUID(item["job_id"]) for item in shown["items"]]


def _be_refused(api: Api) -> None:
    """Send secrets in wrong places, and wrong secrets."""
    address = f"http://user:{PLANTED}@{LOOPBACK}/photo.jpg"
    refused = [
        api.client.post("/v1/jobs", json={"photo_url": address}),
        api.client.post("/v1/jobs", json={"photo_url": "no address", PLANTED: PLANTED}),
        api.client.post(f"/v1/jobs/{PLANTED}/cancel?key={PLANTED}"),
        api.client.get("/v1/jobs", headers={"Authorization": f"Bearer sf_{PLANTED}"}),
        api.client.get("/v1/jobs", headers={"Authorization": PLANTED, "Cookie": PLANTED}),
    ]
    assert [answer.status_code // 100 for answer in refused] == [4] * len(refused)


@contextmanager
def _an_api(bench: Bench, environment: Mapping[str, str]) -> Iterator[Api]:
    ports = [str(free_port()) for _ in range(2)]
    site = Site(*(f"http://{LOOPBACK}:{port}" for port in ports))
    bench.do(api_keys.ensure, KEY, tenant=TENANT, scopes=api_keys.ALL_SCOPES)
    words = program.command("api", "--port", ports[0], "--operators-port", ports[1])
    with _process(environment, *words), open_api(site, bench, KEY) as api:
        wait_until(lambda: answers(f"{site.operators_url}/readyz"))
        yield api


def _environment(bench: Bench, data: Path, collector: str) -> dict[str, str]:
    return {
        **os.environ,
        **bench.environment,
        "SMART_FILTER_SECRETS_KEY": "s" * 32,
        "SMART_FILTER_OUTBOUND_ALLOW": LOOPBACK,
        "SMART_FILTER_REMEMBER": "false",
        "SMART_FILTER_SWEEP_SECONDS": "0.2",
        "SMART_FILTER_DATA": str(data),
        "SMART_FILTER_OTLP_URL": collector,
        faults.FOLDER: str(data),
        "PYTHONPATH": os.pathsep.join([str(_TESTS), *sys.path[1:]]),
    }


@contextmanager
def _process(environment: Mapping[str, str], *words: str) -> Iterator[None]:
    """Run a process of ours while the block lasts; it exports its last telemetry at the end."""
    with (Path(environment["SMART_FILTER_DATA"]) / _LOG).open("a") as log:
        process = subprocess.Popen(words, env=environment, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _worker(*stages: StageName) -> tuple[str, ...]:
    return (sys.executable, "-m", "smart_filter_tests.worker", ",".join(stages), "2")


@contextmanager
def _all_paused_but(bench: Bench, stage: StageName) -> Iterator[None]:
    query = "SELECT array_agg(DISTINCT capability) FROM all_stages WHERE stage <> :stage"
    capabilities = [Capability(one) for one in bench.scalar(query, stage=stage)]
    for capability in capabilities:
        bench.do(heads.pause, capability)
    yield
    for capability in capabilities:
        bench.do(heads.resume, capability)


def _shown_above_zero(metrics: str) -> Iterator[str]:
    for line in metrics.splitlines():
        name, _, value = line.rpartition(" ")
        if not line.startswith("#") and float(value) > 0:
            yield name
