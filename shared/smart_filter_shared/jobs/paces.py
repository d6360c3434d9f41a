"""Paces: how long a stage of a capability keeps a worker's thread busy, as it was measured.

From its claim to its completion, loading and storing included, one photo's share of its batch:
what decides when others get their turn. Kept are means that follow what comes, of the seconds,
the photo's megapixels, their squares and their product: a line through them, and the spread
around it, need no more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from smart_filter_shared.ids import Capability

# Of the last fifty or so stages, and of all of them while there are fewer.
_SMOOTHING = 0.02
# What a stage takes before any was measured, and how uncertain that is.
UNKNOWN_SECONDS = 0.3
_UNKNOWN_SPREAD = 1.0
# As if so many had been measured with that spread: a few that are alike prove little.
_DOUBT_RUNS = 4
# A line needs photos of different sizes.
_LINE_RUNS = 8
_LEAST_VARIETY = 0.01


@dataclass(frozen=True, slots=True)
class Timed:
    """Runs of stages, added up: seconds, megapixels, their squares and their product."""

    runs: int
    seconds: float
    squares: float
    megapixels: float
    megapixels_squares: float
    products: float

    @staticmethod
    def once(seconds: float, megapixels: float) -> "Timed":
        """Return one run."""
        return Timed(1, seconds, seconds**2, megapixels, megapixels**2, seconds * megapixels)

    def __add__(self, more: "Timed") -> "Timed":
        """Return both together."""
        return Timed(
            self.runs + more.runs,
            self.seconds + more.seconds,
            self.squares + more.squares,
            self.megapixels + more.megapixels,
            self.megapixels_squares + more.megapixels_squares,
            self.products + more.products,
        )


@dataclass(frozen=True, slots=True)
class Pace:
    """What one stage of a capability takes.

    seconds: of a photo of no size; seconds_per_megapixel: and of each megapixel beside.
    usual_megapixels: of the photos that it was measured with.
    spread: the standard deviation of what it really takes, in shares of that.
    """

    seconds: float = UNKNOWN_SECONDS
    seconds_per_megapixel: float = 0.0
    usual_megapixels: float = 0.0
    spread: float = _UNKNOWN_SPREAD

    def of(self, megapixels: float | None) -> "Span":
        """Return what it takes for a photo of this size; None or 0: for the usual one."""
        size = megapixels or self.usual_megapixels
        mean = self.seconds + self.seconds_per_megapixel * size
        return Span(mean, (self.spread * mean) ** 2)


@dataclass(frozen=True, slots=True)
class Span:
    """A time that is not certain: its mean in seconds, and its variance."""

    mean: float = 0.0
    variance: float = 0.0

    def __add__(self, more: "Span") -> "Span":
        """Return one after the other."""
        return Span(self.mean + more.mean, self.variance + more.variance)

    def times(self, factor: float) -> "Span":
        """Return it stretched."""
        return Span(self.mean * factor, self.variance * factor**2)

    def left(self) -> "Span":
        """Return what is left of it at any moment within: from nothing to all."""
        return Span(self.mean / 2, self.variance / 4 + self.mean**2 / 12)


def fitted(means: Timed) -> Pace:
    """Return the pace that measured means tell of; runs: how many they are of."""
    if not means.runs or means.seconds <= 0:
        return Pace()
    variety = means.megapixels_squares - means.megapixels**2
    together = means.products - means.megapixels * means.seconds
    slope = 0.0
    if means.runs >= _LINE_RUNS and variety > _LEAST_VARIETY * max(means.megapixels**2, 0.01):
        # No photo takes less for being larger, and none of no size less than nothing.
        slope = min(max(together / variety, 0.0), means.seconds / means.megapixels)
    around = means.squares - means.seconds**2 - 2 * slope * together + slope**2 * variety
    measured = max(around, 0.0) / means.seconds**2
    spread = (measured * means.runs + _UNKNOWN_SPREAD**2 * _DOUBT_RUNS) / (means.runs + _DOUBT_RUNS)
    return Pace(
        seconds=means.seconds - slope * means.megapixels,
        seconds_per_megapixel=slope,
        usual_megapixels=means.megapixels,
        spread=spread**0.5,
    )


def add(connection: Connection, timed: Mapping[Capability, Timed]) -> None:
    """Add measured runs to what is known; rows are locked in the order of their keys."""
    if not timed:
        return
    names = sorted(timed)
    runs = [timed[name].runs for name in names]

    def means(field: str) -> list[float]:
        return [float(getattr(timed[name], field)) / timed[name].runs for name in names]

    connection.execute(
        text("""
            WITH made AS (
                SELECT *, 1 - power(1 - :smoothing, runs) AS recent FROM unnest(
                    CAST(:names AS text[]), CAST(:runs AS bigint[]), CAST(:seconds AS float8[]),
                    CAST(:squares AS float8[]), CAST(:megapixels AS float8[]),
                    CAST(:megapixels_squares AS float8[]), CAST(:products AS float8[])
                ) AS made (
                    capability, runs, seconds, squares, megapixels, megapixels_squares, products
                )
            ), before AS (
                SELECT made.capability, greatest(
                    made.recent, CAST(made.runs AS float8) / (made.runs + coalesce(paces.runs, 0))
                ) AS share
                FROM made LEFT JOIN paces USING (capability)
            )
            INSERT INTO paces AS known (
                capability, runs, seconds, squares, megapixels, megapixels_squares, products
            )
            SELECT capability, runs, seconds, squares, megapixels, megapixels_squares, products
            FROM made ORDER BY capability
            ON CONFLICT (capability) DO UPDATE SET (
                runs, seconds, squares, megapixels, megapixels_squares, products
            ) = (
                SELECT known.runs + excluded.runs,
                    known.seconds + share * (excluded.seconds - known.seconds),
                    known.squares + share * (excluded.squares - known.squares),
                    known.megapixels + share * (excluded.megapixels - known.megapixels),
                    known.megapixels_squares
                        + share * (excluded.megapixels_squares - known.megapixels_squares),
                    known.products + share * (excluded.products - known.products)
                FROM before WHERE before.capability = known.capability
            )
        """),
        {
            "names": names,
            "runs": runs,
            "seconds": means("seconds"),
            "squares": means("squares"),
            "megapixels": means("megapixels"),
            "megapixels_squares": means("megapixels_squares"),
            "products": means("products"),
            "smoothing": _SMOOTHING,
        },
    )


def read(connection: Connection) -> dict[Capability, Pace]:
    """Return the pace of every capability that was measured."""
    rows = connection.execute(
        text("""
            SELECT capability, runs, seconds, squares, megapixels, megapixels_squares, products
            FROM paces
        """)
    )
    return {Capability(row[0]): fitted(Timed(*row[1:])) for row in rows}
