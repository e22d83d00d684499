"""Redis, attached by its URL, beside the database that Django attaches."""

from functools import cache

from django.conf import settings
from redis import Redis


@cache
def get_redis() -> Redis:
    """Connect to nothing before it is used: a service that is down keeps nobody from starting."""
    return Redis.from_url(settings.REDIS_URL, decode_responses=True, **settings.REDIS_OPTIONS)
