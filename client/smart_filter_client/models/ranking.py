"""Why a photo stands where it stands in its album."""

from dataclasses import dataclass

from smart_filter_client.fields import Fields


@dataclass(frozen=True, slots=True)
class RankTerms:
    """What a photo's rank in its album was made from.

    rating: of its people, None without any.  of: how many photos were ranked.
    alike: how many of them show the same scene, itself too.
    better: the job of the best of those; None when it is that one itself.
    reasons: for people.
    """

    rating: float | None
    of: int
    alike: int
    better: str | None
    reasons: tuple[str, ...]


def rank_terms_from(fields: Fields | None) -> RankTerms | None:
    """Return why a photo stands where it stands, once it is ranked."""
    if fields is None:
        return None
    return RankTerms(
        rating=fields.number_or_none("rating"),
        of=fields.integer_or_none("of") or 0,
        alike=fields.integer_or_none("alike") or 0,
        better=fields.text_or_none("better"),
        reasons=fields.texts("reasons"),
    )
