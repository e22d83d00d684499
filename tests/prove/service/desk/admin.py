"""What is run once: the migration, and a task."""

import logging
from pathlib import Path

import psycopg

from .config import Config

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 2007_01_02


def release(config: Config) -> None:
    with psycopg.connect(config.database_url, connect_timeout=5, autocommit=True) as db:
        # One at a time: the others wait, and find it done.
        db.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        db.execute("CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY)")
        done = {name for (name,) in db.execute("SELECT name FROM schema_migrations")}
        for file in sorted(MIGRATIONS.glob("*.sql")):
            if file.name not in done:
                with db.transaction():
                    db.execute(file.read_text())
                    db.execute("INSERT INTO schema_migrations VALUES (%s)", [file.name])
                log.info("migrated", extra={"fields": {"migration": file.name}})


def recount(config: Config) -> None:
    with psycopg.connect(config.database_url, connect_timeout=5) as db:
        items = db.execute("SELECT id, body FROM items").fetchall()
        counts = [(len(body.split()), number) for number, body in items]
        db.cursor().executemany("UPDATE items SET word_count = %s WHERE id = %s", counts)
    log.info("recounted", extra={"fields": {"items": len(counts)}})
