"""Tables for verification: checks, limits, keys, links and events."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Those of revision 0002.
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


def upgrade() -> None:
    """Add tables, columns and indexes; existing rows get their defaults."""
    op.create_table(
        "conversions",
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("started", sa.Integer(), nullable=False),
        sa.Column("approved", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("country", "start", "shard"),
    )
    op.create_index("conversions_start", "conversions", ["start"], unique=False)
    op.create_table(
        "country_guards",
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("blocks", sa.Boolean(), nullable=False),
        sa.Column("share", sa.Integer(), nullable=False),
        sa.Column("habit", sa.Integer(), nullable=False),
        sa.Column("alerted", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("country"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("api_key", sa.Text(), nullable=False),
        sa.Column("key_digest", sa.LargeBinary(), nullable=False),
        sa.Column("body_digest", sa.LargeBinary(), nullable=False),
        sa.Column("verification_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("api_key", "key_digest"),
    )
    op.create_index("idempotency_keys_created", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "limit_counts",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "start"),
    )
    op.create_index("limit_counts_expiry", "limit_counts", ["expires_at"], unique=False)
    op.create_table(
        "link_answers",
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("phone"),
    )
    _create_outbox()
    op.add_column("api_keys", sa.Column("owner", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "api_keys", sa.Column("hides_code", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column(
        "api_keys",
        sa.Column("may_link_verify", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("api_keys", sa.Column("limits", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("networks", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.add_column("api_keys", sa.Column("last_used_at", sa.BigInteger(), nullable=True))
    op.add_column("messages", sa.Column("only_sender", sa.Text(), nullable=True))
    op.add_column(
        "verifications", sa.Column("template", sa.Text(), server_default="otp", nullable=False)
    )
    op.add_column("verifications", sa.Column("locale", sa.Text(), nullable=True))
    op.add_column("verifications", sa.Column("reference", sa.Text(), nullable=True))
    op.add_column("verifications", sa.Column("metadata_json", sa.Text(), nullable=True))
    op.add_column(
        "verifications",
        sa.Column("hides_code", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column(
        "verifications", sa.Column("attempts", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column(
        "verifications", sa.Column("resends", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("verifications", sa.Column("ended_at", sa.BigInteger(), nullable=True))
    op.add_column("verifications", sa.Column("reason", sa.Text(), nullable=True))
    op.add_column("verifications", sa.Column("link_mode", sa.Text(), nullable=True))
    op.add_column("verifications", sa.Column("link_index", sa.LargeBinary(), nullable=True))
    op.add_column("verifications", sa.Column("link_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("verifications", sa.Column("redirect_url", sa.Text(), nullable=True))
    op.add_column("verifications", sa.Column("proved_phone", sa.Text(), nullable=True))
    op.create_index(
        "verifications_link",
        "verifications",
        ["link_index"],
        unique=True,
        postgresql_where=sa.text("link_index IS NOT NULL"),
        sqlite_where=sa.text("link_index IS NOT NULL"),
    )
    op.drop_index("verifications_with_code", "verifications")
    op.create_index(
        "verifications_with_code",
        "verifications",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("code_sealed IS NOT NULL OR link_index IS NOT NULL"),
        sqlite_where=sa.text("code_sealed IS NOT NULL OR link_index IS NOT NULL"),
    )
    op.create_index(
        "verifications_owner", "verifications", ["api_key", "status", "id"], unique=False
    )
    op.create_index("verifications_phone", "verifications", ["phone", "id"], unique=False)
    op.create_index(
        "verifications_proved",
        "verifications",
        ["proved_phone"],
        unique=False,
        postgresql_where=sa.text("proved_phone IS NOT NULL"),
        sqlite_where=sa.text("proved_phone IS NOT NULL"),
    )
    op.create_index(
        "verifications_reference",
        "verifications",
        ["reference", "id"],
        unique=False,
        postgresql_where=sa.text("reference IS NOT NULL"),
        sqlite_where=sa.text("reference IS NOT NULL"),
    )
    op.execute(sa.text("UPDATE api_keys SET owner = prefix"))
    # Existing keys keep the permissions that they had before scopes existed.
    op.execute(sa.text("UPDATE api_keys SET scopes = 'send read sandbox' WHERE scopes = 'send'"))
    op.execute(
        sa.text(
            "UPDATE api_keys SET scopes = 'send read sandbox admin' WHERE scopes = 'send admin'"
        )
    )
    op.execute(sa.text("UPDATE api_keys SET limits = 'per_number=0 per_prefix=0'"))
    _let_messages_be_without_verification()
    op.create_index(
        "messages_answers",
        "messages",
        ["only_sender", "available_at"],
        unique=False,
        postgresql_where=sa.text("status = 'queued' AND only_sender IS NOT NULL"),
        sqlite_where=sa.text("status = 'queued' AND only_sender IS NOT NULL"),
    )


def _create_outbox() -> None:
    """Add events, webhook endpoints and deliveries."""
    op.create_table(
        "events",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("api_key", sa.Text(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("events_created", "events", ["created_at"], unique=False)
    op.create_index("events_subject", "events", ["subject"], unique=False)
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("endpoint_id", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("waits_since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "webhook_deliveries_due",
        "webhook_deliveries",
        ["endpoint_id", "next_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
        sqlite_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "webhook_deliveries_endpoint", "webhook_deliveries", ["endpoint_id", "id"], unique=False
    )
    op.create_index(
        "webhook_deliveries_status",
        "webhook_deliveries",
        ["endpoint_id", "status", "id"],
        unique=False,
    )
    op.create_index("webhook_deliveries_event", "webhook_deliveries", ["event_id"], unique=False)
    op.create_index(
        "webhook_deliveries_order",
        "webhook_deliveries",
        ["endpoint_id", "subject", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
        sqlite_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=False),
        sa.Column("api_key", sa.Text(), nullable=True),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("previous_secret_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("enabled_at", sa.BigInteger(), nullable=True),
        sa.Column("alerted", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )


def _let_messages_be_without_verification() -> None:
    """Copy the table on SQLite, which cannot change columns; recreate its triggers."""
    last_id = _last_message_id()
    with op.batch_alter_table("messages", table_kwargs={"sqlite_autoincrement": True}) as messages:
        messages.alter_column("verification_id", existing_type=sa.Text(), nullable=True)
    if last_id is not None:
        _continue_message_ids(last_id)
    _create_phone_triggers()


def _create_phone_triggers() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for statement in SQLITE_TRIGGERS:
            connection.exec_driver_sql(statement)


def _last_message_id() -> int | None:
    """Return SQLite's highest message id ever, including deleted messages, or None."""
    if op.get_bind().dialect.name != "sqlite":
        return None
    counter = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'messages'")
    last_id: int | None = op.get_bind().scalar(counter)
    return last_id


def _continue_message_ids(last_id: int) -> None:
    """Continue SQLite's ids after the highest one ever: none is reused."""
    op.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'messages'"))
    counter = sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('messages', :last_id)")
    op.execute(counter.bindparams(last_id=last_id))
