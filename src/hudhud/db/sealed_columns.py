"""Reseal columns after the secret has changed."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Connection, select, update

from hudhud.core.crypto import Cipher, SealingError


def reseal(
    connection: Connection,
    cipher: Cipher,
    column: Column[Any],
    *,
    bound_to: Column[str],
    report_lost: Callable[[Any, SealingError], None],
) -> int:
    """Reseal values of the previous secret under the current; return how many.

    Each value is bound to the row's `bound_to`. Values that neither secret opens are left alone,
    and `report_lost` is called with the row's key and the error.
    """
    table = column.table
    (key,) = table.primary_key.columns
    found = select(key, bound_to.label("bound_to"), column).where(column.is_not(None))
    changed = 0
    for row_key, owner, sealed in connection.execute(found.with_for_update()).all():
        if cipher.is_current(sealed):
            continue
        try:
            renewed = cipher.seal(owner, cipher.open(owner, sealed))
        except SealingError as error:
            report_lost(row_key, error)
            continue
        connection.execute(update(table).where(key == row_key).values({column: renewed}))
        changed += 1
    return changed
