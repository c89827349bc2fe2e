"""The tables. Times are milliseconds since the epoch (`clock.now_ms`), statuses plain words."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect

metadata = MetaData()


class ForeignText(TypeDecorator[str]):
    """Text that others wrote, without what a database refuses: NUL and halves of letters."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Make the text storable."""
        del dialect
        if value is None:
            return None
        return value.replace("\0", "").encode("utf-8", "replace").decode()


# SQLite numbers rows by itself only in a column typed exactly INTEGER.
RowNumber = BigInteger().with_variant(Integer(), "sqlite")
Moment = BigInteger

verifications = Table(
    "verifications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("phone", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("code_digest", LargeBinary, nullable=False),
    # Both are erased when the code ends: the index finds a code, the seal gives it back.
    Column("code_index", LargeBinary),
    Column("code_sealed", LargeBinary),
    Column("api_key", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)
Index(
    "verifications_with_code",
    verifications.c.expires_at,
    postgresql_where=text("code_sealed IS NOT NULL"),
    sqlite_where=text("code_sealed IS NOT NULL"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("verification_id", Text, ForeignKey("verifications.id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("body", Text, nullable=False),  # still with {code} in the code's place
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("available_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("sender", Text),
    Column("lease_expires_at", Moment),
    Column("provider_message_id", ForeignText),
    Column("error", ForeignText),
    Column("request_id", Text),
    Column("created_at", Moment, nullable=False),
    Column("sending_at", Moment),
    Column("sent_at", Moment),
    Column("delivered_at", Moment),
    Column("read_at", Moment),
    Column("finished_at", Moment),  # failed, expired or canceled
    sqlite_autoincrement=True,
)
for name, columns, condition in (
    ("messages_queued", (messages.c.channel, messages.c.available_at), "status = 'queued'"),
    ("messages_queued_expiry", (messages.c.expires_at,), "status = 'queued'"),
    ("messages_sending", (messages.c.lease_expires_at,), "status = 'sending'"),
    (
        "messages_provider_id",
        (messages.c.provider_message_id,),
        "provider_message_id IS NOT NULL",
    ),
):
    Index(name, *columns, postgresql_where=text(condition), sqlite_where=text(condition))
Index("messages_phone", messages.c.phone)

senders = Table(
    "senders",
    metadata,
    Column("name", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("state_since", Moment, nullable=False),
    Column("detail", ForeignText),
    Column("qr", ForeignText),
    Column("pair_code", ForeignText),
    Column("phone", ForeignText),
    Column("device", ForeignText),  # the linked device's own address, as its session store names it
    Column("carries", Text),  # whom it can send to: all, known or none
    Column("until", Moment),  # the end of a restriction, where it is known
    Column("failed_reconnects", Integer, nullable=False, default=0),
    Column("lease_owner", Text),
    Column("lease_expires_at", Moment),
    Column("heartbeat_at", Moment),
    Column("next_send_at", Moment, nullable=False, default=0),
    Column("alerted_state", Text),
)

commands = Table(
    "commands",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("sender", Text, ForeignKey("senders.name"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("argument", ForeignText),
    Column("status", Text, nullable=False),
    Column("result", ForeignText),
    Column("created_at", Moment, nullable=False),
    Column("finished_at", Moment),
    sqlite_autoincrement=True,
)
Index("commands_by_sender", commands.c.sender, commands.c.status)

contacts = Table(
    "contacts",
    metadata,
    Column("phone", ForeignText, primary_key=True),
    Column("on_whatsapp", Boolean),
    Column("checked_at", Moment),
    Column("wrote_at", Moment),
)

inbound_messages = Table(
    "inbound_messages",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("sender", Text, nullable=False),
    Column("provider_message_id", ForeignText, nullable=False),
    Column("phone", ForeignText, nullable=False),
    Column("text", ForeignText, nullable=False),
    Column("received_at", Moment, nullable=False),
    UniqueConstraint("sender", "provider_message_id"),
    sqlite_autoincrement=True,
)
Index("inbound_messages_received", inbound_messages.c.received_at)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("revoked_at", Moment),
    sqlite_autoincrement=True,
)

admins = Table(
    "admins",
    metadata,
    Column("username", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)

installation = Table(
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
