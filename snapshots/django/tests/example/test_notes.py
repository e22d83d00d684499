from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.tasks import task_backends
from django.tasks.backends.dummy import DummyBackend
from django.test import Client
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisConnectionError

from shop.example.models import Note
from shop.example.tasks import count_words

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def handed_over(settings: Settings) -> DummyBackend:
    """Keep the jobs of these tests from whatever worker runs beside them."""
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}
    backend = task_backends["default"]
    assert isinstance(backend, DummyBackend)
    return backend


def post(client: Client, body: str) -> int:
    response = client.post("/notes", {"body": body}, content_type="application/json")
    assert response.status_code == 201
    note_id: int = response.json()["id"]
    return note_id


def test_note_is_stored_and_its_job_handed_over(client: Client, handed_over: DummyBackend) -> None:
    note_id = post(client, "naïve 😀 words")
    note = client.get(f"/notes/{note_id}").json()
    assert note.items() >= {"id": note_id, "body": "naïve 😀 words", "word_count": None}.items()
    age = datetime.now(UTC) - datetime.fromisoformat(note["created_at"])
    assert abs(age) < timedelta(minutes=1)
    assert [(job.task, job.args) for job in handed_over.results] == [(count_words, [note_id])]


def test_words_are_counted(client: Client) -> None:
    note_id = post(client, "one two  three\n")
    count_words.call(note_id)
    assert client.get(f"/notes/{note_id}").json()["word_count"] == 3


def test_words_are_counted_again(client: Client) -> None:
    note_ids = [post(client, "one two") for _ in range(2)]
    call_command("recount")
    for note_id in note_ids:
        assert client.get(f"/notes/{note_id}").json()["word_count"] == 2


def test_no_note_is_stored_without_its_job(
    client: Client, handed_over: DummyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enqueue(*_: object) -> None:
        raise RedisConnectionError

    before = Note.objects.count()
    monkeypatch.setattr(handed_over, "enqueue", enqueue)
    response = client.post("/notes", {"body": "lost"}, content_type="application/json")
    assert response.status_code == 503
    assert Note.objects.count() == before


def test_notes_are_listed_newest_first(client: Client) -> None:
    ids = [post(client, "x") for _ in range(3)]
    listed = client.get("/notes", {"limit": 2}).json()
    assert [note["id"] for note in listed] == [ids[2], ids[1]]
    listed = client.get("/notes", {"limit": 1, "before": ids[1]}).json()
    assert [note["id"] for note in listed] == [ids[0]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"body": "\xff"}', 400),
        (b'{"body": NaN}', 400),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"body": 1}', 422),
        (b'{"body": ""}', 422),
        (rb'{"body": "\u0000"}', 422),
        (rb'{"body": "\ud800"}', 422),
        (b'{"body": "%s"}' % (b"x" * 10_001), 422),
        (b'{"body": "%s"}' % (b"x" * 1024 * 1024), 413),
    ],
)
def test_note_that_is_none_is_refused(client: Client, body: bytes, status: int) -> None:
    response = client.post("/notes", body, content_type="application/json")
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "before=x", f"before={2**63}"])
def test_query_out_of_range_is_refused(client: Client, query: str) -> None:
    assert client.get(f"/notes?{query}").status_code == 422


def test_unknown_note_is_not_found(client: Client) -> None:
    response = client.get(f"/notes/{2**63 - 1}")
    assert response.status_code == 404
    assert response.json()["detail"] == "there is no such note"


def test_notes_are_in_the_admin(admin_client: Client, handed_over: DummyBackend) -> None:
    form = {"body": "written in the admin"}
    page = admin_client.post("/admin/example/note/add/", form, follow=True)
    assert b"written in the admin" in page.content
    assert [job.task for job in handed_over.results] == [count_words]
