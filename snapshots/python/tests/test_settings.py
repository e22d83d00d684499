import re
from pathlib import Path

import pytest

from shop.settings import InvalidSettingsError, Settings

EXAMPLE = Path(__file__).parent.parent / ".env.example"
REQUIRED = ["DATABASE_URL", "REDIS_URL", "SESSION_SECRET"]


@pytest.fixture
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgres://user:password@host/name")
    monkeypatch.setenv("REDIS_URL", "redis://host")
    monkeypatch.setenv("SESSION_SECRET", "s" * 32)


pytestmark = pytest.mark.usefixtures("_environment")


def test_has_defaults_for_what_is_not_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "")
    settings = Settings.load()
    assert (settings.port, settings.log_level, settings.release) == (8000, "info", "dev")


def test_names_everything_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("SESSION_SECRET", "")
    with pytest.raises(InvalidSettingsError) as invalid:
        Settings.load()
    assert invalid.value.errors == [f"{name}: is required" for name in REQUIRED]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "sqlite:///canary.db"),
        ("DATABASE_URL", "postgres://canary"),
        ("REDIS_URL", "canary"),
        ("SESSION_SECRET", "canary"),
        ("PORT", "canary"),
        ("PORT", "65536"),
        ("LOG_LEVEL", "canary"),
        ("SHUTDOWN_TIMEOUT", "0"),
        ("WEB_CONCURRENCY", "0"),
    ],
)
def test_names_what_is_malformed_and_not_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettingsError) as invalid:
        Settings.load()
    assert str(invalid.value).startswith(f"{name}: must ")
    assert "canary" not in str(invalid.value)


def test_shows_no_secret() -> None:
    assert "password" not in repr(Settings.load())
    assert "sss" not in repr(Settings.load())


def test_the_example_file_has_every_variable() -> None:
    names = re.findall(r"^(\w+)=", EXAMPLE.read_text(), re.MULTILINE)
    assert sorted(names) == sorted(field.upper() for field in Settings.model_fields)
