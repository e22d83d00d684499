from django.db import models

MAX_LENGTH = 10_000


class Note(models.Model):
    body = models.TextField(max_length=MAX_LENGTH)
    word_count = models.IntegerField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "notes"

    def __str__(self) -> str:
        return self.body[:50]

    def count_words(self) -> None:
        self.word_count = len(self.body.split())
