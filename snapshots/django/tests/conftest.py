import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import DjangoDbBlocker


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: DjangoDbBlocker) -> None:
    """Use the database that is given, as every process does; a test takes back what it writes."""
    with django_db_blocker.unblock():
        call_command("migrate")


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)
