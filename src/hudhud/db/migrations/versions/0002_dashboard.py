"""Tables for the dashboard: counters, search, sessions and audit."""

import re
from hashlib import sha256

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
CODE_LINE = re.compile(r"^\{code\}$", re.MULTILINE)
MASK = "••••"
# The index for searches by a fragment of a phone; triggers keep SQLite's up to date.
SQLITE_INDEX = (
    "CREATE VIRTUAL TABLE message_phones USING fts5("
    "phone, content='messages', content_rowid='id', tokenize='trigram')",
    "INSERT INTO message_phones(message_phones) VALUES ('rebuild')",
)
SQLITE_TRIGGERS = (
    "CREATE TRIGGER message_phones_added AFTER INSERT ON messages BEGIN "
    "INSERT INTO message_phones(rowid, phone) VALUES (new.id, new.phone); END",
    "CREATE TRIGGER message_phones_removed AFTER DELETE ON messages BEGIN "
    "INSERT INTO message_phones(message_phones, rowid, phone) "
    "VALUES ('delete', old.id, old.phone); END",
    "CREATE TRIGGER message_phones_changed AFTER UPDATE OF phone ON messages BEGIN "
    "INSERT INTO message_phones(message_phones, rowid, phone) "
    "VALUES ('delete', old.id, old.phone); "
    "INSERT INTO message_phones(rowid, phone) VALUES (new.id, new.phone); END",
)
POSTGRES_INDEX = (
    "CREATE FUNCTION hudhud_pieces(phone text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT "
    "PARALLEL SAFE AS $$ SELECT coalesce(array_agg(DISTINCT substr(phone, place, 3)), '{}') "
    "FROM generate_series(1, length(phone) - 2) AS place $$",
    "CREATE INDEX messages_phone_pieces ON messages USING gin (hudhud_pieces(phone))",
)


def upgrade() -> None:
    """Add tables and indexes; count and index existing messages. Charts start empty."""
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
    _create_phone_index()
    _count_messages()
    _keep_texts()


def _create_phone_index() -> None:
    connection = op.get_bind()
    is_sqlite = connection.dialect.name == "sqlite"
    for statement in SQLITE_INDEX + SQLITE_TRIGGERS if is_sqlite else POSTGRES_INDEX:
        connection.exec_driver_sql(statement)


def _count_messages() -> None:
    op.get_bind().execute(
        sa.text(
            "INSERT INTO message_counts (status, shard, count) "
            "SELECT status, 0, count(*) FROM messages GROUP BY status"
        )
    )


def _keep_texts() -> None:
    connection = op.get_bind()
    insert = sa.text("INSERT INTO texts (key, text) VALUES (:key, :text) ON CONFLICT DO NOTHING")
    for column in ("body", "error"):
        distinct = sa.text(f"SELECT DISTINCT {column} FROM messages WHERE {column} IS NOT NULL")  # noqa: S608 -- our own columns
        change = sa.text(f"UPDATE messages SET {column}_key = :key WHERE {column} = :text")  # noqa: S608 -- our own columns
        for text in connection.scalars(distinct).all():
            key = _text_key(text)
            connection.execute(insert, {"key": key, "text": CODE_LINE.sub(MASK, text)})
            connection.execute(change, {"key": key, "text": text})


def _text_key(text: str) -> int:
    """Return 64 bits of the text's SHA-256 as a signed integer."""
    digest = sha256(text.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
