import time

from django.tasks import task

from ..logs import get_logger
from .models import Note

log = get_logger(__name__)


@task
def count_words(note_id: int) -> None:
    """Count the words of a note, which may come late: its job is handed over before its commit."""
    for _ in range(50):
        if note := Note.objects.filter(pk=note_id).first():
            note.count_words()
            note.save(update_fields=["word_count"])
            return
        time.sleep(0.1)
    log.warning("there is no such note", note_id=note_id)
