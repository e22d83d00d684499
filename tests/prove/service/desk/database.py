"""How to reach PostgreSQL: no later than in some seconds, or not at all."""

import asyncpg

from .config import Config

PATIENCE = 3

DatabaseError = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


def pool(config: Config) -> asyncpg.Pool:
    """Connections that are opened when they are first needed, and again after an outage."""
    return asyncpg.create_pool(config.database_url, min_size=0, timeout=PATIENCE)
