"""The backing services, attached by their URLs: what a request, a job or a task works with."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from . import NAME
from .database import create_engine
from .jobs import Jobs
from .sessions import Sessions
from .settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    engine: AsyncEngine
    database: async_sessionmaker[AsyncSession]
    redis: Redis
    sessions: Sessions
    jobs: Jobs


Task = Callable[[Services], Awaitable[None]]


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Nothing connects before it is used: a service that is down keeps nobody from starting."""
    engine = create_engine(settings.database_url.get_secret_value())
    redis = Redis.from_url(
        str(settings.redis_url.get_secret_value()),
        decode_responses=True,
        socket_connect_timeout=2,
        socket_timeout=5,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield Services(
            engine=engine,
            database=async_sessionmaker(engine, expire_on_commit=False),
            redis=redis,
            sessions=Sessions(redis, settings.session_secret.get_secret_value(), prefix=NAME),
            jobs=Jobs(redis, stream=f"{NAME}:jobs"),
        )
    finally:
        await redis.aclose()
        await engine.dispose()


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


RequestServices = Annotated[Services, Depends(_services)]
