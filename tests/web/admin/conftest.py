"""A server with an admin, over this test's own database, and who uses it."""

from collections.abc import Iterator
from functools import partial

import httpx
import pytest
from argon2 import PasswordHasher

from hudhud import admin_password, api_keys
from support.admin import PASSWORD, Person, log_in_script, script
from support.web_server import ServeWeb, WebServer


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed in a millisecond; how long it takes is not what is tested."""
    cheap = partial(PasswordHasher, time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(admin_password, "PasswordHasher", cheap)


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
    with dashboard.database.write() as connection:
        return api_keys.create(connection, "backoffice", scopes=("admin",))
