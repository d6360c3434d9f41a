"""Tables of measured durations, the input of ETA estimates."""

from sqlalchemy import BigInteger, Column, Double, Table, Text

from smart_filter_shared.db.tables import metadata

# Running means of stage durations: see eta/stage_times.py.
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

# Correction factors of ETA estimates, as logarithms: see eta/calibration.py.
foresight = Table(
    "foresight",
    metadata,
    Column("priority", Text, primary_key=True),
    Column("jobs", BigInteger, nullable=False),
    Column("p50_log", Double, nullable=False),
    Column("p90_log", Double, nullable=False),
)
