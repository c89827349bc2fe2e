"""A server with an admin on the test's database, and users."""

from collections.abc import Iterator

import httpx
import pytest

from support.admin import PASSWORD, Person, cheap_passwords, log_in_script, script
from support.keys import make_key
from support.web_server import ServeWeb, WebServer


@pytest.fixture
def cheap_hashes() -> Iterator[None]:
    """Hash passwords in a millisecond."""
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
    """An API key of scope admin, created before the first reload."""
    return make_key(dashboard.database, "backoffice", "admin")
