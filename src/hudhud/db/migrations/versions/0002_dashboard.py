"""What the admin dashboard needs: numbers that are kept, search, sessions, audit."""

import sqlalchemy as sa
from alembic import op

from hudhud import texts
from hudhud.db import fragments

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add tables and indexes; count and index the messages there are. Charts begin empty."""
    op.create_table(
        "audit",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_at", "audit", ["at"], unique=False)
    op.create_table(
        "delivery_times",
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "start", "shard", "bucket"),
    )
    op.create_table(
        "login_attempts",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("login_attempts_address", "login_attempts", ["address", "at"], unique=False)
    op.create_index("login_attempts_username", "login_attempts", ["username", "at"], unique=False)
    op.create_table(
        "message_counts",
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("status", "shard"),
    )
    op.create_table(
        "message_steps",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("message_steps_message", "message_steps", ["message_id"], unique=False)
    op.create_table(
        "recovery_codes",
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("username", "digest"),
    )
    op.create_table(
        "second_factors",
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("username"),
    )
    op.create_table(
        "sender_states",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("sender_states_at", "sender_states", ["sender", "at"], unique=False)
    op.create_index("sender_states_old", "sender_states", ["at"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password_mark", sa.LargeBinary(), nullable=False),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("sessions_username", "sessions", ["username"], unique=False)
    op.create_table(
        "texts",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "traffic",
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("read", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("expired", sa.BigInteger(), nullable=False),
        sa.Column("canceled", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "start", "shard"),
    )
    op.add_column("api_keys", sa.Column("scopes", sa.Text(), nullable=False, server_default="send"))
    op.add_column("messages", sa.Column("body_key", sa.BigInteger(), nullable=True))
    op.add_column("messages", sa.Column("error_key", sa.BigInteger(), nullable=True))
    op.create_index("messages_body", "messages", ["body_key", "id"], unique=False)
    op.create_index(
        "messages_error",
        "messages",
        ["error_key", "id", "status"],
        unique=False,
        postgresql_where=sa.text("error_key IS NOT NULL"),
        sqlite_where=sa.text("error_key IS NOT NULL"),
    )
    op.create_index(
        "messages_status",
        "messages",
        ["status", "id", "phone", "body_key", "error_key"],
        unique=False,
    )
    op.create_index(
        "messages_failed",
        "messages",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'failed'"),
        sqlite_where=sa.text("status = 'failed'"),
    )
    op.create_index("messages_verification", "messages", ["verification_id"], unique=False)
    op.add_column("senders", sa.Column("qr_expires_at", sa.BigInteger(), nullable=True))
    op.add_column("senders", sa.Column("last_sent_at", sa.BigInteger(), nullable=True))
    op.add_column("senders", sa.Column("paused_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "verifications_code",
        "verifications",
        ["code_index"],
        unique=False,
        postgresql_where=sa.text("code_index IS NOT NULL"),
        sqlite_where=sa.text("code_index IS NOT NULL"),
    )
    fragments.create(op.get_bind())
    _fill()


def _fill() -> None:
    connection = op.get_bind()
    connection.execute(
        sa.text(
            "INSERT INTO message_counts (status, shard, count) "
            "SELECT status, 0, count(*) FROM messages GROUP BY status"
        )
    )
    for column in ("body", "error"):
        distinct = sa.text(f"SELECT DISTINCT {column} FROM messages WHERE {column} IS NOT NULL")  # noqa: S608 -- our own columns
        keys = texts.keep(connection, connection.scalars(distinct).all())
        change = sa.text(f"UPDATE messages SET {column}_key = :key WHERE {column} = :text")  # noqa: S608 -- our own columns
        for text, key in keys.items():
            connection.execute(change, {"key": key, "text": text})
