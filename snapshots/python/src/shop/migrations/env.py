"""Alembic runs this for every command of its own and for the release phase."""

import asyncio

from alembic import context
from sqlalchemy import Connection, NullPool

from shop import features  # noqa: F401
from shop.database import Base, create_engine, migration_lock
from shop.settings import Settings


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, user_module_prefix="")
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    engine = create_engine(Settings.load().database_url.get_secret_value(), NullPool)
    async with migration_lock(engine), engine.connect() as connection:
        await connection.run_sync(run)


asyncio.run(main())
