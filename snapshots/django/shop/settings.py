"""The settings of every process: those that are code, and what the environment says."""

import os
import sys

from . import NAME, database, logs
from .base_settings import *  # noqa: F403
from .environment import Environment, InvalidError

try:
    environment = Environment.load(os.environ)
except InvalidError as invalid:
    logs.configure(logs.config("info"))
    logs.get_logger(__name__).error("invalid configuration", errors=invalid.errors)
    sys.exit(1)

RELEASE = environment.release
PORT = environment.port
WEB_CONCURRENCY = environment.web_concurrency

LOG_LEVEL = environment.log_level
LOGGING = logs.config(LOG_LEVEL)

SHUTDOWN_TIMEOUT = environment.shutdown_timeout
# How long work in progress may go on once a process is told to stop.
DRAIN_TIMEOUT = max(SHUTDOWN_TIMEOUT - 1.5, SHUTDOWN_TIMEOUT / 2)
# When a process is ended that has not ended by then.
EXIT_TIMEOUT = (DRAIN_TIMEOUT + SHUTDOWN_TIMEOUT) / 2

DATABASES = {"default": database.connect_by(environment.database_url)}
REDIS_URL = environment.redis_url.geturl()
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": NAME,
        "OPTIONS": REDIS_OPTIONS,  # noqa: F405
    }
}

SECRET_KEY = environment.session_secret
# A proxy ends TLS; without one, nobody's word is taken for it.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if environment.https else None
SECURE_SSL_REDIRECT = environment.https
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60 if environment.https else 0
SESSION_COOKIE_SECURE = environment.https
CSRF_COOKIE_SECURE = environment.https
