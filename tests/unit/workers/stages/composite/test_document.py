"""Photos for documents: the place of the head, the checks, the sheet."""

import io
from collections.abc import Mapping
from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
from PIL import Image

from smart_filter_shared.errors import DocumentRefused
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.recipe import DocumentPhoto, Require, Sheet
from smart_filter_shared.recipe.document_photos import document_photos
from smart_filter_shared.results import FaceQuality, Faces, Head, Smile, Smiles
from smart_filter_tests.composite_jobs import a_job, composite
from smart_filter_tests.recipes import parse_fields
from smart_filter_wire.findings import Eyes
from smart_filter_wire.printability import CheckVerdict
from smart_filter_workers.results import (
    CompositeResult,
    MatteDrawing,
    PreparedPhoto,
    Segmentation,
    Stroke,
)
from smart_filter_workers.stages.composite.document import head_frame, print_sheet
from smart_filter_workers.stages.composite.document.checks import LIMITS
from smart_filter_workers.stages.composite.document.head_frame import HeadSpan
from smart_filter_workers.stages.composite.document.skin import measure_skin
from unit.drawn_portrait import a_face, a_portrait

ROWS = document_photos()
# A head of 230 pixels with little hair.
SPAN = HeadSpan(hair=95, skull=100, eyes=215, chin=330, middle=400)
HEAD = Head((0, 0), (0, 0), (0, 0), yaw=0, pitch=0, roll=0, mouth_open=0)
REMOVES_HAIR = Stroke(((480, 270), (620, 270)), width=60, keep=False)
OPEN = Eyes(left_open=True, right_open=True)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("hair", [95, 75, 40])
def test_head_is_where_the_document_wants_it(name: str, hair: float) -> None:
    document, span = ROWS[name], replace(SPAN, hair=hair)

    frame = head_frame.compute_frame(document, span)

    per_mm = frame.height / document.size[1]
    top, eyes, chin = (
        frame.place((0, row))[1] / per_mm for row in (span.top(document), span.eyes, span.chin)
    )
    assert document.head[0] <= round(chin - top, 3) <= document.head[1]
    for place, allowed in ((document.size[1] - eyes, document.eyes), (top, document.above)):
        assert allowed is None or allowed[0] <= round(place, 3) <= allowed[1]
    assert frame.place((span.middle, 0))[0] == pytest.approx(frame.width / 2)
    assert document.heights[0] <= frame.height <= document.heights[1]


def test_hair_is_kept_inside_as_far_as_is_allowed() -> None:
    frame = head_frame.compute_frame(ROWS["uk"], replace(SPAN, hair=55))

    assert frame.place((0, 55))[1] >= 0


