"""The tables of what is heard of repositories, and what all tables belong to."""

from sqlalchemy import Column, Integer, MetaData, String, Table, Text

metadata = MetaData()

heard = Table(
    "heard",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("source", String(10), nullable=False),  # "webhook" or "poll"
    Column("at", String(32), nullable=False, index=True),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("repository", Text, nullable=False),
    Column("event", Text, nullable=False),
)

cursors = Table(
    "cursors",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("data", Text, nullable=False),
)
