from shop.sessions import SessionStore


def begin() -> str:
    session = SessionStore()
    session["name"] = "Ada"
    session.save()
    assert session.session_key
    return session.session_key


def test_session_lasts_until_it_ends() -> None:
    key = begin()
    assert SessionStore(key)["name"] == "Ada"
    SessionStore(key).flush()
    assert "name" not in SessionStore(key)


def test_key_cannot_be_forged() -> None:
    key = begin()
    unsigned = key.partition(":")[0]
    for forged in ("", ":", unsigned, f"{unsigned}:", f"{key}x", "\xff:\xff"):
        assert SessionStore(forged).session_key is None
