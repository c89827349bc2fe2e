"""Search for messages by a fragment of their phone number, at a cost that history does not raise.

SQLite has the trigram tokenizer of FTS5. PostgreSQL has a GIN index on the three-digit pieces of
each number: pg_trgm would do the same, but is not installed everywhere. Revision 0002 makes both.
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

# Shorter fragments are in so many numbers that a scan of the newest messages finds enough.
SHORTEST_INDEXED = 3
# FTS5's own defaults, by the names of its commands.
_USUAL_MERGES = {"automerge": 4, "crisismerge": 16}
_NEVER = 1000
# Measured: 50 rows leave 5 pages to merge.
_PAGES_OF_A_STEP = 16
_FEWEST_PAGES = 4
_ROWS_OF_A_PAGE = 8
_PHONES = table("message_phones", column("rowid", Integer), column("phone", Text))


@contextmanager
def merging_little(connection: Connection, rows: int) -> Iterator[None]:
    """Let messages be deleted or renamed without the index merging more than these `rows` bring.

    FTS5 merges its segments when many were written by any process: that can take 100 ms.
    Here it merges a few pages at the end of the block, and nothing else; afterwards as always.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    _configure(connection, automerge=0, crisismerge=_NEVER)
    yield
    _configure(connection, merge=_FEWEST_PAGES + rows // _ROWS_OF_A_PAGE)
    _configure(connection, **_USUAL_MERGES)


def merge_some(connection: Connection, *, is_first: bool) -> bool:
    """Merge a part of the index, after which what was deleted is gone from it; False at its end.

    The first call begins with all segments. PostgreSQL's VACUUM does the same by itself.
    """
    if connection.dialect.name != "sqlite":
        return False
    before = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
    _configure(connection, merge=-_PAGES_OF_A_STEP if is_first else _PAGES_OF_A_STEP)
    after = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
    # The command itself counts as one change (FTS5's documentation of `merge`).
    return bool(is_first or after - before > 1)


def _configure(connection: Connection, **values: int) -> None:
    for name, value in values.items():
        command = "INSERT INTO message_phones(message_phones, rank) VALUES (?, ?)"
        connection.exec_driver_sql(command, (name, value))


def is_ordered(connection: Connection) -> bool:
    """Tell whether `holding` finds rows in the order of their ids, none before it is asked for."""
    return connection.dialect.name == "sqlite"


def holding(connection: Connection, fragment: str, *, alone: bool) -> Select[int]:
    """Select the ids of messages whose phone holds `fragment`, by the index.

    The fragment has `SHORTEST_INDEXED` characters or more, digits and plus signs alone. Unless it
    is `alone`, a condition on `messages` can be added.
    """
    if is_ordered(connection):
        found = select(_PHONES.c.rowid.label("id"))
        if not alone:
            # The sum keeps SQLite from beginning with the messages and asking FTS5 about each.
            same = messages.c.id == _PHONES.c.rowid + literal_column("0")
            found = found.select_from(_PHONES.join(messages, same))
        return found.where(_PHONES.c.phone.bool_op("MATCH")(f'"{fragment}"'))
    pieces = sorted({fragment[at : at + 3] for at in range(len(fragment) - 2)})
    has_pieces = func.hudhud_pieces(messages.c.phone).bool_op("@>")(cast(pieces, ARRAY(Text)))
    return select(messages.c.id).where(has_pieces, messages.c.phone.contains(fragment))
