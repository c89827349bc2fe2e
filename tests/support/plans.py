"""The machine-independent cost of database queries."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from sqlalchemy import Connection, event

Asked = list[tuple[str, Any]]


@contextmanager
def sqlite_steps(connection: Connection) -> Iterator[list[int]]:
    """Count the steps of SQLite's virtual machine, in hundreds."""
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    steps = [0]

    def one_more() -> int:
        steps[0] += 1
        return 0

    driver.set_progress_handler(one_more, 100)
    yield steps
    driver.set_progress_handler(None, 0)


@contextmanager
def statements_of(connection: Connection) -> Iterator[Asked]:
    """Record the statements of a connection."""
    asked: Asked = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        asked.append((statement, values))

    event.listen(connection, "after_cursor_execute", note)
    yield asked
    event.remove(connection, "after_cursor_execute", note)


def postgres_rows(connection: Connection, asked: Asked) -> float:
    """Return the number of rows that statements scan, including filtered ones."""
    plans = []
    for statement, values in asked:
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
        (answer,) = connection.exec_driver_sql(explain, values).scalar_one()
        plans.append(answer["Plan"])
    return sum(_rows(node) for plan in plans for node in _nodes(plan))


def _rows(node: dict[str, Any]) -> float:
    """Return the rows that a plan node scans."""
    if "Scan" not in node["Node Type"] or "Relation Name" not in node:
        return 0
    taken = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return float(taken * node["Actual Loops"])


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)
