"""How to reach PostgreSQL and Redis: no later than in some seconds, or not at all."""

import psycopg
from psycopg.rows import dict_row
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from .config import Config

PATIENCE = 3


async def database(config: Config) -> psycopg.AsyncConnection:
    """Connect anew for each use: a database that went away and came back needs no care."""
    connect = psycopg.AsyncConnection.connect
    return await connect(config.database_url, connect_timeout=PATIENCE, row_factory=dict_row)


def redis(config: Config) -> Redis:
    return Redis.from_url(
        config.redis_url,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=PATIENCE,
        socket_timeout=PATIENCE,
    )
