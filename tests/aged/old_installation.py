"""An installation after 40 days: 200,000 jobs of every outcome, in a template database.

Weeks pass over a few jobs, keys and weights; then the database copies the jobs into every day.
"""

import dataclasses
import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx
from sqlalchemy import Connection, create_engine, make_url, text

from smart_filter_deploy import wiring
from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_shared.artifacts.retention import RetentionOverrides
from smart_filter_shared.catalog.model_card import Offer
from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.tenants import settings
from smart_filter_tests import aging, job_copies, sample_jobs, trainable_model
from smart_filter_tests.bench import Bench, open_bench, settings_of
from smart_filter_tests.full_stack import PHOTO
from smart_filter_tests.job_copies import Group
from smart_filter_tests.serving import Api, Site, open_api, serve_api
from smart_filter_tests.webhook_receiver import a_receiver, send_due

DAYS: Final = 40
TEMPLATE: Final = "aged"
# The key that seals the secrets of webhooks in the template.
SEALING_KEY: Final = "s" * 32
# Most tenants keep results for an hour: only rows are left of their jobs. One keeps them for the
# week of the settings, so its jobs have events, deliveries and pictures.
HOURLY: Final = {Tenant("shop"): 0.6, Tenant("prints"): 0.3, Tenant("cards"): 0.1}
WEEKLY: Final = Tenant("album")
# The operator's own tenant keeps everything, for journeys that use a photo of weeks ago.
_OPERATOR_KEEPS: Final = RetentionOverrides(input_seconds=60 * 86_400, result_seconds=60 * 86_400)
# Scores of smiles by the weights that scheduled jobs were submitted with, and by the live ones.
FORMER_SCORE, SCORE = 0.25, 0.75
SCHEDULED: Final = 3
_HOUR, _DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
# Outcomes per thousand copies, of tenants that keep results for an hour.
_SHARES: Final = {
    "five stages": 100,
    "three stages": 290,
    "two stages": 380,
    "failed": 70,
    "canceled": 60,
    "deleted": 20,
    "batch": 20,
    "derived": 20,
}
_HOURLY_UNITS: Final = 188_000
# Each picture of the week is an object.
_WEEKLY_UNITS: Final = {
    "five stages": 60,
    "three stages": 120,
    "two stages": 120,
    "failed": 6_000,
    "canceled": 6_000,
    "deleted": 100,
    "batch": 20,
    "derived": 20,
}
# About as many transaction ids as the jobs would have taken; events name these ids.
_TRANSACTIONS: Final = 300_000
_SAMPLED: Final = ("prepare", "segmentation.selfie", "face.centerface", "composite")


def fill(addresses: Addresses, folder: Path) -> None:
    """Make the template database.

    folder: the data folder, with weights for the models that are published.
    """
    _administer(addresses, f"CREATE DATABASE {TEMPLATE}")
    with a_bench(addresses, TEMPLATE, folder) as bench:
        wiring.prepare_servers(bench.settings, local_key=None)
        with bench.transaction() as connection:
            published_models.publish(connection, _offers(bench))
            said = settings.lock_overrides(connection, OPERATOR)
            settings.write_overrides(
                connection, OPERATOR, dataclasses.replace(said, retention=_OPERATOR_KEEPS)
            )
        with serve_api(bench.settings) as site:
            groups = _live(bench, site)
        for group in groups:
            bench.do(job_copies.write, group)
        with bench.transaction() as connection:
            _count(connection)
            _sample(connection)
            _publish_as_an_older_version(connection)
        _store_pictures(bench)
        with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))


def copy_to(addresses: Addresses, database: str) -> None:
    """Copy the template into a database, replacing one of this name."""
    _administer(
        addresses,
        f"DROP DATABASE IF EXISTS {database} WITH (FORCE)",
        f"CREATE DATABASE {database} TEMPLATE {TEMPLATE} STRATEGY file_copy",
    )


def drop(addresses: Addresses, database: str) -> None:
    _administer(addresses, f"DROP DATABASE {database} WITH (FORCE)")


def client_of(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60)


@contextmanager
def a_bench(
    addresses: Addresses, database: str, folder: Path, *, sealing_keys: str = SEALING_KEY
) -> Iterator[Bench]:
    url = make_url(addresses.database_url).set(database=database)
    bench_settings = settings_of(
        addresses,
        SMART_FILTER_DATABASE_URL=url.render_as_string(hide_password=False),
        SMART_FILTER_SECRETS_KEY=sealing_keys,
        SMART_FILTER_DATA=str(folder),
    )
    with open_bench(bench_settings, connections=6) as bench:
        yield bench


