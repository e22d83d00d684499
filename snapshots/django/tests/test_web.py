import pytest
from django.test import Client
from pytest_django import Settings
from redis import Redis

from shop import health

pytestmark = pytest.mark.django_db


def test_root_tells_what_is_running(client: Client, settings: Settings) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert response.json()["release"] == settings.RELEASE


def test_is_alive_and_ready(client: Client) -> None:
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_is_not_ready_while_it_drains(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health.draining, "is_set", lambda: True)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["detail"] == "not ready: draining"
    assert client.get("/livez").status_code == 200


def test_is_not_ready_without_redis(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "get_redis", lambda: Redis(port=1))
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["detail"] == "not ready: redis"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("POST", "/livez", 405)]
)
def test_errors_are_problems(client: Client, method: str, path: str, status: int) -> None:
    response = client.generic(method, path)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == status


def test_what_nobody_foresaw_is_a_problem_too(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(health, "POOLS")
    response = client.get("/readyz")
    assert response.status_code == 500
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1", True), ("", False), ("a b", False), ("x" * 129, False)]
)
def test_request_id_is_taken_or_made(client: Client, given: str, *, kept: bool) -> None:
    response = client.get("/livez", headers={"X-Request-Id": given})
    assert (response.headers["X-Request-Id"] == given) is kept
    assert response.headers["X-Request-Id"]