def portrait(
    document: str = "schengen",
    *,
    head: Head | None = HEAD,
    eyes: Eyes = OPEN,
    level: SmileLevel = SmileLevel.NONE,
    light: float = 1.0,
    lit: float = 0.5,
    y: float = 260,
    other_x: float | None = None,
    bar: int = 0,
    slant: float = 0.0,
    stroke: Stroke | None = None,
    hole: int = 1,
    noise: float = 0.0,
    alpha: int = 0,
    enlarged: int = 1,
    needs_review: bool = False,
    heights: tuple[int, int] = (531, 1063),
    **recipe: str,
) -> CompositeResult:
    """Composite a drawn portrait.  light: right of the lit share of the face, as a share of it.

    y: of the face.  other_x: of another's face, who is not kept.  bar, alpha: rows that are white,
    and transparent.  slant: of their edge, in degrees; a model goes on with the head there.
    hole: the diameter of a transparent one in the face.  enlarged: how many times before.
    needs_review: whether the models disagree.  heights: of the document `schengen`.
    """
    face = a_face(x=420, y=y, width=260)
    others = () if other_x is None else (a_face(x=other_x, y=y, width=200),)
    srgb, matte = a_portrait(face, noise=noise)
    srgb = np.array(srgb)
    x, top, width, height = map(int, face.box)
    matte[top : top + width // 2] = 0
    cv2.circle(matte, (x + width // 2, top + width // 2), width // 2, 255, -1)
    shade = srgb[top : top + height, x + int(lit * width) : x + width]
    shade[:] = (shade * light).astype(np.uint8)
    if head is not None:
        chin, eyes_line, hairline = ((550.0, y + row * height) for row in (1.0, 0.45, 0.1))
        head = replace(head, chin=chin, eyes=eyes_line, hairline=hairline)
    rows, columns = np.indices(matte.shape)
    height_of = rows - np.tan(np.radians(slant)) * (columns - 550)
    srgb[height_of < bar] = 255
    matte[: 0 if slant else max(bar, alpha)] = 0
    small = cv2.resize(srgb, None, fx=1 / enlarged, fy=1 / enlarged, interpolation=cv2.INTER_AREA)
    srgb = np.asarray(cv2.resize(small, srgb.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
    opaque = np.where(height_of < alpha, 0, 255).astype(np.uint8)
    cv2.circle(opaque, (550, int(y) + 160), hole // 2, 0, -1)
    inputs = a_job("color:#e6e6e6")
    size = {"width": srgb.shape[1], "height": srgb.shape[0]}
    asked = parse_fields(document=document, **{"outputs": "image", **recipe})
    row = asked.framing.document
    if document == "schengen" and row is not None:
        row = replace(row, heights=heights)
        asked = replace(asked, framing=replace(asked.framing, document=row))
    return composite(
        replace(
            inputs,
            photo=replace(inputs.photo, srgb=srgb, alpha=opaque if alpha or hole > 1 else None),
            prepared=PreparedPhoto(**size, format="jpg", proxy_srgb=srgb),
            segmented=Segmentation(
                matte=matte,
                coverage=float((matte > 127).mean()),
                needs_review=needs_review,
            ),
            faces=Faces((face, *others)),
            smiles=Smiles(
                (Smile(level, 0.0),) * (1 + len(others)),
                (eyes,) * (1 + len(others)),
                (FaceQuality(head=head),) * (1 + len(others)),
            ),
            drawn=() if stroke is None else (MatteDrawing(strokes=(stroke,)),),
            recipe=asked,
        )
    )


def verdicts(made: CompositeResult) -> Mapping[str, CheckVerdict]:
    assert made.document_report is not None
    return {check.name: check.verdict for check in made.document_report.checks}


@pytest.mark.parametrize(
    ("fault", "check", "verdict"),
    [
        ({"head": replace(HEAD, roll=-7.0)}, "roll", CheckVerdict.UNSURE),
        ({"head": replace(HEAD, roll=20.0)}, "roll", CheckVerdict.FAIL),
        ({"head": replace(HEAD, yaw=25.0)}, "yaw", CheckVerdict.FAIL),
        ({"head": replace(HEAD, pitch=-25.0)}, "pitch", CheckVerdict.FAIL),
        ({"head": replace(HEAD, mouth_open=0.2)}, "mouth", CheckVerdict.FAIL),
        ({"head": None}, "head_height", CheckVerdict.FAIL),
        ({"eyes": Eyes(left_open=True, right_open=None)}, "eyes", CheckVerdict.UNSURE),
        ({"eyes": Eyes(left_open=False, right_open=True)}, "eyes", CheckVerdict.FAIL),
        ({"level": SmileLevel.HUGE}, "mouth", CheckVerdict.FAIL),
        ({"light": 0.5}, "even_light", CheckVerdict.UNSURE),
        ({"background": "color:#3060c0"}, "background", CheckVerdict.FAIL),
        ({"background": "transparent", "format": "png"}, "background", CheckVerdict.FAIL),
        ({"bar": 290}, "head_inside", CheckVerdict.FAIL),
        ({"alpha": 300, "slant": 30}, "head_inside", CheckVerdict.FAIL),
        ({"bar": 300, "slant": -35}, "head_inside", CheckVerdict.FAIL),
        ({"stroke": REMOVES_HAIR}, "head_inside", CheckVerdict.FAIL),
        ({"roi": "0px 290px 640px 480px"}, "head_inside", CheckVerdict.FAIL),
        ({"hole": 80}, "head_inside", CheckVerdict.FAIL),
        ({"document": "china"}, "file_size", CheckVerdict.FAIL),
        ({"other_x": 10}, "one_face", CheckVerdict.UNSURE),
        ({"other_x": -900}, "one_face", CheckVerdict.UNSURE),
        ({"lit": 0.25, "light": 0.1}, "exposure", CheckVerdict.UNSURE),
        ({"enlarged": 2}, "detail", CheckVerdict.FAIL),
        ({"enlarged": 4, "heights": (100, 1200)}, "detail", CheckVerdict.FAIL),
    ],
)
def test_fault_is_found_by_its_check(
    fault: dict[str, object], check: str, verdict: CheckVerdict
) -> None:
    plain = verdicts(portrait())
    made = portrait(**fault)  # type: ignore[arg-type]  # each is an argument of `portrait`

    assert plain[check] == CheckVerdict.PASS
    assert verdicts(made)[check] == verdict
    assert made.document_report is not None
    found = next(each for each in made.document_report.checks if each.name == check)
    assert found.remedy


def test_job_whose_document_was_removed_is_refused() -> None:
    inputs = a_job()
    document = replace(ROWS["us"], name="club")
    framing = replace(inputs.recipe.framing, document=document)

    with pytest.raises(DocumentRefused, match="club was removed"):
        composite(replace(inputs, recipe=replace(inputs.recipe, framing=framing)))


def test_stroke_that_paints_the_background_is_named() -> None:
    paints = Stroke(((560, 150),), width=60, keep=True)

    assert verdicts(portrait(stroke=paints))["outline"] == CheckVerdict.UNSURE


@pytest.mark.parametrize(("background", "is_shown"), [("color:#ffffff", True), ("keep", False)])
def test_disputed_cut_out_is_unsure_where_it_shows(background: str, *, is_shown: bool) -> None:
    checks = verdicts(portrait(needs_review=True, background=background))

    assert ("outline" in checks) == is_shown


def test_black_and_white_photo_fails_and_headwear_is_asked() -> None:
    # The drawn portrait is gray.
    checks = verdicts(portrait())

    assert (checks["color"], checks["headwear"]) == (CheckVerdict.FAIL, CheckVerdict.ASK)


def test_file_and_background_are_not_blamed_where_no_face_is_seen() -> None:
    checks = verdicts(portrait("china", head=None))

    assert not {"file_size", "background"} & checks.keys()


def test_smile_is_allowed_on_a_badge() -> None:
    assert "mouth" not in verdicts(portrait("badge", level=SmileLevel.HUGE))


def test_person_measures_the_crown_under_hair() -> None:
    made = portrait(stroke=Stroke(((550, 220),), width=160, keep=True))
    assert made.document_report is not None
    height = next(each for each in made.document_report.checks if each.name == "head_height")

    assert height.verdict == CheckVerdict.ASK
    assert height.measured == "31.5 mm ± 1.0 by proportion, the hair hides the crown"
    assert height.remedy is not None
    assert height.remedy.endswith("from the chin to the skull's top under the hair: 31.5 to 36 mm.")


def test_required_pass_fails_with_the_checks_and_the_report() -> None:
    closed = Eyes(left_open=False, right_open=False)

    with pytest.raises(DocumentRefused, match="roll, eyes") as refused:
        portrait(require=Require.PASS, head=replace(HEAD, roll=20.0), eyes=closed)

    assert refused.value.report is not None


@pytest.mark.parametrize("format_", ["jpg", "png"])
def test_image_has_the_print_resolution(format_: str) -> None:
    made = portrait("india", format=format_)

    assert made.image is not None
    picture = Image.open(io.BytesIO(made.image.content))
    assert round(picture.info["dpi"][1]) == ROWS["india"].dots_per_inch(picture.height)


def test_file_is_compressed_no_more_than_the_document_allows() -> None:
    least = ROWS["us"].least_bytes(600, 600)

    made = portrait("us", noise=12.0)

    assert least == 54_000
    assert made.image is not None
    assert made.image.height == 600
    assert 1.0 <= len(made.image.content) / least < 1.15
    assert verdicts(made)["file_size"] == CheckVerdict.PASS


@pytest.mark.parametrize(
    ("name", "paper", "count"),
    [("uk", Sheet.CM_10X15, 6), ("us", Sheet.IN_4X6, 2)],
)
def test_sheet_has_as_many_photos_as_fit_in_their_size(name: str, paper: Sheet, count: int) -> None:
    document: DocumentPhoto = ROWS[name]
    width, height = document.fit_pixels(0)
    photo = np.zeros((height, width, 3), np.uint8)

    sheet = print_sheet.draw(photo, document, paper)

    per_mm = height / document.size[1]
    sides = sorted(round(side / per_mm, 0) for side in sheet.shape[:2])
    assert sides == sorted(round(side, 0) for side in print_sheet.PAPERS_MM[paper])
    assert np.count_nonzero(sheet[..., 0] == 0) == count * width * height
    assert sheet[0, 0].tolist() == [255, 255, 255]


def test_sheet_is_an_output() -> None:
    made = portrait(outputs="sheet", sheet="a4")

    assert made.image is None
    assert made.sheet is not None
    assert made.sheet.format == "jpg"


@pytest.mark.parametrize(
    ("part", "color", "found"),
    [
        ("", "200 150 130", ""),
        ("brow", "90 65 55", "is_uneven"),
        ("lips", "120 160 200", "hides_mouth"),
        ("lips", "200 150 130", "hides_mouth"),
        ("chin", "150 190 215", "hides_mouth"),
        ("chin", "215 215 215", "hides_mouth"),
        ("chin", "30 30 30", "hides_mouth"),
        ("eyes", "60 45 70", "hides_eyes"),
        ("", "120 150 80", "is_tinted"),
    ],
)
def test_face_shows_its_skin(part: str, color: str, found: str) -> None:
    face = a_face(x=420, y=260, width=260)
    srgb = np.full((700, 1100, 3), (200, 150, 130), np.uint8)
    (_, eyes), (_, mouth) = face.landmarks[0], face.landmarks[3]
    srgb[int(mouth) - 4 : int(mouth) + 4] = 130, 80, 80
    srgb[int(eyes) - 2 : int(eyes) + 8] = 40, 30, 25
    rows = {
        "brow": slice(int(eyes) - 2),
        "eyes": slice(int(eyes) - 30, int(eyes) + 30),
        "lips": slice(int(mouth) - 30, None),
        "chin": slice(int(mouth) + 8, None),
    }
    srgb[rows.get(part, slice(int(eyes) + 10, int(mouth) - 30))] = color.split()

    skin = asdict(measure_skin(srgb, face))
    skin = {"is_uneven": skin.pop("darker") > LIMITS["even_light"][0], **skin}
    assert [name for name, is_so in skin.items() if is_so] == found.split()
