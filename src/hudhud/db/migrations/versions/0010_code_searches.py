"""Add searches for codes, and the code lengths of API keys."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add an empty table and empty columns, which completes at once."""
    op.create_table(
        "code_searches",
        sa.Column("id", ROW_NUMBER, primary_key=True, autoincrement=True),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("code_index", sa.LargeBinary(), nullable=False),
        sa.Column("left_out", sa.Boolean(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("code_searches_at", "code_searches", ["at"])
    for column in ("code_length", "usual_code_length"):
        op.add_column("api_keys", sa.Column(column, sa.Integer(), nullable=True))
