"""Errors of pydantic are described in the API's own words."""

import json
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smart_filter_api.http import strict_json
from smart_filter_api.intake import json_document
from smart_filter_api.problems.validation import describe_document_error
from smart_filter_api.schemas.submissions import CorrectionRequest
from smart_filter_shared.errors import FieldError, InvalidRequest, MalformedRequest


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int = Field(default=1, ge=1, le=9)


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["matte", "label"] = "matte"
    recipe: dict[str, int] | None = None
    inner: list[Inner] = Field(default_factory=list, max_length=1)
    text: Annotated[str, Field(min_length=1, max_length=3, pattern="^[a-z]*$")] = "a"
    width: float = Field(default=1, gt=0, allow_inf_nan=False)
    flag: bool = True


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"kind": "mate"}, "'mate' is not one of matte, label; did you mean matte?"),
        ({"kind": 1}, "1 is not one of matte, label"),
        ({"inner": [{"number": 10}]}, "inner.0.number is 10; the maximum is 9"),
        ({"inner": [{"number": 0}]}, "inner.0.number is 0; the minimum is 1"),
        ({"inner": [{"number": "x"}]}, "inner.0.number is not an integer"),
        ({"inner": [{"nmber": 1}]}, "inner.0.nmber is not a field of this document; did you"),
        ({"inner": [3]}, "inner.0 is not an object"),
        ({"inner": [{}, {}]}, "inner has more than 1 item"),
        ({"inner": 1}, "inner is not a list"),
        ({"text": ""}, "text has fewer than 1 character"),
        ({"text": "abcd"}, "text has more than 3 characters"),
        ({"text": "A"}, "text does not match the pattern '^[a-z]*$'"),
        ({"text": 1}, "text is not a string"),
        ({"width": 0}, "width is 0; it must be more than 0"),
        ({"width": float("inf")}, "width is not a number"),
        ({"inner": [{"number": 10**400}]}, f"inner.0.number is 1{'0' * 59}…; the maximum is 9"),
        ({"z" * 10_000: 1}, f"{'z' * 100}… is not a field of this document; it has kind"),
        ({"flag": "perhaps"}, "flag is neither true nor false"),
        ({"txt": "a"}, "txt is not a field of this document; did you mean text?"),
        ({"zzz": 1}, "zzz is not a field of this document; it has kind, recipe, inner"),
        ({"background": "keep"}, "background is a recipe field: put it under `recipe`"),
        ({"filters.hat.kind": "x"}, "filters.hat.kind is a recipe field: put it under `recipe`"),
    ],
)
def test_error_is_a_sentence(document: dict[str, object], sentence: str) -> None:
    faults = describe(document)

    assert faults.sentence.startswith(sentence)


def test_document_with_very_many_errors_names_none_of_them() -> None:
    stroke = {"points": [["x", 2]] * 2000, "width": 3, "keep": True}
    asked = {"kind": "matte", "stage": "segmentation", "consent": True, "strokes": [stroke] * 11}

    with pytest.raises(InvalidRequest) as refusal:
        json_document.parse_document(CorrectionRequest, json.dumps(asked).encode())

    assert [error.pointer for error in refusal.value.errors] == [""]
    assert "more than 20000 errors" in refusal.value.errors[0].detail


@pytest.mark.parametrize("number", [10**20, -(10**19)])
def test_integer_of_too_many_digits_is_refused(number: int) -> None:
    with pytest.raises(MalformedRequest, match="an integer has more than 20 characters"):
        strict_json.read_object(b'{"quality": %d}' % number)


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63)])
def test_integer_of_64_bits_is_read(number: int) -> None:
    assert strict_json.read_object(b'{"quality": %d}' % number) == {"quality": number}


def describe(document: dict[str, object]) -> FieldError:
    with pytest.raises(ValidationError) as refusal:
        Document.model_validate(document)
    (error,) = refusal.value.errors()
    return describe_document_error(error, Document)
