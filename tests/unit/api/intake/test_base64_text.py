import base64
import json
import random
from urllib.parse import quote

import pytest

from smart_filter_api.http import strict_json
from smart_filter_api.intake import json_body
from smart_filter_api.removebg import body as removebg_body
from smart_filter_shared.errors import MalformedRequest

# One byte over whole groups, with every letter of both alphabets.
PHOTO = random.Random(0).randbytes(3 * 1000 + 1)
TEXT = base64.b64encode(PHOTO).decode()
LINES_OF_64 = "\r\n".join(TEXT[start : start + 64] for start in range(0, len(TEXT), 64))
FORMS = {
    "plain": TEXT,
    "lines of mail": base64.encodebytes(PHOTO).decode(),
    "lines of 64 with CRLF": LINES_OF_64 + "\r\n",
    "URL-safe": base64.urlsafe_b64encode(PHOTO).decode(),
    "URL-safe and unpadded": base64.urlsafe_b64encode(PHOTO).decode().rstrip("="),
    "unpadded": TEXT.rstrip("="),
    "half padded": TEXT.removesuffix("="),
    "data URL": f"data:image/jpeg;base64,{TEXT}",
    "indented": f"\n\t  {TEXT}  \n",
}
ESCAPES = {
    "plain": {},
    ".NET": dict.fromkeys("+", r"\u002B"),
    "Gson": dict.fromkeys("=", r"\u003d"),
}
ESCAPES["slashes"] = dict.fromkeys("/", r"\/")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("writer", ESCAPES)
def test_json_can_hold_base64_as_any_library_writes_it(form: str, writer: str) -> None:
    written = json.dumps(FORMS[form]).translate(str.maketrans(ESCAPES[writer]))

    sent = json_body.parse_submission(b'{"photo_base64": %b}' % written.encode())

    assert sent.photo == PHOTO


@pytest.mark.parametrize("form", FORMS)
def test_form_can_hold_base64_as_any_library_writes_it(form: str) -> None:
    image, _ = removebg_body.split_image(f"image_file_b64={quote(FORMS[form], safe='')}".encode())

    assert json_body.decode_photo(image) == PHOTO


@pytest.mark.parametrize(
    "text",
    [
        "%%%",
        "Q",
        "=",
        "QQ=A",
        "QQ==QQ==",
        "QUJD*",
        "QUJDé",
        "\\",
        "\\x41",
        "\\u12",
        '"',
        "data:,QUJD",
    ],
)
def test_other_text_is_refused_with_what_to_send(text: str) -> None:
    with pytest.raises(MalformedRequest, match="send the bytes of the file as base64") as refused:
        strict_json.decode_base64(text.encode(), "mask")

    assert refused.value.errors[0].pointer == "/mask"


@pytest.mark.parametrize("escaped", [json.dumps(LINES_OF_64)[1:-1], quote(LINES_OF_64, safe="")])
def test_longest_form_of_a_picture_is_within_the_limit_of_its_text(escaped: str) -> None:
    assert len(TEXT) < len(escaped) <= strict_json.max_text_bytes(len(PHOTO))


@pytest.mark.parametrize("before", [0, 1, 2, 3, 4, 5, 6])
def test_escapes_across_pieces_are_read(before: int) -> None:
    text = b"A" * ((1 << 20) - before) + rb"\u002B" * 4
    text += b"A" * (-before % 4)

    photo = strict_json.decode_base64(text, "photo_base64")

    plain = text.replace(rb"\u002B", b"+")
    assert photo == base64.b64decode(plain + b"=" * (-len(plain) % 4))


def test_white_space_after_the_padding_may_fill_pieces() -> None:
    assert strict_json.decode_base64(b"QQ==" + b"\n" * (3 << 20), "photo_base64") == b"A"
