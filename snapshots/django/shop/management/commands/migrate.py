from typing import override

from django.core.management.commands import migrate
from django.db.migrations import Migration

from ...logs import get_logger
from ...schema import migration_lock

log = get_logger(__name__)


class Command(migrate.Command):
    """Django's own under a lock, for releases that begin at once, and with its lines in the log."""

    @override
    def handle(self, *args: object, **options: object) -> None:
        with migration_lock():
            super().handle(*args, **options | {"verbosity": 0})

    @override
    def migration_progress_callback(
        self, action: str, migration: Migration | None = None, fake: bool = False
    ) -> None:
        if action.endswith("_success"):
            log.info("migrated", action=action.removesuffix("_success"), migration=str(migration))
