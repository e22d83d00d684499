"""notes."""

import sqlalchemy as sa
from alembic import op

from shop.database import UtcDateTime

revision = "8d1f6c0a2b47"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("word_count", sa.Integer),
        sa.Column("created_at", UtcDateTime, nullable=False),
        mysql_charset="utf8mb4",
    )


def downgrade() -> None:
    op.drop_table("notes")
