"""The release phase: brings the schema to what this release needs."""

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from .settings import Settings


def config() -> Config:
    alembic = Config()
    alembic.set_main_option("script_location", f"{__package__}:migrations")
    return alembic


def migrate(_: Settings) -> None:
    command.upgrade(config(), "head")


class OutdatedSchemaError(Exception):
    pass


class Schema:
    """Knows whether a database is behind this release; a newer release may be ahead of it."""

    def __init__(self) -> None:
        scripts = ScriptDirectory.from_config(config())
        self._heads = set(scripts.get_heads())
        self._outdated = {script.revision for script in scripts.walk_revisions()} - self._heads

    async def check(self, engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            revisions = set(
                await connection.scalars(text("SELECT version_num FROM alembic_version"))
            )
        if self._heads and (not revisions or revisions & self._outdated):
            raise OutdatedSchemaError
