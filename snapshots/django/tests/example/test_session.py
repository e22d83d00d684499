import pytest
from django.test import Client


def test_session_begins_and_ends(client: Client) -> None:
    assert client.get("/session").status_code == 401

    response = client.post("/session", {"name": "Ada"}, content_type="application/json")
    assert response.status_code == 201
    cookie = response.cookies["session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"

    assert client.get("/session").json() == {"name": "Ada"}

    assert client.delete("/session").status_code == 204
    client.cookies["session"] = cookie.value
    assert client.get("/session").status_code == 401


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 1}, {"name": "x" * 101}])
def test_session_needs_a_name(client: Client, body: object) -> None:
    response = client.post("/session", body, content_type="application/json")
    assert response.status_code == 422
