"""The web application: its health, and the routes of its features."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from . import NAME
from .features import ROUTERS
from .logs import get_logger
from .middleware import RequestMiddleware
from .migrate import Schema
from .problems import HANDLERS, Problem, ProblemResponse
from .services import RequestServices, open_services
from .settings import Settings

CHECK_TIMEOUT = 2

log = get_logger(__name__)


def create_app(settings: Settings) -> FastAPI:
    schema = Schema()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as app.state.services:
            yield

    app = FastAPI(
        title=NAME,
        version=settings.release,
        lifespan=lifespan,
        redirect_slashes=False,
        exception_handlers=HANDLERS,
        responses={"default": {"model": Problem, "description": "Problem"}},
    )
    app.state.draining = False
    app.add_middleware(RequestMiddleware)
    for router in ROUTERS:
        app.include_router(router)

    @app.get("/")
    async def root() -> dict[str, str]:
        return {"name": NAME, "release": settings.release}

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz(request: Request, services: RequestServices) -> JSONResponse:
        failures = await asyncio.gather(
            _failure("database", schema.check(services.engine)),
            _failure("redis", services.redis.ping()),
        )
        reasons = [*filter(None, failures), *(["draining"] if request.app.state.draining else [])]
        if reasons:
            return ProblemResponse(503, f"not ready: {', '.join(reasons)}")
        return JSONResponse({"status": "ok"})

    return app


async def _failure(service: str, check: Awaitable[object]) -> str | None:
    """Wait neither for a check that hangs nor for its end: a driver may take long to give up."""
    task = asyncio.ensure_future(check)
    await asyncio.wait([task], timeout=CHECK_TIMEOUT)
    error = TimeoutError() if task.cancel() else task.exception()
    if error is None:
        return None
    log.warning("not ready", service=service, error=repr(error))
    return service
