"""Index the request ids of messages, for an admin's search."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index, which reads the table of messages once."""
    op.create_index(
        "messages_request",
        "messages",
        ["request_id"],
        postgresql_where=sa.text("request_id IS NOT NULL"),
        sqlite_where=sa.text("request_id IS NOT NULL"),
    )
