"""Let SQLite prefer the index of failed messages for those whose codes are still valid."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

IS_FAILED = sa.text("status = 'failed'")


def upgrade() -> None:
    """Replace the index, which contains failed messages only."""
    op.drop_index("messages_failed", "messages")
    op.create_index(
        "messages_failed",
        "messages",
        ["status", "expires_at"],
        sqlite_where=IS_FAILED,
        postgresql_where=IS_FAILED,
    )
