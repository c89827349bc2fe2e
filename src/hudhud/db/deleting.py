"""Delete what is old, a bounded number of rows at a time."""

from sqlalchemy import ColumnElement, Connection, Table, delete, select, tuple_


def delete_some(
    connection: Connection,
    table: Table,
    is_old: ColumnElement[bool],
    *,
    order: ColumnElement[int],
    limit: int,
) -> int:
    """Delete at most `limit` rows of which `is_old` holds; return how many.

    They are found by an index in this `order`. What another process deletes at the same moment is
    left to it.
    """
    key = list(table.primary_key.columns)
    oldest = select(*key).where(is_old).order_by(order).limit(limit)
    # A CTE runs once; some plans of PostgreSQL run a subquery for each row, and beyond `limit`.
    chosen = oldest.with_for_update(skip_locked=True).cte("chosen")
    # A subquery, for SQLite would compare every row of the table with a list of keys.
    these = tuple_(*key).in_(select(*chosen.columns))
    # Counted by what is returned: of a statement that begins with WITH, sqlite3 knows no number.
    return len(connection.execute(delete(table).where(these).returning(key[0])).all())
