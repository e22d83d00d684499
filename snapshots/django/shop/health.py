"""What orchestrators ask: what runs here, whether it lives, and whether it is ready."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from . import NAME
from .logs import get_logger
from .problems import ProblemResponse
from .schema import check_schema
from .services import get_redis

CHECK_TIMEOUT = 2

log = get_logger(__name__)
draining = threading.Event()


@csrf_exempt
@require_safe
def root(_: HttpRequest) -> HttpResponse:
    return JsonResponse({"name": NAME, "release": settings.RELEASE})


@csrf_exempt
@require_safe
def livez(_: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


@csrf_exempt
@require_safe
def readyz(_: HttpRequest) -> HttpResponse:
    reasons = [*_failures(), *(["draining"] if draining.is_set() else [])]
    if reasons:
        return ProblemResponse(503, f"not ready: {', '.join(reasons)}")
    return JsonResponse({"status": "ok"})


def _check_database() -> None:
    try:
        check_schema()
    finally:
        connection.close()


def _check_redis() -> None:
    get_redis().ping()


CHECKS: dict[str, Callable[[], None]] = {"database": _check_database, "redis": _check_redis}
# A check that hangs keeps the next of its kind waiting, and no request.
POOLS = {service: ThreadPoolExecutor(1, thread_name_prefix=service) for service in CHECKS}


def _failures() -> list[str]:
    checks = {service: POOLS[service].submit(check) for service, check in CHECKS.items()}
    wait(checks.values(), CHECK_TIMEOUT)
    failures = []
    for service, check in checks.items():
        error = check.exception() if check.done() else TimeoutError()
        check.cancel()
        if error:
            log.warning("not ready", service=service, error=repr(error))
            failures.append(service)
    return failures
