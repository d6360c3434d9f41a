import pytest

from smart_filter_api.removebg import answer, fields
from smart_filter_api.removebg.errors import SLOW_SECONDS, RequestRefused, error_response
from smart_filter_shared.errors import FieldError, NotAvailable
from smart_filter_shared.recipe.fields import parse as read_recipe
from smart_filter_shared.security.outbound_rules import OutboundRules

WIDE = (1000, 500)
PUBLIC = OutboundRules(())
CUT_OUT = {
    "background": "transparent",
    "outputs": "image",
    "format": "auto",
    "size": "preview",
    "roi": "0% 0% 100% 100%",
    "crop": False,
    "margin": "0px",
    "aspect": "original",
    "scale": "original",
    "position": "original",
    "shadow": "none",
    "outline": "none",
    "light_wrap": 0,
    "harmonize": 0,
    "subject": "auto",
    "priority": "interactive",
}


def wanted_image(*, background: bool = False, **sent: str) -> fields.RemovalOptions:
    return fields.parse(
        sent,
        has_image=True,
        has_background=background,
        outbound=PUBLIC,
        takes_any_subject=True,
        size=WIDE,
    )


def codes(*, image: bool = True, background: bool = False, **sent: str) -> list[str]:
    with pytest.raises(RequestRefused) as caught:
        fields.parse(
            sent,
            has_image=image,
            has_background=background,
            outbound=PUBLIC,
            takes_any_subject=True,
            size=WIDE,
        )
    return [fault.code for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("sent", "recipe"),
    [
        ({}, {}),
        *[({"size": size}, {"size": "preview"}) for size in ("small", "regular", "preview")],
        *[({"size": size}, {"size": "full"}) for size in ("full", "auto", "4k", "50MP")],
        ({"size": "medium"}, {"size": "medium"}),
        ({"format": "webp"}, {"format": "webp"}),
        ({"format": "jpg"}, {"format": "jpg", "background": "color:white"}),
        (
            {"format": "jpg", "bg_color": "ff000080"},
            {"format": "jpg", "background": "color:#ff7f7f"},
        ),
        ({"format": "zip"}, {"outputs": "zip"}),
        ({"channels": "alpha"}, {"outputs": "matte"}),
        ({"channels": "alpha", "format": "zip"}, {"outputs": "zip"}),
        ({"channels": "alpha", "bg_color": "red"}, {"outputs": "matte"}),
        ({"bg_color": "#FFF"}, {"background": "color:#FFF"}),
        ({"bg_color": "81d4fa77"}, {"background": "color:#81d4fa77"}),
        ({"bg_color": "fff8"}, {"background": "color:#fff8"}),
        ({"bg_color": "Green"}, {"background": "color:green"}),
        ({"bg_color": "transparent"}, {"background": "transparent"}),
        ({"bg_image_url": "https://a.example/b"}, {"background": "url:https://a.example/b"}),
        ({"crop": "true"}, {"crop": True}),
        ({"crop": "1", "crop_margin": "30px 10%"}, {"crop": True, "margin": "30px 10%"}),
        ({"crop": "true", "crop_margin": "0"}, {"crop": True, "margin": "0"}),
        ({"crop_margin": "30px"}, {"crop": False, "margin": "0px"}),
        ({"scale": "80%"}, {"scale": "80%", "position": "center"}),
        ({"scale": "80%", "position": "10% 90%"}, {"scale": "80%", "position": "10% 90%"}),
        ({"position": "center"}, {"position": "center", "scale": "original"}),
        ({"roi": "10% 20px 90% 400px"}, {"roi": "10% 20px 90% 400px"}),
        ({"roi": "0 0 100% 100%"}, {"roi": "0px 0px 100% 100%"}),
        ({"add_shadow": "true"}, {"shadow": "contact:0.5"}),
        ({"shadow_type": "drop", "shadow_opacity": "30"}, {"shadow": "drop:0.3"}),
        ({"shadow_type": "3D"}, {"shadow": "contact:0.5"}),
        ({"shadow_type": "car", "shadow_opacity": "100"}, {"shadow": "contact:1"}),
        ({"shadow_type": "none", "shadow_opacity": "20"}, {}),
        ({"type": "person"}, {"subject": "people"}),
        *[({"type": type_}, {"subject": "any"}) for type_ in ("product", "car", "animal", "other")],
        # Accepted and without effect.
        ({"type": "auto"}, {}),
        ({"semitransparency": "false"}, {}),
        ({"shadow_method": "legacy"}, {}),
        ({"what_comes_later": "x"}, {}),
    ],
)
def test_field_becomes_a_recipe(sent: dict[str, str], recipe: dict[str, object]) -> None:
    options = wanted_image(**sent)

    assert options.recipe == {**CUT_OUT, **recipe, "filters": []}
    assert read_recipe(options.recipe, offered={}, with_background_file=False)


