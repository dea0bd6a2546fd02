"""The store in PostgreSQL."""

from usher.adapters.postgres.migrate import migrate
from usher.adapters.postgres.store import PostgresStore

__all__ = ["PostgresStore", "migrate"]
