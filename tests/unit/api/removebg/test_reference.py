"""remove.bg's reference, line by line: errors, sizes and limits of values.

Source: its OpenAPI document 1.0.0, and what was recorded of its answers by its client for Ruby.
"""

import json

import pytest

from smart_filter_api.removebg import fields
from smart_filter_api.removebg.errors import error_response, refusal
from smart_filter_shared.errors import Error, RateLimited, Unauthorized
from smart_filter_shared.security.outbound_rules import OutboundRules

# A code, and the title of its errors. remove.bg's titles go on with an address or a link where
# ours end; the detail has the reason here.
TITLES = """
    missing_source           No image given
    multiple_sources         Multiple image sources given: Please provide either the image_url, \
image_file or image_file_b64 parameter.
    invalid_image_url        Invalid image_url: Please provide a valid URL.
    failed_image_download    Failed to download image from given image_url
    failed_to_read_image     There was an error reading the image.
    file_too_large           File too large
    invalid_file_type        Invalid file type
    invalid_dimensions       Failed to read image dimensions
    resolution_too_high      Image resolution too high
    invalid_size             Invalid value for parameter 'size'
    invalid_format           Invalid format parameter given
    invalid_channels         Invalid value for parameter 'channels'
    invalid_crop_margin      Invalid crop_margin parameter given
    invalid_position         Invalid position parameter given
    invalid_scale            Invalid scale parameter given
    invalid_semitransparency Invalid semitransparency parameter given
    invalid_roi              Invalid roi parameter given
    roi_exceeds_bounds       ROI exceeds image bounds
    roi_region_empty         ROI region is empty
    multiple_bg_sources      Multiple background sources given: Please provide either the \
bg_color, the bg_image_url or the bg_image_file parameter.
    invalid_bg_color         Invalid bg_color parameter given
    invalid_bg_image_url     Invalid bg_image_url: Please provide a valid URL.
    failed_bg_download       Failed to download background image from given bg_image_url
    unknown_foreground       Could not identify foreground in image.
"""


def read(**sent: str) -> fields.RemovalOptions:
    return fields.parse(
        sent,
        has_image=True,
        has_background=False,
        outbound=OutboundRules(()),
        takes_any_subject=True,
        size=(1000, 800),
    )


@pytest.mark.parametrize("line", TITLES.strip().splitlines())
def test_error_is_a_400_with_its_title_and_detail(line: str) -> None:
    code, _, title = line.strip().partition(" ")

    answer = error_response(refusal(code, "what was expected"))

    expected = {"title": title.strip(), "code": code, "detail": "what was expected"}
    assert (answer.status_code, json.loads(answer.body)) == (400, {"errors": [expected]})
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize(
    ("error", "status", "title", "retry_after"),
    [
        (refusal("insufficient_credits", "spent"), 402, "Insufficient credits", None),
        (Unauthorized("no key"), 403, "API Key invalid", None),
        (RateLimited("slow", retry_after_seconds=7), 429, "Rate limit exceeded", "7"),
    ],
    ids=["402", "403", "429"],
)
def test_other_error_has_its_status_and_title(
    error: Error, status: int, title: str, retry_after: str | None
) -> None:
    answer = error_response(error)

    assert (answer.status_code, json.loads(answer.body)["errors"][0]["title"]) == (status, title)
    assert answer.headers.get("Retry-After") == retry_after


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("crop_margin", value) for value in ("500px", "50%", "500px 50%", "1 2% 3px 4")),
        *(("scale", value) for value in ("original", "10%", "100%", "33.5%")),
        *(("position", value) for value in ("original", "0%", "100%", "0% 100%")),
        *(("roi", value) for value in ("0px 0px 1000px 800px", "10% 5px 50% 9")),
        *(("shadow_opacity", value) for value in ("0", "100", "50%")),
        ("bg_color", "81d4fa"),
        ("shadow_method", "latest"),
    ],
)
def test_value_within_its_limits_is_accepted(field: str, value: str) -> None:
    assert read(crop="true", **{field: value})


@pytest.mark.parametrize(
    ("type_", "level", "object_type"),
    [
        ("product", "1", "product"),
        ("animal", "1", "animal"),
        ("car", "1", "car"),
        ("car_interior", "1", "car"),
        ("transportation", "1", "other"),
        ("graphic", "1", "other"),
        ("auto", "1", "other"),
        ("car_part", "2", "car_part"),
        ("transportation", "2", "transportation"),
        ("graphic", "latest", "graphics"),
        ("auto", "latest", "other"),
        ("product", "none", ""),
    ],
)
def test_object_has_the_class_of_its_level(type_: str, level: str, object_type: str) -> None:
    assert read(type=type_, type_level=level).object_type == object_type