def _administer(addresses: Addresses, *statements: str) -> None:
    url = make_url(addresses.database_url).set(database="postgres")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def _live(bench: Bench, site: Site) -> list[Group]:
    """Let 40 days pass, with jobs on the first and on the last; return the groups to copy."""
    groups = []
    with a_receiver() as receiver, ExitStack() as held:
        aging.replace_weights(bench, score=FORMER_SCORE)
        for tenant in (*HOURLY, WEEKLY):
            api = _api(held, bench, site, tenant)
            hook = {"url": receiver.url, "events": ["job.failed"]}
            assert api.client.post("/v1/webhooks", json=hook).is_success
            assert api.client.post("/v1/webhooks/default/rotate").is_success
            if tenant in HOURLY:
                _keep_an_hour(api, tenant)
                groups += [
                    Group(
                        [aging.older_id(id_, number=DAYS - 1) for id_ in ids],
                        int(HOURLY[tenant] * _HOURLY_UNITS * _SHARES[end] / 1000),
                        3 * _HOUR,
                        DAYS * _DAY,
                    )
                    for end, ids in sample_jobs.submit_every_outcome(api, receiver.url).items()
                ]
        send_due(bench)
        _pass_days(bench, DAYS // 2)
        api = _api(held, bench, site, WEEKLY)
        for _ in range(SCHEDULED):
            _schedule(api)
        aging.replace_weights(bench, score=SCORE)
        for tenant in (*HOURLY, WEEKLY):
            api = _api(held, bench, site, tenant)
            assert api.client.post("/v1/webhooks/default/rotate").is_success
        _pass_days(bench, DAYS - DAYS // 2 - 1)
        _spend_transactions(bench)
        latest = sample_jobs.submit_every_outcome(api, receiver.url)
        send_due(bench, times=2)
        aging.clean_up(bench)
    groups += [Group(ids, _WEEKLY_UNITS[end], _HOUR, 6.9 * _DAY) for end, ids in latest.items()]
    return groups


def _api(held: ExitStack, bench: Bench, site: Site, tenant: Tenant) -> Api:
    return held.enter_context(open_api(site, bench, aging.rotate_key(bench, tenant)))


def _keep_an_hour(api: Api, tenant: Tenant) -> None:
    key = api.client.headers["Authorization"]
    api.keep(tenant, input_seconds=3600, result_seconds=3600)
    api.client.headers["Authorization"] = key


def _schedule(api: Api) -> None:
    answer = api.post(
        PHOTO.read_bytes(),
        {
            "background": "color:navy",
            "outputs": "image,faces",
            "smile.model": trainable_model.CARD.name,
            "run_at": (api.bench.now() + (DAYS // 2 + 5) * _DAY).isoformat(),
        },
    )
    assert answer.status_code == 202, answer.text


def _pass_days(bench: Bench, number: int) -> None:
    with bench.transaction() as connection:
        aging.pass_days(connection, number)
        published_models.publish(connection, _offers(bench))  # workers do this all the time
    aging.clean_up(bench)


def _offers(bench: Bench) -> list[Offer]:
    return [*wiring.list_offers(bench.settings), Offer(trainable_model.CARD)]


def _spend_transactions(bench: Bench) -> None:
    with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET synchronous_commit = off"))
        connection.execute(
            text(f"""
                DO $$ BEGIN
                    FOR number IN 1..{_TRANSACTIONS} LOOP
                        PERFORM pg_current_xact_id();
                        COMMIT;
                    END LOOP;
                END $$
            """)
        )
        connection.execute(text("RESET synchronous_commit"))


def _count(connection: Connection) -> None:
    # The copies of the sample jobs failed long ago, not while this database was made.
    connection.execute(text("DELETE FROM failures"))
    connection.execute(text("DELETE FROM usage"))
    connection.execute(
        text("""
            INSERT INTO usage (tenant, day, state, jobs, megapixels, model_seconds)
            SELECT tenant, CAST(finished_at AT TIME ZONE 'UTC' AS date), outcome, count(*),
                sum(megapixels), sum(estimated_seconds)
            FROM jobs WHERE outcome IS NOT NULL AND id NOT IN (SELECT job_id FROM unsettled_jobs)
            GROUP BY 1, 2, 3
        """)
    )


def _sample(connection: Connection) -> None:
    """Write a month of samples, one a minute, as sweepers do."""
    connection.execute(text("DELETE FROM samples"))
    connection.execute(text("DELETE FROM queue_samples"))
    minutes = """
        generate_series(
            date_trunc('minute', statement_timestamp()) - interval '30 days',
            date_trunc('minute', statement_timestamp()) - interval '1 minute', '1 minute'
        ) WITH ORDINALITY AS minute (at, number)
    """
    connection.execute(
        text(f"INSERT INTO samples SELECT at, 4 * number, number / 3, number / 4, 0 FROM {minutes}")
    )
    connection.execute(
        text(f"""
            INSERT INTO queue_samples
            SELECT at, capability, 0, number % 7, number % 3, 0.5, 4 * number, number / 50, 0, 0
            FROM {minutes}, unnest(CAST(:capabilities AS text[])) AS capability
        """),
        {"capabilities": list(_SAMPLED)},
    )


def _publish_as_an_older_version(connection: Connection) -> None:
    connection.execute(text("UPDATE models SET release = '{0, 1, 0}', fingerprint = 'older'"))


def _store_pictures(bench: Bench) -> None:
    with bench.transaction() as connection:
        keys = set(connection.scalars(text("SELECT key FROM artifacts")))
    missing = keys - {stored.key for stored in bench.store.stored()}

    def put(key: str) -> None:
        content = sample_jobs.PICTURE
        bench.store.put(key, content, length=len(content), media_type="image/png")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put, missing))
