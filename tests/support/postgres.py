"""Reused PostgreSQL databases: creating one takes longer than most tests."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import URL, Engine, create_engine, make_url, text

from hudhud.db.engine import Database
from hudhud.db.migrate import migrate
from hudhud.db.tables import installation, metadata

# Everything that a test may change in a database besides its rows.
FORM = """
    SELECT array_agg(form ORDER BY form) FROM (
        SELECT concat_ws(' ', relname, relkind, relnatts, relchecks, relhastriggers) AS form
        FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION SELECT 'at ' || version_num FROM alembic_version
        UNION SELECT 'set ' || setconfig::text FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) AS forms
"""
OTHER_CONNECTIONS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# For few rows this is faster than TRUNCATE.
EMPTY = "; ".join(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables))
NUMBER_FROM_ONE = """
    SELECT setval(oid::regclass, 1, false)
    FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
"""


def migrate_without_rows(database: Database) -> None:
    """Create the tables without the row that names the oldest supported version."""
    migrate(database)
    with database.write() as connection:
        connection.execute(installation.delete())


class PostgresDatabases:
    """Lends databases, and reuses migrated ones with an unchanged schema."""

    def __init__(self, server: str) -> None:
        url = make_url(server).set(drivername="postgresql+psycopg")
        self._admin: Engine = create_engine(url, isolation_level="AUTOCOMMIT")
        # No test cuts the power, and creating a database would flush every file of it.
        self._run("ALTER SYSTEM SET fsync = off")
        self._run("SELECT pg_reload_conf()")
        self._template = self._create("template1")
        database = Database(self._url(self._template))
        migrate_without_rows(database)
        database.close()
        self._form = self._form_of(self._template)
        self._free: list[str] = []

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Lend the address of a database without tables."""
        name = self._create("template1")
        yield self._url(name)
        self._drop(name)

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Lend the address of a database with all tables and no rows."""
        name = self._free.pop() if self._free else self._create(self._template)
        yield self._url(name)
        if self._clean(name):
            self._free.append(name)
        else:
            self._drop(name)

    def close(self) -> None:
        self._admin.dispose()

    def _create(self, template: str) -> str:
        name = f"hudhud_{secrets.token_hex(6)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def _drop(self, name: str) -> None:
        self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _clean(self, name: str) -> bool:
        """Empty the tables; return False if the schema has changed."""
        try:
            with self._connect(name) as connection:
                connection.execute(OTHER_CONNECTIONS)
                if connection.execute(FORM).fetchone() != self._form:
                    return False
                connection.execute(EMPTY)
                connection.execute(NUMBER_FROM_ONE)
        except psycopg.Error:
            return False
        return True

    def _form_of(self, name: str) -> object:
        with self._connect(name) as connection:
            return connection.execute(FORM).fetchone()

    def _connect(self, name: str) -> psycopg.Connection:
        return psycopg.connect(self._url(name), autocommit=True)

    def _url(self, name: str) -> str:
        url: URL = self._admin.url.set(drivername="postgresql", database=name)
        return url.render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))
