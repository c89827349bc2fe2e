"""Web servers for the tests: one for all that leave it as it is, and others with settings."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from conftest import MigratedDatabase
from hudhud.db.engine import Database
from hudhud.db.tables import metadata
from support.web_server import ServeWeb, WebServer, web_server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def api(request: pytest.FixtureRequest, migrated_database: MigratedDatabase) -> Iterator[WebServer]:
    """The API over each kind of database; many tests share it."""
    with migrated_database(request.param) as url:
        database = Database(url)
        with web_server(database) as server:
            yield server
        database.close()


@pytest.fixture
def empty_api(api: WebServer) -> WebServer:
    """The shared API, its database emptied."""
    with api.database.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    return api


@pytest.fixture
def serve_web(database: Database) -> Iterator[ServeWeb]:
    """Starts servers over this test's own database, with settings."""
    with ExitStack() as stack:

        def serve(used: Database = database, **changes: Any) -> WebServer:
            stack.callback(used.close)  # once the server, which uses it until its end, has ended
            return stack.enter_context(web_server(used, **changes))

        yield serve
