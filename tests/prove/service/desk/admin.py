"""What is run once: the migration, and a task."""

import asyncio
import logging
from pathlib import Path

from . import database
from .config import Config

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 2007_01_02


def release(config: Config) -> None:
    asyncio.run(migrate(config))


def recount(config: Config) -> None:
    asyncio.run(count_words(config))


async def migrate(config: Config) -> None:
    async with database.pool(config) as pool, pool.acquire() as db:
        # One at a time: the others wait, and find it done.
        await db.execute("SELECT pg_advisory_lock($1)", LOCK)
        await db.execute("CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY)")
        done = {row["name"] for row in await db.fetch("SELECT name FROM schema_migrations")}
        for file in sorted(MIGRATIONS.glob("*.sql")):
            if file.name not in done:
                async with db.transaction():
                    await db.execute(file.read_text())
                    await db.execute("INSERT INTO schema_migrations VALUES ($1)", file.name)
                log.info("migrated", extra={"fields": {"migration": file.name}})


async def count_words(config: Config) -> None:
    async with database.pool(config) as pool, pool.acquire() as db:
        items = await db.fetch("SELECT id, body FROM items")
        counts = [(len(item["body"].split()), item["id"]) for item in items]
        await db.executemany("UPDATE items SET word_count = $1 WHERE id = $2", counts)
    log.info("recounted", extra={"fields": {"items": len(counts)}})
