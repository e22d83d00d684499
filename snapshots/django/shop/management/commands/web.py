from django.core.management.base import BaseCommand

from ...server import Server


class Command(BaseCommand):
    help = "Serves HTTP."
    requires_system_checks = []

    def handle(self, *_args: object, **_options: object) -> None:
        Server().run()
