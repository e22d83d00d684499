import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import BigInteger, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from ..database import Base, UtcDateTime
from ..logs import get_logger
from ..services import RequestServices, Services

BATCH = 500

log = get_logger(__name__)
router = APIRouter(prefix="/notes", tags=["notes"])


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    word_count: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=lambda: datetime.now(UTC))

    def count_words(self) -> None:
        self.word_count = len(self.body.split())


Id = Annotated[int, Field(ge=1, le=2**63 - 1)]


class NewNote(BaseModel):
    # PostgreSQL stores no NUL.
    body: str = Field(min_length=1, max_length=10_000, pattern=r"^[^\x00]*$")


class StoredNote(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    body: str
    word_count: int | None
    created_at: datetime


@router.post("", status_code=201, response_model=StoredNote)
async def create_note(new: NewNote, services: RequestServices) -> Note:
    async with services.database.begin() as database:
        note = Note(body=new.body)
        database.add(note)
        await database.flush()
        await services.jobs.put(count_words, note.id)
    return note


@router.get("/{note_id}", response_model=StoredNote)
async def show_note(note_id: Id, services: RequestServices) -> Note:
    async with services.database() as database:
        note = await database.get(Note, note_id)
    if note is None:
        raise HTTPException(404, "there is no such note")
    return note


@router.get("", response_model=list[StoredNote])
async def list_notes(
    services: RequestServices,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Id | None = None,
) -> Sequence[Note]:
    query = select(Note).order_by(Note.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Note.id < before)
    async with services.database() as database:
        return (await database.scalars(query)).all()


async def count_words(services: Services, note_id: int) -> None:
    """Count the words of a note, which may come late: its job is handed over before its commit."""
    for _ in range(50):
        async with services.database.begin() as database:
            if note := await database.get(Note, note_id):
                note.count_words()
                return
        await asyncio.sleep(0.1)
    log.warning("there is no such note", note_id=note_id)


async def recount(services: Services) -> None:
    """Count the words of every note again."""
    last = 0
    while True:
        query = select(Note).where(Note.id > last).order_by(Note.id).limit(BATCH)
        async with services.database.begin() as database:
            notes = (await database.scalars(query)).all()
            for note in notes:
                note.count_words()
        if not notes:
            break
        last = notes[-1].id
    log.info("recounted")
