"""A backup as docs/operating.md says, restored on servers that know nothing."""

import subprocess
from pathlib import Path

import pytest

from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_deploy.embedded.binaries import postgres_folder
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_tests import commands
from smart_filter_tests.bench import settings_of
from smart_filter_tests.running import ENGINE, running


def postgres(program: str, *arguments: str, of: Addresses) -> None:
    url = of.database_url.replace("+psycopg", "")
    command = [str(postgres_folder() / program), *arguments, "--dbname", url]
    subprocess.run(command, check=True, capture_output=True)


def objects_of(of: Addresses) -> ObjectStore:
    return ObjectStore(settings_of(of).storage, connections=1)


def test_restored_backup_serves_what_had_ended_and_goes_on_with_the_rest(
    data_folder: Path,
    weights_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dump = tmp_path / "smart-filter.dump"
    with running(data_folder / "lost", weights_folder, ENGINE) as stack:
        addresses = stack.stack.addresses
        command = commands.on_servers(settings_of(addresses), capsys, monkeypatch)
        ended = stack.wait(stack.submit(background="color:red"))
        picture = stack.output(ended["id"], "image")
        (queue,) = [
            stage
            for stage in (one["capability"] for one in command("queues", "list")["items"])
            if stage.startswith("composite.")
        ]
        command("queues", "pause", queue)
        unfinished = stack.submit(background="color:blue")
        stack.until(lambda: command("queues", "show", queue)["items"] != [])
        # The dump first: whatever it names was stored before.
        postgres("pg_dump", "--format=custom", f"--file={dump}", of=addresses)
        store = objects_of(addresses)
        objects = {stored.key: store.get(stored.key) for stored in store.stored()}

    with Stack(DataFolder.at(data_folder / "restored")) as servers:
        postgres("pg_restore", "--no-owner", str(dump), of=servers.addresses)
        store = objects_of(servers.addresses)
        store.ensure_bucket()
        for key, content in objects.items():
            store.put(key, content, length=len(content), media_type="application/octet-stream")
    with running(data_folder / "restored", weights_folder, ENGINE) as stack:
        command = commands.on_servers(settings_of(stack.stack.addresses), capsys, monkeypatch)
        found = [command("audit")]
        waiting = stack.job(unfinished)["state"]
        command("queues", "resume", queue)
        done = stack.wait(unfinished)
        again = stack.output(ended["id"], "image")
        found.append(command("audit"))

    assert (waiting, done["state"]) == ("running", "succeeded")
    assert again == picture
    assert found == [{"findings": []}, {"findings": []}]
