"""Let housekeeping add new messages to SQLite's index of phone fragments."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# From now on, FTS5 merges only on command: its own merges would delay other transactions.
SQLITE = (
    "DROP TRIGGER message_phones_added",
    "DROP TRIGGER message_phones_removed",
    "DROP TRIGGER message_phones_changed",
    "CREATE TABLE message_phones_indexed (up_to INTEGER NOT NULL)",
    "INSERT INTO message_phones_indexed SELECT coalesce(max(id), 0) FROM messages",
    "CREATE TRIGGER message_phones_removed AFTER DELETE ON messages "
    "WHEN old.id <= (SELECT up_to FROM message_phones_indexed) BEGIN "
    "INSERT INTO message_phones(message_phones, rowid, phone) "
    "VALUES ('delete', old.id, old.phone); END",
    "CREATE TRIGGER message_phones_changed AFTER UPDATE OF phone ON messages "
    "WHEN old.id <= (SELECT up_to FROM message_phones_indexed) BEGIN "
    "INSERT INTO message_phones(message_phones, rowid, phone) "
    "VALUES ('delete', old.id, old.phone); "
    "INSERT INTO message_phones(rowid, phone) VALUES (new.id, new.phone); END",
    "INSERT INTO message_phones(message_phones, rank) VALUES ('automerge', 0)",
    "INSERT INTO message_phones(message_phones, rank) VALUES ('crisismerge', 1000)",
)


def upgrade() -> None:
    """Replace the triggers; the index keeps its entries."""
    connection = op.get_bind()
    for statement in SQLITE if connection.dialect.name == "sqlite" else ():
        connection.exec_driver_sql(statement)
