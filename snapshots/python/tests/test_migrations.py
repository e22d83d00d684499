from alembic import command

from shop.migrate import config


def test_models_and_migrations_agree() -> None:
    command.check(config())
