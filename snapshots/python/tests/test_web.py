import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from shop.services import Services
from shop.settings import Settings


async def test_root_tells_what_is_running(client: AsyncClient, settings: Settings) -> None:
    response = await client.get("/")
    assert response.status_code == 200
    assert response.json()["release"] == settings.release


async def test_is_alive_and_ready(client: AsyncClient) -> None:
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).status_code == 200


async def test_is_not_ready_while_it_drains(app: FastAPI, client: AsyncClient) -> None:
    app.state.draining = True
    response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["detail"] == "not ready: draining"
    assert (await client.get("/livez")).status_code == 200


async def test_is_not_ready_without_redis(
    client: AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(services.redis.connection_pool.connection_kwargs, "port", 1)
    response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["detail"] == "not ready: redis"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("POST", "/livez", 405)]
)
async def test_errors_are_problems(
    client: AsyncClient, method: str, path: str, status: int
) -> None:
    response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status


async def test_what_nobody_foresaw_is_a_problem_too(app: FastAPI, client: AsyncClient) -> None:
    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    response = await client.get("/broken")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1", True), ("", False), ("a b", False), ("x" * 129, False)]
)
async def test_request_id_is_taken_or_made(client: AsyncClient, given: str, *, kept: bool) -> None:
    response = await client.get("/livez", headers={"X-Request-Id": given})
    assert (response.headers["X-Request-Id"] == given) is kept
    assert response.headers["X-Request-Id"]
