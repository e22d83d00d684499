from shop.services import Services


async def test_session_lasts_until_it_ends(services: Services) -> None:
    token = await services.sessions.begin({"name": "Ada"})
    assert await services.sessions.read(token) == {"name": "Ada"}
    await services.sessions.end(token)
    assert await services.sessions.read(token) is None


async def test_token_cannot_be_forged(services: Services) -> None:
    token = await services.sessions.begin({})
    session_id = token.partition(".")[0]
    for forged in ("", ".", session_id, f"{session_id}.", f"{token}x", "\xff.\xff"):
        assert await services.sessions.read(forged) is None
