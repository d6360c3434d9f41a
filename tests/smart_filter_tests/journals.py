"""Make entries of a batch's journal."""

from smart_filter_deploy.cli.batch.journal import JournalEntry


def an_entry(photo: str = "a.jpg", **fields: object) -> JournalEntry:
    """Make an entry: its outputs are written, unless `fields` say otherwise."""
    defaults: dict[str, object] = {
        "photo": photo,
        "place": photo.rpartition(".")[0],
        "bytes": 1,
        "modified_ns": 2,
        "digest": "d",
        "recipe": "r",
        "job_id": "j",
        "is_done": True,
    }
    return JournalEntry(**{**defaults, **fields})  # type: ignore[arg-type]  # its fields
