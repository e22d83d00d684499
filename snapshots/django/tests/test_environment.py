import re
from dataclasses import fields
from pathlib import Path

import pytest

from shop.environment import Environment, InvalidError

EXAMPLE = Path(__file__).parent.parent / ".env.example"
REQUIRED = {
    "DATABASE_URL": "postgres://user:password@host/name",
    "REDIS_URL": "redis://host",
    "SESSION_SECRET": "s" * 32,
}


def test_has_defaults_for_what_is_not_required() -> None:
    environment = Environment.load(REQUIRED | {"LOG_LEVEL": ""})
    assert (environment.port, environment.log_level) == (8000, "info")
    assert (environment.release, environment.https) == ("dev", False)


def test_names_everything_that_is_missing() -> None:
    with pytest.raises(InvalidError) as invalid:
        Environment.load({"SESSION_SECRET": ""})
    assert invalid.value.errors == [f"{name}: is required" for name in REQUIRED]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "sqlite:///canary.db"),
        ("DATABASE_URL", "postgres://canary"),
        ("DATABASE_URL", "postgres://host:canary/name"),
        ("REDIS_URL", "canary"),
        ("SESSION_SECRET", "canary"),
        ("HTTPS", "canary"),
        ("PORT", "canary"),
        ("PORT", "65536"),
        ("LOG_LEVEL", "canary"),
        ("SHUTDOWN_TIMEOUT", "0"),
        ("WEB_CONCURRENCY", "0"),
    ],
)
def test_names_what_is_malformed_and_not_its_value(name: str, value: str) -> None:
    with pytest.raises(InvalidError) as invalid:
        Environment.load(REQUIRED | {name: value})
    assert str(invalid.value).startswith(f"{name}: must ")
    assert "canary" not in str(invalid.value)


def test_shows_no_secret() -> None:
    shown = repr(Environment.load(REQUIRED))
    assert "password" not in shown
    assert "sss" not in shown


def test_the_example_file_has_every_variable() -> None:
    names = re.findall(r"^(\w+)=", EXAMPLE.read_text(), re.MULTILINE)
    assert sorted(names) == sorted(variable.name.upper() for variable in fields(Environment))
