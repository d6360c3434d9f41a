"""Malformed requests for choices of photos."""

import uuid

from integration.malformed.rows import (
    MEDIA,
    RECIPE,
    Row,
    header_rows,
    json_row,
    parameter_rows,
    raw_row,
    text,
)

_CREATE = "POST /v1/choices"
_DERIVE = "POST /v1/choices/{choice_id}/derive"
_STEPS = ("delete", "cancel", "redrive", "discard")
_FILES = (
    "GET /v1/choices/{choice_id}/pictures",
    "GET /v1/choices/{choice_id}/zip",
)

CHOICES = (
    raw_row(_CREATE, "broken JSON", b"{"),
    raw_row(
        _CREATE, "text", b"all", "/Content-Type", MEDIA, headers={"Content-Type": "text/plain"}
    ),
    json_row(_CREATE, "unknown field", {"every": True}, "/every"),
    json_row(_CREATE, "number for a truth value", {"all": 1}, "/all"),
    json_row(_CREATE, "unknown state", {"all": True, "state": "lost"}, "/state"),
    json_row(_CREATE, "empty name", {"all": True, "name": ""}, "/name"),
    json_row(_CREATE, "name with a NUL", {"all": True, "name": "a\0"}, "/name"),
    json_row(_CREATE, "photo that is no id", {"photos": ["mine"]}, "/photos/0"),
    json_row(_CREATE, "801 photos", {"photos": [str(uuid.UUID(int=7))] * 801}, "/photos"),
    json_row(_CREATE, "exception that is no id", {"all": True, "except": [1]}, "/except/0"),
    json_row(
        _DERIVE,
        "unknown field of the recipe",
        {"recipe": {"formt": "png"}},
        "/formt",
        answer=RECIPE,
    ),
    *parameter_rows(_DERIVE, "leave_out", "A b"),
    *parameter_rows(_DERIVE, "cursor", "x"),
    *header_rows(_DERIVE, "Idempotency-Key", "k" * 256, content=text({"recipe": {}})),
    *(
        row
        for step in _STEPS
        for row in parameter_rows(f"POST /v1/choices/{{choice_id}}/{step}", "cursor", "x")
    ),
    *parameter_rows(_FILES[0], "cursor", "x"),
    *(
        Row(
            "unknown placeholder",
            operation,
            *RECIPE,
            pointers=("/filename",),
            params=(("filename", "{nonsense}"),),
        )
        for operation in _FILES
    ),
)
