"""Search messages by a fragment of a phone, however long the history.

SQLite uses the trigram tokenizer of FTS5. Housekeeping adds new messages in batches, because FTS5
merges its segments now and then, which would delay the transactions that accept codes; searches
scan messages that are not indexed yet. PostgreSQL uses a GIN index of the three-character pieces of
each number, because pg_trgm is not installed everywhere. Revisions 0002 and 0011 create both.
"""

from sqlalchemy import (
    ARRAY,
    Connection,
    Integer,
    Select,
    Text,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
    table,
    update,
)

from hudhud.db.tables import messages

# Shorter fragments match so many numbers that scanning the newest messages finds enough.
SHORTEST_INDEXED = 3
# A batch holds the lock for a few milliseconds, and merges about as many pages as it writes.
INDEXED_AT_ONCE = 500
_PAGES_OF_A_STEP = 16
# Measured: 50 rows produce 5 pages to merge.
_FEWEST_PAGES = 4
_ROWS_OF_A_PAGE = 8
_PHONES = table("message_phones", column("rowid", Integer), column("phone", Text))
_INDEXED = table("message_phones_indexed", column("up_to", Integer))
_UP_TO = select(_INDEXED.c.up_to).scalar_subquery()


def has_new(connection: Connection) -> bool:
    """Return whether messages are missing from the index; on PostgreSQL none ever are."""
    if not is_ordered(connection):
        return False
    return bool(connection.scalar(select(func.max(messages.c.id) > _UP_TO)))


def index_some(connection: Connection, most: int = INDEXED_AT_ONCE) -> bool:
    """Add the oldest missing messages to SQLite's index; return whether others may be missing."""
    new = select(messages.c.id, messages.c.phone).where(messages.c.id > _UP_TO)
    rows = connection.execute(new.order_by(messages.c.id).limit(most)).all()
    if rows:
        added = [{"rowid": row.id, "phone": row.phone} for row in rows]
        connection.execute(insert(_PHONES), added)
        connection.execute(update(_INDEXED).values(up_to=rows[-1].id))
        _configure(connection, merge=_PAGES_OF_A_STEP)
    return len(rows) == most


def merge_after(connection: Connection, rows: int) -> None:
    """Merge a few pages after `rows` messages were deleted or changed their phone."""
    if is_ordered(connection):
        _configure(connection, merge=_FEWEST_PAGES + rows // _ROWS_OF_A_PAGE)


def merge_some(connection: Connection, *, is_first: bool) -> bool:
    """Merge a part of the index, purging deleted entries; False when done.

    The first call starts with all segments. On PostgreSQL, VACUUM does this automatically.
    """
    if not is_ordered(connection):
        return False
    before = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
    _configure(connection, merge=-_PAGES_OF_A_STEP if is_first else _PAGES_OF_A_STEP)
    after = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
    # The command itself counts as one change (see `merge` in FTS5's documentation).
    return bool(is_first or after - before > 1)


def _configure(connection: Connection, **values: int) -> None:
    for name, value in values.items():
        command = "INSERT INTO message_phones(message_phones, rank) VALUES (?, ?)"
        connection.exec_driver_sql(command, (name, value))


def is_ordered(connection: Connection) -> bool:
    """Return whether selects of `holding` yield rows lazily and ordered by id, as SQLite does."""
    return connection.dialect.name == "sqlite"


def holding(connection: Connection, fragment: str, *, alone: bool) -> list[Select[int]]:
    """Select the ids of messages whose phone contains `fragment`, each in one of the selects.

    The fragment has at least `SHORTEST_INDEXED` characters, only digits and plus signs. Unless
    `alone`, the caller may add conditions on `messages`.
    """
    contains = messages.c.phone.contains(fragment)
    if is_ordered(connection):
        new = select(messages.c.id).where(messages.c.id > _UP_TO, contains)
        return [_indexed(fragment, alone=alone), new]
    pieces = sorted({fragment[at : at + 3] for at in range(len(fragment) - 2)})
    has_pieces = func.hudhud_pieces(messages.c.phone).bool_op("@>")(cast(pieces, ARRAY(Text)))
    return [select(messages.c.id).where(has_pieces, contains)]


def _indexed(fragment: str, *, alone: bool) -> Select[int]:
    found = select(_PHONES.c.rowid.label("id"))
    if not alone:
        # Adding 0 keeps SQLite from scanning messages and asking FTS5 about each.
        same = messages.c.id == _PHONES.c.rowid + literal_column("0")
        found = found.select_from(_PHONES.join(messages, same))
    return found.where(_PHONES.c.phone.bool_op("MATCH")(f'"{fragment}"'))
