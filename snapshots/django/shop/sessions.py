"""Sessions: Django's, in Redis, under a signed key: any process can serve anybody."""

from typing import override

from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.core.cache import cache
from django.core.signing import BadSignature, Signer


class SessionStore(CacheStore):
    def _get_new_session_key(self) -> str:
        key: str = super()._get_new_session_key()  # type: ignore[misc]
        return _signer().sign(key)

    def _validate_session_key(self, key: str | None) -> bool:
        try:
            return bool(_signer().unsign(key or ""))
        except BadSignature:
            return False

    @override
    def load(self) -> dict[str, object]:
        # Django's own takes a Redis that does not answer for one without the session, and ends it.
        session = cache.get(self.cache_key)
        if session is None:
            self._session_key = None
        return session or {}


def _signer() -> Signer:
    return Signer(salt="session")
