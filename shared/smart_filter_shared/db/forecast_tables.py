"""Tables of how long things take, from which forecasts are made."""

from sqlalchemy import BigInteger, Column, Double, Table, Text

from smart_filter_shared.db.tables import metadata

# Means of what stages take: see jobs/paces.py.
paces = Table(
    "paces",
    metadata,
    Column("capability", Text, primary_key=True),
    Column("runs", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("squares", Double, nullable=False),
    Column("megapixels", Double, nullable=False),
    Column("megapixels_squares", Double, nullable=False),
    Column("products", Double, nullable=False),
)

# What forecasts are multiplied by, as logarithms: see jobs/foresight.py.
foresight = Table(
    "foresight",
    metadata,
    Column("priority", Text, primary_key=True),
    Column("jobs", BigInteger, nullable=False),
    Column("p50_log", Double, nullable=False),
    Column("p90_log", Double, nullable=False),
)
