"""The settings that are code: the build and the type checker need no others, and no environment."""

from pathlib import Path

from redis.backoff import NoBackoff
from redis.retry import Retry

from .features import APPS

# What settings.py adds for the service's own use.
DRAIN_TIMEOUT: float
EXIT_TIMEOUT: float
LOG_LEVEL: str
PORT: int
REDIS_URL: str
RELEASE: str
SHUTDOWN_TIMEOUT: int
WEB_CONCURRENCY: int

INSTALLED_APPS = [
    "shop",
    *APPS,
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "shop.middleware.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "shop.problems.explain_not_allowed",
]
ROOT_URLCONF = "shop.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
TIME_ZONE = "UTC"

STATIC_URL = "static/"
STATIC_ROOT = Path(__file__).parent.parent / "static"
# There is no default storage: files are a backing service's, which is to be named here.
STORAGES = {
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# A Redis that does not answer is to be noticed soon, and not asked again and again.
REDIS_OPTIONS = {
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "retry": Retry(NoBackoff(), 0),
}
SESSION_ENGINE = "shop.sessions"
SESSION_COOKIE_NAME = "session"
TASKS = {"default": {"BACKEND": "shop.jobs.RedisStream"}}

DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
CSRF_FAILURE_VIEW = "shop.problems.csrf_failure"
# Whoever routes requests here knows the hosts, and probes know none.
ALLOWED_HOSTS = ["*"]
SECURE_REDIRECT_EXEMPT = ["^livez$", "^readyz$"]
# Whether its neighbours speak HTTPS only is the domain's business.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

LOGGING_CONFIG = "shop.logs.configure"
