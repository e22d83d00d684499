import pytest
from httpx import AsyncClient


async def test_session_begins_and_ends(client: AsyncClient) -> None:
    assert (await client.get("/session")).status_code == 401

    response = await client.post("/session", json={"name": "Ada"})
    assert response.status_code == 201
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie

    response = await client.get("/session")
    assert response.json() == {"name": "Ada"}

    token = client.cookies["session"]
    assert (await client.delete("/session")).status_code == 204
    client.cookies.set("session", token)
    assert (await client.get("/session")).status_code == 401


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 1}, {"name": "x" * 101}])
async def test_session_needs_a_name(client: AsyncClient, body: object) -> None:
    assert (await client.post("/session", json=body)).status_code == 422
