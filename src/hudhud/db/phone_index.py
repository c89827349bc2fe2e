"""Search messages by a fragment of a phone, however long the history.

SQLite uses the trigram tokenizer of FTS5. PostgreSQL uses a GIN index of the three-character
pieces of each number, because pg_trgm is not installed everywhere. Revision 0002 creates both.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import (
    ARRAY,
    Connection,
    Integer,
    Select,
    Text,
    cast,
    column,
    func,
    literal_column,
    select,
    table,
)

from hudhud.db.tables import messages

# Shorter fragments match so many numbers that scanning the newest messages finds enough.
SHORTEST_INDEXED = 3
# FTS5's defaults.
_USUAL_MERGES = {"automerge": 4, "crisismerge": 16}
_NEVER = 1000
# Measured: 50 rows produce 5 pages to merge.
_PAGES_OF_A_STEP = 16
_FEWEST_PAGES = 4
_ROWS_OF_A_PAGE = 8
_PHONES = table("message_phones", column("rowid", Integer), column("phone", Text))


@contextmanager
def merging_little(connection: Connection, rows: int) -> Iterator[None]:
    """Limit FTS5's merging while `rows` messages are deleted or change their phone.

    Otherwise FTS5 merges segments once any process has written many, which can take 100 ms. Here
    it merges only a few pages, at the end of the block.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    _configure(connection, automerge=0, crisismerge=_NEVER)
    yield
    _configure(connection, merge=_FEWEST_PAGES + rows // _ROWS_OF_A_PAGE)
    _configure(connection, **_USUAL_MERGES)


def merge_some(connection: Connection, *, is_first: bool) -> bool:
    """Merge a part of the index, purging deleted entries; False when done.

    The first call starts with all segments. On PostgreSQL, VACUUM does this automatically.
    """
    if connection.dialect.name != "sqlite":
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
    """Return whether `holding` yields rows lazily and ordered by id."""
    return connection.dialect.name == "sqlite"


def holding(connection: Connection, fragment: str, *, alone: bool) -> Select[int]:
    """Select the ids of messages whose phone contains `fragment`, by the index.

    The fragment has at least `SHORTEST_INDEXED` characters, only digits and plus signs. Unless
    `alone`, the caller may add conditions on `messages`.
    """
    if is_ordered(connection):
        found = select(_PHONES.c.rowid.label("id"))
        if not alone:
            # Adding 0 keeps SQLite from scanning messages and asking FTS5 about each.
            same = messages.c.id == _PHONES.c.rowid + literal_column("0")
            found = found.select_from(_PHONES.join(messages, same))
        return found.where(_PHONES.c.phone.bool_op("MATCH")(f'"{fragment}"'))
    pieces = sorted({fragment[at : at + 3] for at in range(len(fragment) - 2)})
    has_pieces = func.hudhud_pieces(messages.c.phone).bool_op("@>")(cast(pieces, ARRAY(Text)))
    return select(messages.c.id).where(has_pieces, messages.c.phone.contains(fragment))
