"""Sessions: a signed id in a cookie, the data in Redis, so that any process can serve anybody."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from itsdangerous import BadSignature, Signer
from redis.asyncio import Redis

LIFETIME = 14 * 24 * 60 * 60


class Sessions:
    def __init__(self, redis: Redis, secret: str, *, prefix: str) -> None:
        self._redis = redis
        self._signer = Signer(secret, salt="session")
        self._prefix = prefix

    async def begin(self, data: Mapping[str, Any]) -> str:
        """Store a session and return its token, the value of the cookie."""
        session_id = secrets.token_urlsafe(32)
        await self._redis.set(self._key(session_id), json.dumps(data), ex=LIFETIME)
        return self._signer.sign(session_id).decode()

    async def read(self, token: str) -> dict[str, Any] | None:
        if session_id := self._verified(token):
            stored = await self._redis.get(self._key(session_id))
            return json.loads(stored) if stored else None
        return None

    async def end(self, token: str) -> None:
        if session_id := self._verified(token):
            await self._redis.delete(self._key(session_id))

    def _verified(self, token: str) -> str | None:
        try:
            return self._signer.unsign(token).decode()
        except BadSignature:
            return None

    def _key(self, session_id: str) -> str:
        return f"{self._prefix}:session:{session_id}"
