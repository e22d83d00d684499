from datetime import UTC, datetime, timedelta

import pytest
from httpx import AsyncClient
from redis.exceptions import ConnectionError as RedisConnectionError

from shop.example.notes import count_words, recount
from shop.jobs import Jobs
from shop.services import Services


@pytest.fixture(autouse=True)
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Keep the jobs of these tests from whatever worker runs beside them."""
    jobs: list[object] = []

    async def put(_: Jobs, job: object, *args: object) -> None:
        jobs.append((job, *args))

    monkeypatch.setattr(Jobs, "put", put)
    return jobs


async def test_note_is_stored_and_its_job_handed_over(
    client: AsyncClient, handed_over: list[object]
) -> None:
    response = await client.post("/notes", json={"body": "naïve 😀 words"})
    assert response.status_code == 201
    note = response.json()
    assert note["body"] == "naïve 😀 words"
    assert note["word_count"] is None
    age = datetime.now(UTC) - datetime.fromisoformat(note["created_at"])
    assert abs(age) < timedelta(minutes=1)
    assert (await client.get(f"/notes/{note['id']}")).json() == note
    assert handed_over == [(count_words, note["id"])]


async def test_words_are_counted(client: AsyncClient, services: Services) -> None:
    note = (await client.post("/notes", json={"body": "one two  three\n"})).json()
    await count_words(services, note["id"])
    assert (await client.get(f"/notes/{note['id']}")).json()["word_count"] == 3


async def test_words_are_counted_again(client: AsyncClient, services: Services) -> None:
    notes = [(await client.post("/notes", json={"body": "one two"})).json() for _ in range(2)]
    await recount(services)
    for note in notes:
        assert (await client.get(f"/notes/{note['id']}")).json()["word_count"] == 2


async def test_no_note_is_stored_without_its_job(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def put(*_: object) -> None:
        raise RedisConnectionError

    before = (await client.get("/notes")).json()
    monkeypatch.setattr(Jobs, "put", put)
    assert (await client.post("/notes", json={"body": "lost"})).status_code == 503
    assert (await client.get("/notes")).json() == before


async def test_notes_are_listed_newest_first(client: AsyncClient) -> None:
    ids = [(await client.post("/notes", json={"body": "x"})).json()["id"] for _ in range(3)]
    listed = (await client.get("/notes", params={"limit": 2})).json()
    assert [note["id"] for note in listed] == [ids[2], ids[1]]
    listed = (await client.get("/notes", params={"limit": 1, "before": ids[1]})).json()
    assert [note["id"] for note in listed] == [ids[0]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"body": "\xff"}', 400),
        (b"[" * 100_000, 400),
        (b"{}", 422),
        (b'{"body": 1}', 422),
        (b'{"body": ""}', 422),
        (rb'{"body": "\u0000"}', 422),
        (rb'{"body": "\ud800"}', 422),
        (b'{"body": "%s"}' % (b"x" * 10_001), 422),
        (b'{"body": "%s"}' % (b"x" * 1024 * 1024), 413),
    ],
)
async def test_note_that_is_none_is_refused(client: AsyncClient, body: bytes, status: int) -> None:
    response = await client.post(
        "/notes", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "before=x", f"before={2**63}"])
async def test_query_out_of_range_is_refused(client: AsyncClient, query: str) -> None:
    assert (await client.get(f"/notes?{query}")).status_code == 422


async def test_unknown_note_is_not_found(client: AsyncClient) -> None:
    assert (await client.get(f"/notes/{2**63 - 1}")).status_code == 404
