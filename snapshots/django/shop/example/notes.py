from typing import Any

from django import forms
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import View
from django.views.decorators.http import require_safe

from ..forms import JSONTextField, read_json
from ..problems import invalid
from .models import MAX_LENGTH, Note
from .tasks import count_words


class NoteForm(forms.Form):
    body = JSONTextField(max_length=MAX_LENGTH)


class PageForm(forms.Form):
    limit = forms.IntegerField(min_value=1, max_value=100, required=False)
    before = forms.IntegerField(min_value=1, max_value=2**63 - 1, required=False)


class Notes(View):
    def post(self, request: HttpRequest) -> HttpResponse:
        form = NoteForm(read_json(request))
        if not form.is_valid():
            return invalid("body", form.errors)
        with transaction.atomic():
            note = Note.objects.create(**form.cleaned_data)
            count_words.enqueue(note.pk)
        return JsonResponse(represent(note), status=201)

    def get(self, request: HttpRequest) -> HttpResponse:
        form = PageForm(request.GET)
        if not form.is_valid():
            return invalid("query", form.errors)
        notes = Note.objects.order_by("-pk")
        if before := form.cleaned_data["before"]:
            notes = notes.filter(pk__lt=before)
        page = notes[: form.cleaned_data["limit"] or 20]
        return JsonResponse([represent(note) for note in page], safe=False)


@require_safe
def show_note(_: HttpRequest, note_id: int) -> HttpResponse:
    note = Note.objects.filter(pk=note_id).first()
    if note is None:
        raise Http404("there is no such note")
    return JsonResponse(represent(note))


def represent(note: Note) -> dict[str, Any]:
    return {
        "id": note.pk,
        "body": note.body,
        "word_count": note.word_count,
        "created_at": note.created_at,
    }
