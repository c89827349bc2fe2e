"""Add codes and parameters of sentences; `recoding.py` fills them in old rows."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The oldest version that may run with these tables.
OLDEST_VERSION = "0.1.0"
SENTENCES = (
    ("messages", "error"),
    ("message_steps", "text"),
    ("senders", "detail"),
    ("commands", "result"),
    ("webhook_endpoints", "disabled_reason"),
    ("webhook_deliveries", "last_error"),
    ("audit", "detail"),
)


def upgrade() -> None:
    """Add nullable columns, which is fast regardless of the number of rows."""
    for table, column in SENTENCES:
        op.add_column(table, sa.Column(f"{column}_code", sa.Text(), nullable=True))
        op.add_column(table, sa.Column(f"{column}_params", sa.Text(), nullable=True))
    op.add_column("texts", sa.Column("code", sa.Text(), nullable=True))
    op.add_column("texts", sa.Column("params", sa.Text(), nullable=True))
    _name_oldest_version()


def _name_oldest_version() -> None:
    installation = sa.table("installation", sa.column("name"), sa.column("value"))
    row = {"name": "oldest_version", "value": OLDEST_VERSION}
    op.execute(sa.insert(installation).values(row))
