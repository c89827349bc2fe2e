"""The tables; times are milliseconds since the epoch (`clock.now_ms`)."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.engine import Dialect

metadata = MetaData()


class ForeignText(TypeDecorator[str]):
    """Untrusted text, stored without NUL and lone surrogates, which databases reject."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace characters that databases reject."""
        del dialect
        if value is None:
            return None
        return storable(value)


def storable(text: str) -> str:
    """Return a text without characters that databases reject."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _sentence(column: str) -> tuple[Column[str], Column[str], Column[str]]:
    """Return the columns of a sentence: English text, code and parameters."""
    return (
        Column(column, ForeignText),
        Column(f"{column}_code", Text),
        Column(f"{column}_params", ForeignText),
    )


# SQLite generates ids only for a column of the exact type INTEGER.
RowNumber = BigInteger().with_variant(Integer(), "sqlite")
Moment = BigInteger

verifications = Table(
    "verifications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("phone", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("code_digest", LargeBinary, nullable=False),
    # To search for the code and to send it again; both are erased when it is no longer valid.
    Column("code_index", LargeBinary),
    Column("code_sealed", LargeBinary),
    Column("api_key", Text, nullable=False),  # the owner: `api_keys.owner`, or `environment`
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("template", Text, nullable=False, server_default="otp"),
    Column("locale", Text),
    Column("reference", ForeignText),  # the caller's own id
    Column("metadata_json", ForeignText),  # the caller's own, returned in events
    Column("hides_code", Boolean, nullable=False, server_default=false()),
    Column("attempts", Integer, nullable=False, server_default="0"),  # wrong codes
    Column("resends", Integer, nullable=False, server_default="0"),
    Column("ended_at", Moment),  # when it left pending
    Column("reason", Text),  # why it was canceled: superseded, caller, admin or forgotten
    # For links (`links.py`). Without a given number, `phone` is empty until the user writes.
    Column("link_mode", Text),  # reply or verify
    # To find the token and to show the link again; both are erased when the token is used.
    Column("link_index", LargeBinary),
    Column("link_sealed", LargeBinary),
    Column("redirect_url", ForeignText),
    Column("proved_phone", ForeignText),  # the number that sent the token
)
# Ids rise with time, so the newest verification of a phone is the last one.
Index("verifications_phone", verifications.c.phone, verifications.c.id)
Index("verifications_owner", verifications.c.api_key, verifications.c.status, verifications.c.id)
Index(
    "verifications_reference",
    verifications.c.reference,
    verifications.c.id,
    postgresql_where=text("reference IS NOT NULL"),
    sqlite_where=text("reference IS NOT NULL"),
)
Index(
    "verifications_link",
    verifications.c.link_index,
    unique=True,
    postgresql_where=text("link_index IS NOT NULL"),
    sqlite_where=text("link_index IS NOT NULL"),
)
Index(
    "verifications_proved",
    verifications.c.proved_phone,
    postgresql_where=text("proved_phone IS NOT NULL"),
    sqlite_where=text("proved_phone IS NOT NULL"),
)
Index(
    "verifications_with_code",
    verifications.c.expires_at,
    postgresql_where=text("code_sealed IS NOT NULL OR link_index IS NOT NULL"),
    sqlite_where=text("code_sealed IS NOT NULL OR link_index IS NOT NULL"),
)
Index(
    "verifications_code",
    verifications.c.code_index,
    postgresql_where=text("code_index IS NOT NULL"),
    sqlite_where=text("code_index IS NOT NULL"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    # None for an answer to an invalid token.
    Column("verification_id", Text, ForeignKey("verifications.id")),
    Column("channel", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("body", Text, nullable=False),  # with {code} as placeholder, if it has a code
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("available_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("sender", Text),
    Column("only_sender", Text),  # the sender whose chat it answers; None: any of the channel
    Column("lease_expires_at", Moment),
    Column("provider_message_id", ForeignText),
    *_sentence("error"),
    # The text keys of body and error in `texts`, for an admin's search.
    Column("body_key", BigInteger),
    Column("error_key", BigInteger),
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
    (
        "messages_answers",
        (messages.c.only_sender, messages.c.available_at),
        "status = 'queued' AND only_sender IS NOT NULL",
    ),
    ("messages_sending", (messages.c.lease_expires_at,), "status = 'sending'"),
    ("messages_failed", (messages.c.status, messages.c.expires_at), "status = 'failed'"),
    (
        "messages_provider_id",
        (messages.c.provider_message_id,),
        "provider_message_id IS NOT NULL",
    ),
    ("messages_request", (messages.c.request_id,), "request_id IS NOT NULL"),
    (
        "messages_error",
        (messages.c.error_key, messages.c.id, messages.c.status),
        "error_key IS NOT NULL",
    ),
):
    Index(name, *columns, postgresql_where=text(condition), sqlite_where=text(condition))
Index("messages_phone", messages.c.phone)
Index("messages_verification", messages.c.verification_id)
# For pages of one status, newest first. The other columns make it a covering index for a search
# within a status. `db/phone_index.py` searches by a fragment of a phone.
Index(
    "messages_status",
    messages.c.status,
    messages.c.id,
    messages.c.phone,
    messages.c.body_key,
    messages.c.error_key,
)
Index("messages_body", messages.c.body_key, messages.c.id)

# The distinct bodies and errors of messages, which are few.
texts = Table(
    "texts",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("text", ForeignText, nullable=False),
    # The sentence of an error, for a search in every language.
    Column("code", Text),
    Column("params", ForeignText),
)

# Steps that the message's row does not show: failed attempts, and actions of admins.
message_steps = Table(
    "message_steps",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("message_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("began_at", Moment),  # start of the attempt that ended at `at`
    Column("attempt", Integer),
    Column("sender", Text),
    *_sentence("text"),  # the error, or the admin's name without a code
    sqlite_autoincrement=True,
)
Index("message_steps_message", message_steps.c.message_id)

# Counters; each process adds to the rows of its own shard (`messages/counters.py`).
message_counts = Table(
    "message_counts",
    metadata,
    Column("status", Text, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("status", "shard"),
)

traffic = Table(
    "traffic",
    metadata,
    Column("unit", Text, nullable=False),  # minute or hour
    Column("start", Moment, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("sent", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("read", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False),
    Column("canceled", BigInteger, nullable=False),
    PrimaryKeyConstraint("unit", "start", "shard"),
)

delivery_times = Table(
    "delivery_times",
    metadata,
    Column("unit", Text, nullable=False),
    Column("start", Moment, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("bucket", Integer, nullable=False),  # see messages/counters.py
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("unit", "start", "shard", "bucket"),
)

senders = Table(
    "senders",
    metadata,
    Column("name", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("state_since", Moment, nullable=False),
    *_sentence("detail"),
    Column("qr", ForeignText),
    Column("qr_expires_at", Moment),  # when the next QR code replaces this one
    Column("pair_code", ForeignText),
    Column("phone", ForeignText),
    Column("device", ForeignText),  # the linked device's address in its session store
    Column("carries", Text),  # to whom it can send: all, known or none
    Column("until", Moment),  # the end of a restriction, if known
    Column("failed_reconnects", Integer, nullable=False, default=0),
    Column("lease_owner", Text),
    Column("lease_expires_at", Moment),
    Column("heartbeat_at", Moment),
    Column("next_send_at", Moment, nullable=False, default=0),
    Column("alerted_state", Text),  # for the previous version, like `alerted` below; see `alerts`
    Column("last_sent_at", Moment),
    Column("paused_at", Moment),  # since when an admin has paused it
    Column("lost_at", Moment),  # when the phone was unlinked, until one is linked again
    *_sentence("lost"),
)

sender_states = Table(
    "sender_states",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("sender", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", Moment, nullable=False),
    sqlite_autoincrement=True,
)
Index("sender_states_at", sender_states.c.sender, sender_states.c.at)
Index("sender_states_old", sender_states.c.at)

commands = Table(
    "commands",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("sender", Text, ForeignKey("senders.name"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("argument", ForeignText),
    Column("status", Text, nullable=False),
    *_sentence("result"),  # or a pairing code, which is no sentence
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

# The accounts behind numbers. WhatsApp may know a person by an older form of the number, so two
# numbers can belong to one account (`messages/whatsapp_accounts.py`).
whatsapp_accounts = Table(
    "whatsapp_accounts",
    metadata,
    Column("phone", ForeignText, primary_key=True),
    Column("whatsapp_phone", ForeignText),
    Column("lid", ForeignText),
)
Index("whatsapp_accounts_phone", whatsapp_accounts.c.whatsapp_phone)
Index("whatsapp_accounts_lid", whatsapp_accounts.c.lid)

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
    # The prefix of the key's first secret, so that rotations do not change the owner.
    Column("owner", Text, nullable=False, server_default=""),
    Column("digest", LargeBinary, nullable=False),
    Column(
        "scopes", Text, nullable=False, server_default="send"
    ),  # words of `api_key_settings.SCOPES`, separated by spaces
    Column("hides_code", Boolean, nullable=False, server_default=false()),
    Column("may_link_verify", Boolean, nullable=False, server_default=false()),
    # The key's own limits (`verification/limits/rate_limits.py`); None: those of the settings.
    Column("limits", Text),
    Column("networks", Text),  # networks that may use it, separated by spaces; None: all
    # The digits of its codes; the second applies only if `OTP_LENGTH` is not set either.
    Column("code_length", Integer),
    Column("usual_code_length", Integer),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
    sqlite_autoincrement=True,
)

# The verifications of sends with an Idempotency-Key, for 24 hours.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("api_key", Text, nullable=False),
    Column("key_digest", LargeBinary, nullable=False),
    Column("body_digest", LargeBinary, nullable=False),
    Column("verification_id", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("api_key", "key_digest"),
)
Index("idempotency_keys_created", idempotency_keys.c.created_at)

# The answers to checks, links and resends with an Idempotency-Key, for 24 hours
# (`verification/kept_answers.py`).
kept_answers = Table(
    "kept_answers",
    metadata,
    Column("api_key", Text, nullable=False),
    Column("endpoint", Text, nullable=False),  # of a resend, with the verification's id
    Column("key_digest", LargeBinary, nullable=False),
    Column("body_digest", LargeBinary, nullable=False),
    Column("verification_id", Text, nullable=False),
    Column("answer_sealed", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("api_key", "endpoint", "key_digest"),
)
Index("kept_answers_created", kept_answers.c.created_at)

# Counts of each subject of a limit, by the start of the part of its window
# (`verification/limits/rate_limits.py`).
limit_counts = Table(
    "limit_counts",
    metadata,
    Column("subject", Text, nullable=False),
    Column("start", Moment, nullable=False),
    Column("count", Integer, nullable=False),
    Column("expires_at", Moment, nullable=False),
    PrimaryKeyConstraint("subject", "start"),
)
Index("limit_counts_expiry", limit_counts.c.expires_at)

# Started and approved verifications of each country.
conversions = Table(
    "conversions",
    metadata,
    Column("country", Text, nullable=False),
    Column("start", Moment, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("started", Integer, nullable=False),
    Column("approved", Integer, nullable=False),
    PrimaryKeyConstraint("country", "start", "shard"),
)
Index("conversions_start", conversions.c.start)

# Countries whose conversion fell far below its usual level.
country_guards = Table(
    "country_guards",
    metadata,
    Column("country", Text, primary_key=True),
    Column("since", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Column("blocks", Boolean, nullable=False),
    Column("share", Integer, nullable=False),  # in percent
    Column("habit", Integer, nullable=False),
    Column("alerted", Text),  # for the previous version; see `alerts`
)

# Alerts that were sent about a sender, country or endpoint (`maintenance/alerts/state.py`).
alerts = Table(
    "alerts",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("told", Text),
    Column("telling", Text),  # the alert that is being sent
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Moment, nullable=False),
)

# When each phone was last answered that its token is invalid, to do so once an hour.
link_answers = Table(
    "link_answers",
    metadata,
    Column("phone", ForeignText, primary_key=True),
    Column("answered_at", Moment, nullable=False),
)

# The outbox: events that an endpoint wants, written in the transaction of the change.
events = Table(
    "events",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),  # rises with time
    Column("event_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),  # a verification's id, or a sender's name
    Column("api_key", Text),  # the owner of the verification
    Column("payload", ForeignText, nullable=False),  # the event's `data` as JSON
    Column("created_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)
Index("events_created", events.c.created_at)
Index("events_subject", events.c.subject)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("url", Text, nullable=False),
    Column("kinds", Text, nullable=False),  # words of `event_types.KINDS`, separated by spaces
    Column("api_key", Text),  # owner whose events it gets; None: all events
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("previous_secret_sealed", LargeBinary),  # also signs until `previous_until`
    Column("previous_until", Moment),
    Column("created_at", Moment, nullable=False),
    Column("failing_since", Moment),  # every delivery since then has failed
    Column("disabled_at", Moment),
    *_sentence("disabled_reason"),
    Column(
        "enabled_at", Moment
    ),  # last time; then-pending deliveries count their waiting from here
    Column("alerted", Text),  # for the previous version; see `alerts`
    sqlite_autoincrement=True,
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("endpoint_id", BigInteger, nullable=False),
    Column("event_id", BigInteger, nullable=False),  # `events.id`
    Column("subject", Text, nullable=False),
    Column("status", Text, nullable=False),  # pending, delivered or failed
    Column("attempts", Integer, nullable=False),
    Column("next_at", Moment, nullable=False),  # during an attempt: the end of the lease
    Column("lease_expires_at", Moment),
    Column("last_status", Integer),  # HTTP status
    *_sentence("last_error"),
    Column("last_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("waits_since", Moment, nullable=False),  # since its last replay, else `created_at`
    sqlite_autoincrement=True,
)
Index(
    "webhook_deliveries_due",
    webhook_deliveries.c.endpoint_id,
    webhook_deliveries.c.next_at,
    webhook_deliveries.c.id,
    postgresql_where=text("status = 'pending'"),
    sqlite_where=text("status = 'pending'"),
)
Index(
    "webhook_deliveries_order",
    webhook_deliveries.c.endpoint_id,
    webhook_deliveries.c.subject,
    webhook_deliveries.c.id,
    postgresql_where=text("status = 'pending'"),
    sqlite_where=text("status = 'pending'"),
)
Index(
    "webhook_deliveries_status",
    webhook_deliveries.c.endpoint_id,
    webhook_deliveries.c.status,
    webhook_deliveries.c.id,
)
Index("webhook_deliveries_event", webhook_deliveries.c.event_id)
Index("webhook_deliveries_endpoint", webhook_deliveries.c.endpoint_id, webhook_deliveries.c.id)

admins = Table(
    "admins",
    metadata,
    Column("username", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # of the cookie's token
    Column("username", Text, nullable=False),
    # Identifies the password at login: changing it ends the session.
    Column("password_mark", LargeBinary, nullable=False),
    Column("is_complete", Boolean, nullable=False),  # False until the second factor is given
    Column("address", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
)
Index("sessions_username", sessions.c.username)

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("address", Text, nullable=False),
    Column("username", ForeignText, nullable=False),
    Column("at", Moment, nullable=False),
    sqlite_autoincrement=True,
)
Index("login_attempts_address", login_attempts.c.address, login_attempts.c.at)
Index("login_attempts_username", login_attempts.c.username, login_attempts.c.at)

second_factors = Table(
    "second_factors",
    metadata,
    Column("username", Text, primary_key=True),
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("confirmed_at", Moment),
    Column("last_step", BigInteger),  # the 30-s step of the last used code; each works once
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("username", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("used_at", Moment),
    PrimaryKeyConstraint("username", "digest"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("who", ForeignText, nullable=False),
    Column("address", Text),
    Column("what", Text, nullable=False),  # a word of `audit.What`
    Column("subject", ForeignText),  # the job, sender or key
    Column("outcome", Text, nullable=False),  # ok, refused or failed
    *_sentence("detail"),
    sqlite_autoincrement=True,
)
Index("audit_at", audit.c.at)

# Different searches for codes, for a day (`messages/code_searches.py`).
code_searches = Table(
    "code_searches",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("who", Text, nullable=False),
    Column("code_index", LargeBinary, nullable=False),
    Column("left_out", Boolean, nullable=False),  # too many: the codes were not searched
    Column("at", Moment, nullable=False),
    sqlite_autoincrement=True,
)
Index("code_searches_at", code_searches.c.at)

installation = Table(
    "installation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
