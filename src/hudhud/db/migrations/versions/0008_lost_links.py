"""Add why and when a sender lost its linked phone."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add empty columns, which completes at once."""
    op.add_column("senders", sa.Column("lost_at", sa.BigInteger(), nullable=True))
    for column in ("lost", "lost_code", "lost_params"):
        op.add_column("senders", sa.Column(column, sa.Text(), nullable=True))
