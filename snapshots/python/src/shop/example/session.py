from typing import Annotated

from fastapi import APIRouter, Cookie, HTTPException, Request, Response
from pydantic import BaseModel, Field

from ..services import RequestServices
from ..sessions import LIFETIME

COOKIE = "session"

router = APIRouter(prefix="/session", tags=["session"])

SessionCookie = Annotated[str, Cookie(alias=COOKIE)]


class Visitor(BaseModel):
    name: str = Field(min_length=1, max_length=100)


@router.post("", status_code=201)
async def begin_session(
    visitor: Visitor, services: RequestServices, request: Request, response: Response
) -> Visitor:
    response.set_cookie(
        COOKIE,
        await services.sessions.begin(visitor.model_dump()),
        max_age=LIFETIME,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return visitor


@router.get("")
async def show_session(services: RequestServices, token: SessionCookie = "") -> Visitor:
    session = await services.sessions.read(token)
    if session is None:
        raise HTTPException(401, "there is no session")
    return Visitor.model_validate(session)


@router.delete("", status_code=204)
async def end_session(
    services: RequestServices, response: Response, token: SessionCookie = ""
) -> None:
    await services.sessions.end(token)
    response.delete_cookie(COOKIE)
