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
    chosen = select(*key).where(is_old).order_by(order).limit(limit)
    rows = connection.execute(chosen.with_for_update(skip_locked=True)).all()
    if not rows:
        return 0
    if len(key) == 1:
        these = key[0].in_([row[0] for row in rows])
    else:
        these = tuple_(*key).in_([tuple(row) for row in rows])
    return connection.execute(delete(table).where(these)).rowcount
