"""SQL for moments that keep their order although clocks are set back or differ."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, literal


def not_before(earlier: ColumnElement[Any], at: ColumnElement[int] | int) -> ColumnElement[int]:
    """Return `at`, or the moment `earlier` if that is later; it may be NULL."""
    chosen = literal(at, BigInteger) if isinstance(at, int) else at
    return case((earlier > chosen, earlier), else_=chosen)
