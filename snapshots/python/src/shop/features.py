"""What the service does; the rest of the package is how."""

from collections.abc import Sequence

from fastapi import APIRouter

from .example import notes, session
from .jobs import Job
from .services import Task

ROUTERS: Sequence[APIRouter] = [session.router, notes.router]
JOBS: Sequence[Job[...]] = [notes.count_words]
TASKS: Sequence[Task] = [notes.recount]
