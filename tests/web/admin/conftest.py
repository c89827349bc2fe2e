"""A server with an admin, over this test's own database, and who uses it."""

from collections.abc import Iterator

import httpx
import pytest

from conftest import MigratedDatabase
from hudhud.db.engine import Database
from support.admin import PASSWORD, Person, cheap_passwords, log_in_script, script
from support.keys import make_key
from support.web_server import ServeWeb, WebServer, web_server


@pytest.fixture
def cheap_hashes() -> Iterator[None]:
    """Passwords are hashed in a millisecond."""
    with cheap_passwords():
        yield


@pytest.fixture
def dashboard(serve_web: ServeWeb, cheap_hashes: None) -> WebServer:
    """A server on the sandbox whose admin has a password."""
    del cheap_hashes
    return serve_web(admin_password=PASSWORD)


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
    """An API key of scope admin, made before the server read the keys for the first time."""
    return make_key(dashboard.database, "backoffice", "admin")


@pytest.fixture(scope="module")
def served(migrated_database: MigratedDatabase) -> Iterator[WebServer]:
    """One server for a module's tests of pages, which are the same over both kinds of database."""
    with migrated_database("sqlite") as url, cheap_passwords():
        database = Database(url)
        with web_server(database, admin_password=PASSWORD) as server:
            yield server
        database.close()


@pytest.fixture(scope="module")
def session(served: WebServer) -> str:
    """The session of somebody who is logged in."""
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
    """A browser that is logged in and has chosen nothing."""
    stranger.client.cookies.set("hudhud_session", session)
    return stranger
