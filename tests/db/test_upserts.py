"""Insert rows, or change those that exist, on both databases."""

from sqlalchemy import select

from hudhud.db.engine import Database
from hudhud.db.tables import installation
from hudhud.db.upserts import insert_or_ignore, insert_or_update


def test_an_insert_that_meets_its_like_does_nothing_or_changes(database: Database) -> None:
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


def test_an_insert_that_meets_its_like_changes_only_what_fits(database: Database) -> None:
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
