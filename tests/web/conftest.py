"""Web servers for tests: a shared one, and configured ones."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from conftest import MigratedDatabase
from hudhud.db.engine import Database
from support.admin import Person, serving_dashboard
from support.web_server import ServeWeb, WebServer, web_server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def api(request: pytest.FixtureRequest, migrated_database: MigratedDatabase) -> Iterator[WebServer]:
    """The API on each kind of database, shared by many tests."""
    with migrated_database(request.param) as url:
        database = Database(url)
        with web_server(database) as server:
            yield server
        database.close()


@pytest.fixture
def empty_api(api: WebServer) -> WebServer:
    """The shared API with an empty database."""
    api.empty()
    return api


@pytest.fixture
def serve_web(database: Database) -> Iterator[ServeWeb]:
    """Starts servers over this test's own database, with settings and waits."""
    with ExitStack() as stack:

        def serve(used: Database = database, **changes: Any) -> WebServer:
            stack.callback(used.close)  # after the server, which uses it until its end
            return stack.enter_context(web_server(used, **changes))

        yield serve


@pytest.fixture(scope="module")
def served(migrated_database: MigratedDatabase) -> Iterator[WebServer]:
    """One server for a module's tests, on one database."""
    with serving_dashboard(migrated_database, "sqlite") as server:
        yield server


@pytest.fixture(scope="module")
def session(served: WebServer) -> str:
    """The session of a logged-in admin."""
    with Person(served) as person:
        assert person.log_in().status_code == 303
        return str(person.session)


@pytest.fixture
def stranger(served: WebServer) -> Iterator[Person]:
    """A browser that is not logged in."""
    with Person(served) as person:
        yield person


@pytest.fixture
def member(stranger: Person, session: str) -> Person:
    """A browser that is logged in, with default preferences."""
    stranger.client.cookies.set("hudhud_session", session)
    return stranger