@pytest.mark.parametrize(
    ("sent", "given"),
    [
        ({}, {}),
        ({"size": "hd"}, {"size": "hd"}),
        ({"format": "jpg"}, {"format": "jpg"}),
        ({"bg_color": "fff", "format": "jpg"}, {"format": "jpg", "background": "color:#fff"}),
        ({"crop": "true"}, {"crop": True, "margin": "0px"}),
    ],
)
def test_saved_recipe_gives_way_to_what_was_sent(
    sent: dict[str, str], given: dict[str, object]
) -> None:
    options = wanted_image(recipe="shop", **sent)

    always = {"recipe": "shop", "outputs": "image", "priority": "interactive"}
    assert options.recipe == {**always, **given}
    assert options.implied.keys() == wanted_image(**sent).recipe.keys() - options.recipe.keys()


# A code, and the fields that are refused with it.
WRONG = """
    invalid_size                size=huge
    invalid_type                type=ghost
    invalid_type_level          type_level=3
    invalid_format              format=gif
    invalid_channels            channels=rgb
    invalid_crop                crop=maybe
    invalid_crop_margin         crop_margin=50.1%
    invalid_crop_margin         crop_margin=500.1px
    invalid_crop_margin         crop_margin=-1px
    invalid_crop_margin         crop_margin=1px 2px 3px
    invalid_crop_margin         crop_margin=1 2 3 4 5
    invalid_scale               scale=0%
    invalid_scale               scale=9.9%
    invalid_scale               scale=100.1%
    invalid_scale               scale=50px
    invalid_position            position=left
    invalid_position            position=-1%
    invalid_position            position=100.1%
    invalid_position            position=10% 20% 30%
    invalid_semitransparency    semitransparency=half
    invalid_add_shadow          add_shadow=some
    invalid_shadow_type         shadow_type=long
    invalid_shadow_opacity      shadow_opacity=-1
    invalid_shadow_opacity      shadow_opacity=100.1
    invalid_shadow_opacity      shadow_opacity=dark
    invalid_roi                 roi=0% 0% 100%
    invalid_roi                 roi=a b c d
    roi_exceeds_bounds          roi=0px 0px 1001px 10px
    roi_exceeds_bounds          roi=0px 0px 800px 800px
    roi_exceeds_bounds          roi=-1px 0px 10px 10px
    roi_exceeds_bounds          roi=0% 0% 101% 100%
    roi_region_empty            roi=50% 0% 50% 100%
    roi_region_empty            roi=0px 90px 10px 80px
    invalid_bg_color            bg_color=12345
    invalid_bg_color            bg_color=rgb(1,2,3)
    invalid_bg_color            bg_color=nocolour
    invalid_bg_image_url        bg_image_url=ftp://a.example
    failed_bg_download          bg_image_url=http://10.0.0.1/
    multiple_bg_sources         bg_image_url=https://a.example&bg_color=red
    multiple_sources            image_url=https://a.example
"""


@pytest.mark.parametrize("line", WRONG.strip().splitlines())
def test_wrong_field_has_its_code(line: str) -> None:
    code, _, fields_sent = line.strip().partition(" ")
    sent = dict(field.split("=", 1) for field in fields_sent.strip().split("&"))

    assert codes(**sent) == [code]


def test_request_without_an_image_is_refused() -> None:
    assert codes(image=False) == ["missing_source"]
    assert codes(image=False, image_url="no address") == ["invalid_image_url"]
    assert codes(image=False, image_url="http://[::1]/") == ["failed_image_download"]


def test_all_faults_are_named_together() -> None:
    named = codes(size="x", format="y", bg_color="red", background=True)

    assert named == ["multiple_bg_sources", "invalid_format", "invalid_size"]


def test_region_fits_a_photo_of_unknown_orientation_and_size() -> None:
    tall = fields.parse_region("0px 0px 400px 900px")

    assert tall.fault_in_any_orientation(WIDE) is None
    assert tall.fault(*WIDE) is not None
    assert tall.fault_in_any_orientation(None) is None
    for no_photo_fits in ("0% 0% 120% 100%", "20px 0% 10px 100%"):
        assert fields.parse_region(no_photo_fits).fault_in_any_orientation(None)


def test_model_without_a_worker_is_temporarily_unavailable() -> None:
    answer = error_response(NotAvailable([FieldError("/segmentation/model", "no pool offers it")]))

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == str(SLOW_SECONDS)


@pytest.mark.parametrize(
    ("accept", "wants_json"),
    [
        ("Application/JSON; q=0.5", True),
        ("application/json, text/plain, */*", True),
        *((text, False) for text in ("", "*/*", "image/*, application/json")),
        *((f"application/json;q={q}, image/png;q=0.5", False) for q in ("0", "0.4", "x")),
    ],
)
def test_json_is_sent_to_clients_that_prefer_it(accept: str, *, wants_json: bool) -> None:
    assert answer.wants_json(accept) is wants_json
