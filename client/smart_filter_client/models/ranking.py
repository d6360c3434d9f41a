"""The reasons for a photo's rank in its album."""

from dataclasses import dataclass

from smart_filter_client.fields import Fields


@dataclass(frozen=True, slots=True)
class RankTerms:
    """The terms of a photo's rank in its album.

    rating: of its people, None without people.  of: number of ranked photos.
    alike: how many of them show the same scene, including this one.
    better: the job of the best of those; None for the best one itself.
    reasons: texts for people.
    """

    rating: float | None
    of: int
    alike: int
    better: str | None
    reasons: tuple[str, ...]


def rank_terms_from(fields: Fields | None) -> RankTerms | None:
    """Parse the terms of a rank, or return None."""
    if fields is None:
        return None
    return RankTerms(
        rating=fields.number_or_none("rating"),
        of=fields.integer_or_none("of") or 0,
        alike=fields.integer_or_none("alike") or 0,
        better=fields.text_or_none("better"),
        reasons=fields.texts("reasons"),
    )
