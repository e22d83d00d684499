from typing import Any, override

from django.contrib import admin
from django.http import HttpRequest

from .models import Note
from .tasks import count_words


@admin.register(Note)
class NoteAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["pk", "__str__", "word_count", "created_at"]
    readonly_fields = ["word_count", "created_at"]

    @override
    def save_model(self, request: HttpRequest, obj: Note, form: Any, change: Any) -> None:
        super().save_model(request, obj, form, change)
        count_words.enqueue(obj.pk)
