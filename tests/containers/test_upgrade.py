"""An upgrade from files and images of the previous version, with a job under way."""

import pytest

from containers import images
from containers.compose_stack import PATIENCE_SECONDS, compose_stack, draw_photos
from containers.engine import Engine
from containers.images import OwnImages
from smart_filter_client import Client

pytestmark = pytest.mark.timeout(1500)
# docker-compose.yml of both versions lets workers load it; `people` is for research only.
MODEL = "selfie"
SERVICES = ("api", "prepare", "segmentation", "face", "smile")


def test_upgrade_keeps_pictures_and_finishes_what_was_under_way(
    engine: Engine, own_images: OwnImages
) -> None:
    first, second = draw_photos(2)

    with (
        images.built(engine, previous=True) as previous,
        compose_stack(engine, previous=True) as stack,
    ):
        stack.up(*SERVICES, images=previous)
        with Client(stack.url, stack.create_key()) as client:
            before = client.run(first, timeout=PATIENCE_SECONDS)
            picture = client.output(before.id, "image").content
            stack.compose("stop", "segmentation")
            under_way = client.submit(second, {"segmentation": {"model": MODEL}})

            stack.upgrade(*SERVICES, images=own_images)

            assert client.wait(under_way.id, timeout=PATIENCE_SECONDS).state == "succeeded"
            assert client.output(before.id, "image").content == picture
            running = {one["Config"]["Image"] for one in stack.inspect(*SERVICES)}
            assert running == {own_images.api, own_images.worker}
