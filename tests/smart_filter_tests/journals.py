"""What stands in the journal of a batch."""

from smart_filter_deploy.cli.journal import Entry


def an_entry(photo: str = "a.jpg", **fields: object) -> Entry:
    """Return that a photo succeeded, or what `fields` say instead."""
    known: dict[str, object] = {
        "photo": photo,
        "place": photo.rpartition(".")[0],
        "bytes": 1,
        "modified_ns": 2,
        "digest": "d",
        "recipe": "r",
        "state": "succeeded",
    }
    return Entry(**{**known, **fields})  # type: ignore[arg-type]  # its fields
