"""Add WhatsApp's names of the accounts behind phone numbers."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add an empty table and its indexes."""
    op.create_table(
        "whatsapp_accounts",
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("whatsapp_phone", sa.Text(), nullable=True),
        sa.Column("lid", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("phone"),
    )
    op.create_index("whatsapp_accounts_phone", "whatsapp_accounts", ["whatsapp_phone"])
    op.create_index("whatsapp_accounts_lid", "whatsapp_accounts", ["lid"])
