"""A server with an admin on the test's database, and users."""

from collections.abc import Iterator

import httpx
import pytest

from conftest import MigratedDatabase
from support.admin import Person, log_in_script, script, serving_dashboard
from support.keys import make_key
from support.web_server import WebServer


@pytest.fixture(scope="session")
def _sqlite_dashboard(migrated_database: MigratedDatabase) -> Iterator[WebServer]:
    with serving_dashboard(migrated_database, "sqlite") as server:
        yield server


@pytest.fixture(scope="session")
def _postgresql_dashboard(
    postgres_server: str, migrated_database: MigratedDatabase
) -> Iterator[WebServer]:
    del postgres_server  # must outlive this server
    with serving_dashboard(migrated_database, "postgresql") as server:
        yield server


@pytest.fixture
def dashboard(database_kind: str, request: pytest.FixtureRequest, cheap_hashes: None) -> WebServer:
    """A server on the sandbox whose admin has a password, shared and with an empty database."""
    del cheap_hashes
    server: WebServer = request.getfixturevalue(f"_{database_kind}_dashboard")
    server.empty()
    return server


@pytest.fixture
def person(dashboard: WebServer) -> Iterator[Person]:
    """A browser that is not logged in."""
    with Person(dashboard) as one:
        yield one


@pytest.fixture
def client(dashboard: WebServer) -> Iterator[httpx.Client]:
    """A script without a key and without a session."""
    with script(dashboard) as one:
        yield one


@pytest.fixture
def admin(dashboard: WebServer) -> Iterator[httpx.Client]:
    """A script with a session, which sends its token with every request."""
    with script(dashboard) as client:
        client.headers["X-CSRF-Token"] = log_in_script(client).json()["csrfToken"]
        yield client


@pytest.fixture
def admin_key(dashboard: WebServer) -> str:
    """An API key of scope admin, which the server knows."""
    key = make_key(dashboard.database, "backoffice", "admin")
    dashboard.renew_keys()
    return key
