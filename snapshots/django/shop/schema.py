"""The schema: who changes it is alone, and whether it is what this release needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder


class OutdatedSchemaError(Exception):
    pass


@contextmanager
def migration_lock() -> Iterator[None]:
    """Lets one migration run at a time; the lock has a connection, and lasts as long as it does."""
    lock = connection.copy()
    try:
        with lock.cursor() as cursor:
            if lock.vendor == "postgresql":
                cursor.execute("SELECT pg_advisory_lock(hashtext('migrate'))")
            else:
                cursor.execute("SELECT GET_LOCK(CONCAT('migrate:', SHA2(DATABASE(), 224)), 3600)")
                if cursor.fetchone() != (1,):
                    raise TimeoutError("another migration holds the lock")
        yield
    finally:
        lock.close()


def check_schema() -> None:
    """Raise where the database is behind this release; a newer one may be ahead of it."""
    if _needed() - MigrationRecorder(connection).applied_migrations().keys():
        raise OutdatedSchemaError


@cache
def _needed() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).graph.nodes)
