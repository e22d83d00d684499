from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from .notes import Notes, show_note
from .session import Session

# For programs: they have no form to carry a token, and SameSite keeps other sites' from the cookie.
urlpatterns = [
    path("session", csrf_exempt(Session.as_view())),
    path("notes", csrf_exempt(Notes.as_view())),
    path("notes/<int:note_id>", csrf_exempt(show_note)),
]
