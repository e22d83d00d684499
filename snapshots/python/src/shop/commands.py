"""The commands: one for each process of the Procfile, and the one-off tasks."""

import argparse
import asyncio
from collections.abc import Callable
from functools import partial

from . import NAME
from .features import TASKS
from .migrate import migrate
from .server import serve
from .services import Task, open_services
from .settings import Settings
from .worker import work

type Command = Callable[[Settings], None]


def run(settings: Settings) -> None:
    commands: dict[str, Command] = {
        "web": serve,
        "worker": work,
        "migrate": migrate,
        **{task.__name__: partial(_run_task, task) for task in TASKS},
    }
    parser = argparse.ArgumentParser(prog=NAME)
    parser.add_argument("command", choices=commands)
    commands[parser.parse_args().command](settings)


def _run_task(task: Task, settings: Settings) -> None:
    async def run() -> None:
        async with open_services(settings) as services:
            await task(services)

    asyncio.run(run())
