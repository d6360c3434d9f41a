"""SQLAlchemy Core tables of the database, in one `metadata`; `migrations/` creates them."""

from sqlalchemy import DateTime, MetaData

metadata = MetaData()
Moment = DateTime(timezone=True)
