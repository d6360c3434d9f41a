"""Recipes that cannot be served, sent to POST /v1/jobs as a form.

The rules of each field are those of `tests/unit/test_recipe*.py`; here are the names, and a value
of each kind of field.
"""

from collections.abc import Sequence

from smart_filter_tests.malformed.rows import (
    CONTRADICTION,
    END,
    FORM,
    RECIPE,
    Row,
    fields,
    part,
    photo,
)


def _named(name: str, field: str, pointer: str) -> Row:
    """Return a row whose field's name is odd."""
    body = photo() + part(field, "1") + END
    return Row(name, "POST /v1/jobs", *RECIPE, pointers=(pointer,), headers=FORM, content=body)


def _row(
    name: str,
    answer: tuple[int, str] = RECIPE,
    pointers: Sequence[str] | None = None,
    **values: str | Sequence[str],
) -> Row:
    """Return a row whose every field is at fault, unless pointers say otherwise."""
    named = [f"/{field.replace('__', '/')}" for field in values]
    return Row(
        name,
        "POST /v1/jobs",
        *answer,
        pointers=named if pointers is None else pointers,
        headers=FORM,
        content=fields(**values),
    )


RECIPES = (
    _named("Cyrillic letter in a name", "qu\u0430lity", "/qu\u0430lity"),
    _named("NUL in a name", "quality\0", "/quality\0"),
    _named("name with a slash", "a/b", "/a~1b"),
    _named("empty name", "", "/"),
    _named("prototype", "__proto__.x", "/__proto__/x"),
    _named("metadata key with a space", "metadata.a b", "/metadata/a b"),
    _named("metadata key of 65", f"metadata.{'k' * 65}", f"/metadata/{'k' * 65}"),
    _named("metadata without a key", "metadata.", "/metadata/"),
    _row("quality in full-width digits", quality="\uff19\uff10"),
    _row("quality with a NUL", quality="90\0"),
    _row("quality twice", quality=["80", "90"]),
    _row("seed of 4000 digits", seed="9" * 4000),
    _row("outputs of nothing", outputs=""),
    _row("preset of a path", background="preset:../../etc/passwd"),
    _row("preset of another tenant", background="preset:tenant/theirs"),
    _row("blur of NaN", background="blur:nan"),
    _row("file that did not come", background="file", pointers=["/background_file"]),
    _row("background at a password", background="url:https://user:secret@example.org/a.jpg"),
    _row("webhook at a file", webhook_url="file:///etc/passwd"),
    _row("webhook twice", webhook_url=["https://example.org/", "https://example.org/"]),
    _row("caption without text", filters="caption", pointers=["/filters/caption/text"]),
    _row("parameter of a filter not asked for", filters__hat__kind="santa"),
    _row(
        "unknown kind of hat",
        filters="hat",
        filters__hat__kind="bowler",
        pointers=["/filters/hat/kind"],
    ),
    _row("run before year 1", run_at="0001-01-01T00:00:00+23:59"),
    _row("run after year 9999", run_at="9999-12-31T23:59:59-23:59"),
    _row("no time until the deadline", deadline_ms="0"),
    _row("metadata twice", metadata__a=["x", "y"]),
    _row("model of a path", face__model="../../weights"),
    _row("unknown parameter of a model", segmentation__params__size="1"),
    _row("several faults", quality="0", seed="x", format="gif", persons="0"),
    _row(
        "deadline before it may run",
        CONTRADICTION,
        deadline_ms="1000",
        run_at="2999-01-01T00:00:00Z",
    ),
    _row("transparent JPEG", CONTRADICTION, background="transparent", format="jpg"),
    _row(
        "numbers for a model that tells nobody apart",
        CONTRADICTION,
        ["/persons", "/segmentation/model"],
        persons="1",
    ),
    _row("shadow on what is kept", CONTRADICTION, background="keep", shadow="drop"),
    *(
        Row(
            f"background {background} and its file",
            "POST /v1/jobs",
            *CONTRADICTION,
            pointers=["/background", "/background_file"],
            headers=FORM,
            content=photo() + photo(name="background_file") + part("background", background) + END,
        )
        for background in ("auto", "color:red")
    ),
)
