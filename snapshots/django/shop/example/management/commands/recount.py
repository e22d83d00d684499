from django.core.management.base import BaseCommand

from ....logs import get_logger
from ...models import Note

BATCH = 500

log = get_logger(__name__)


class Command(BaseCommand):
    help = "Counts the words of every note again."
    requires_system_checks = []

    def handle(self, *_args: object, **_options: object) -> None:
        last = 0
        while notes := Note.objects.filter(pk__gt=last).order_by("pk")[:BATCH]:
            for note in notes:
                note.count_words()
            Note.objects.bulk_update(notes, ["word_count"])
            last = notes[len(notes) - 1].pk
        log.info("recounted")
