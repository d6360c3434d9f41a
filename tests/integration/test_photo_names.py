"""The name of a photo's file: kept from every kind of request, shown, and used for downloads."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from integration.batches import KEEP, PHOTO, batch, items, submit
from smart_filter_api.responses import output as responses_output
from smart_filter_tests.commands import Command
from smart_filter_tests.serving import Api, a_photo
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE
from smart_filter_tests.stored_results import derive, run_stages

NAME = 'Вася, "лето" 👩‍👩‍👧.jpg'
NAMES = ("p {n}", "p {n}", "same", "same")
CYRILLIC = (
    "attachment; filename=\"{id}.png\"; filename*=UTF-8''%D0%92%D0%B0%D1%81%D1%8F%2C%20%D0%B0.png"
)


def sent(api: Api, name: str | None, **fields: str) -> dict[str, object]:
    photo = a_photo() if name is None else (name, a_photo())
    return api.create("/v1/jobs", files={"photo": photo}, data=fields)


def test_name_of_the_file_is_shown_by_the_job_and_in_lists(api: Api) -> None:
    job = sent(api, NAME, **{"metadata.order": "17"})

    [listed] = api.read("/v1/jobs", params={"view": "summary"})["items"]
    assert job["photo_name"] == listed["photo_name"] == NAME
    assert api.read(f"/v1/jobs/{job['id']}")["photo_name"] == NAME
    assert job["metadata"] == {"order": "17"}


def test_field_names_a_photo_better_than_its_part(api: Api) -> None:
    assert sent(api, "tmp8q2x.jpg", photo_name="../me.jpg")["photo_name"] == "me.jpg"
    assert sent(api, None)["photo_name"] is None


def test_json_batches_and_derived_jobs_keep_the_name(api: Api) -> None:
    document = {"photo_base64": PHOTO, "photo_name": NAME, "recipe": KEEP}
    single = api.create("/v1/jobs", json=document)
    run_stages(api, PREPARE, COMPOSITE)
    many = submit(api, {"items": items(1, photo_name=NAME)})
    member = batch(api, many["id"])["items"][0]["job_id"]
    derived = derive(api, single["id"], recipe={"quality": 80})

    assert single["photo_name"] == NAME
    assert api.read(f"/v1/jobs/{member}")["photo_name"] == NAME
    assert derived["photo_name"] == NAME


def test_same_photo_under_another_name_is_the_same_request(api: Api) -> None:
    headers = {"Idempotency-Key": "one"}
    first, second = (
        api.create("/v1/jobs", files={"photo": (name, a_photo())}, headers=headers)
        for name in ("a.jpg", "b.jpg")
    )

    assert second["id"] == first["id"]
    assert second["photo_name"] == "a.jpg"


@pytest.mark.parametrize(
    ("template", "download", "disposition"),
    [
        (None, None, 'inline; filename="{id}.png"'),
        (None, "1", CYRILLIC),
        ("{n} {background}", None, 'inline; filename="1 keep.png"'),
        ("{n}-{background}.jpg", "1", 'attachment; filename="1-keep.png"'),
        ("shop", "{n}", 'attachment; filename="1.png"'),
    ],
)
def test_download_is_named_by_the_recipe_or_the_request(
    api: Api, template: str | None, download: str | None, disposition: str
) -> None:
    fields = {"background": "keep"} | ({} if template is None else {"filename": template})
    job = sent(api, "Вася, а.jpg", **fields)
    run_stages(api, PREPARE, COMPOSITE)

    answer = api.client.get(
        f"/v1/jobs/{job['id']}/outputs/image",
        params={} if download is None else {"download": download},
    )

    assert answer.headers["content-disposition"] == disposition.format(id=job["id"])


def test_own_background_is_named_without_its_owner(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = sent(api, "c.jpg", background="keep", filename="{name}-{background}")
    run_stages(api, PREPARE, COMPOSITE)
    own = SimpleNamespace(kind="preset", name="tenant/wall+linen")
    monkeypatch.setattr(responses_output.presenters_job, "render_background", lambda _job: own)

    answer = api.client.get(f"/v1/jobs/{job['id']}/outputs/image")

    assert answer.headers["content-disposition"] == 'inline; filename="c-wall+linen.png"'


def test_command_saves_under_the_name_of_the_recipe_and_replaces_nothing(
    api: Api, tmp_path: Path, remote_command: Command
) -> None:
    job = sent(api, "Вася.jpg", background="keep", filename="{name}-{n}-{background}")
    run_stages(api, PREPARE, COMPOSITE)
    wish = ("jobs", "download", str(job["id"]), "--output", "image", "-o", f"{tmp_path}/out/")

    assert remote_command.output(*wish) == f"{tmp_path}/out/Вася-1-keep.png\n"
    assert "exists already" in remote_command.output(*wish)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["Вася-1-keep.png"]


def test_command_counts_the_jobs_of_one_call(
    api: Api, tmp_path: Path, remote_command: Command
) -> None:
    jobs = [str(sent(api, "a.jpg", background="keep", filename=name)["id"]) for name in NAMES]
    for _ in jobs:
        run_stages(api, PREPARE, COMPOSITE)
    wish = ("jobs", "download", *jobs, "gone", "--output", "image", "-o", f"{tmp_path}/out/")

    first = remote_command.output(*wish)
    second = remote_command.output(*wish, "--force", "--json")

    names = ["p 1.png", "p 2.png", "same.png"]
    for said in (first, second):
        assert [f"{tmp_path}/out/{name}" in said for name in names] == [True] * 3
        assert f"{jobs[3]}: {tmp_path}/out/same.png is another job's" in said
        assert "smart-filter: gone: " in said
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == names
    assert remote_command.status(*wish) == 1


def test_command_names_files_after_their_photos_and_counts_up(
    api: Api, tmp_path: Path, remote_command: Command
) -> None:
    names = ("-beach: 1.jpg", "-beach: 1.jpg", None)
    fields = {"background": "keep", "outputs": "image,rating"}
    jobs = [str(sent(api, name, **fields)["id"]) for name in names]
    for _ in jobs:
        run_stages(api, PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE)
    wish = ("jobs", "download", *jobs, "-o", f"{tmp_path}/out/")

    first = remote_command.output(*wish)
    again = remote_command.output(*wish, "--force")
    other = remote_command.output(*wish[:3], "--output", "rating", *wish[-2:])

    places = [f"{tmp_path}/out/{stem}" for stem in ("beach 1", "beach 1-2", jobs[2])]
    assert first == again == "".join(f"{place}.png\n" for place in places)
    assert other == f"{tmp_path}/out/beach 1-3-rating.json\n"
