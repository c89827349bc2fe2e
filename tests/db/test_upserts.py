"""Insert rows, or change existing ones, on both databases."""

from sqlalchemy import select

from hudhud.db.engine import Database
from hudhud.db.tables import installation
from hudhud.db.upserts import insert_or_ignore, insert_or_update


def test_conflicting_insert_is_ignored_or_updates_the_row(database: Database) -> None:
    is_new = []
    for value in ("one", "two"):
        with database.write() as connection:
            kept = {"name": "kept", "value": value}
            is_new.append(insert_or_ignore(connection, installation, kept))
            assert insert_or_update(connection, installation, {"name": "changed"}, {"value": value})
    assert is_new == [True, False]
    with database.read() as connection:
        rows = {row.name: row.value for row in connection.execute(select(installation))}
    assert (rows["kept"], rows["changed"]) == ("one", "two")


def test_conflicting_insert_updates_only_rows_that_match(database: Database) -> None:
    changed = []
    for value, before in (("one", "none"), ("two", "two"), ("three", "one")):
        with database.write() as connection:
            fits = installation.c.value == before
            row = {"name": "kept"}
            changed.append(
                insert_or_update(connection, installation, row, {"value": value}, where=fits)
            )
    assert changed == [True, False, True]
    with database.read() as connection:
        kept = select(installation.c.value).where(installation.c.name == "kept")
        assert connection.scalars(kept).all() == ["three"]
