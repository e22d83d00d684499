# Adds a migration whose SQL fails to a Python project; run in its root.
versions=$(echo src/*/migrations/versions)
head=$(sed -n 's/^revision = "\(.*\)"$/\1/p' "$versions"/*.py | tail -n 1)
cat > "$versions/99991231_failing.py" <<END
from alembic import op

revision = "ffffffffffff"
down_revision = "$head"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO nowhere VALUES (1)")


def downgrade() -> None:
    pass
END
