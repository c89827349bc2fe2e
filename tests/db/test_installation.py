"""Facts about the installation, each changed by only one process."""

from hudhud.db import installation
from hudhud.db.engine import Database


def test_a_value_is_written_read_and_removed(database: Database) -> None:
    with database.write() as connection:
        assert installation.read(connection, "name") is None
        installation.write(connection, "name", "one")
        installation.write(connection, "name", "two")
        installation.write(connection, "other", "three")
        assert installation.read(connection, "name") == "two"
        installation.remove(connection, "name")
        assert installation.read(connection, "name") is None
        assert installation.read(connection, "other") == "three"


def test_only_the_first_process_replaces_a_value(database: Database) -> None:
    with database.write() as connection:
        assert installation.replace(connection, "name", before=None, value="1")
        assert not installation.replace(connection, "name", before=None, value="2")
        assert installation.replace(connection, "name", before="1", value="2")
        assert not installation.replace(connection, "name", before="1", value="3")
        assert installation.read(connection, "name") == "2"
