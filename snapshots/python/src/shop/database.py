"""The database: PostgreSQL or MySQL, whichever DATABASE_URL names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from pydantic import AnyUrl
from sqlalchemy import DateTime, Dialect, MetaData, Pool, TypeDecorator, make_url, text
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase

DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+asyncmy",
}


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, to the microsecond; MySQL, which knows no time zones, keeps it in UTC."""

    impl = DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name == "postgresql":
            return value
        return value.replace(tzinfo=UTC)


def create_engine(database_url: AnyUrl, pool: type[Pool] | None = None) -> AsyncEngine:
    url = make_url(str(database_url))
    return create_async_engine(
        url.set(drivername=DRIVERS[url.drivername]),
        connect_args={"connect_timeout": 5},
        hide_parameters=True,
        poolclass=pool,
        pool_pre_ping=True,
    )


@asynccontextmanager
async def migration_lock(engine: AsyncEngine) -> AsyncIterator[None]:
    """Lets one migration run at a time; the lock has a connection, and lasts as long as it does."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        if engine.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_lock(hashtext('migrate'))"))
        else:
            lock = text("SELECT GET_LOCK(CONCAT('migrate:', SHA2(DATABASE(), 224)), 3600)")
            if await connection.scalar(lock) != 1:
                raise TimeoutError("another migration holds the lock")
        yield
