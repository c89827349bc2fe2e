"""Users of the dashboard: a person with a browser, and a script."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from html import unescape
from types import TracebackType
from typing import Any, Self

import httpx

from conftest import MigratedDatabase
from hudhud.db.engine import Database
from support.passwords import cheap_passwords
from support.web_server import SECONDS, TLS, WebServer, web_server

USERNAME = "admin"
PASSWORD = "correct horse battery"
LOGIN = "/admin/login"
HTML = "text/html,application/xhtml+xml,*/*;q=0.8"
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
FORM = re.compile(r'<form[^>]*action="([^"]+)"[^>]*>.*?</form>', re.DOTALL)


class Person:
    """A browser that sends forms as the pages offer them."""

    def __init__(self, server: WebServer, **headers: str) -> None:
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{server.port}",
            headers={"Accept": HTML, **headers},
            timeout=SECONDS,
            verify=TLS,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self.client.close()

    @property
    def session(self) -> str | None:
        return self.client.cookies.get("hudhud_session")

    def get(self, path: str) -> httpx.Response:
        """Open a page without following redirects."""
        return self.client.get(path)

    def fill(self, path: str, action: str, **fields: str) -> httpx.Response:
        """Fill in and submit a page's form that posts to `action`."""
        page = self.get(path).text
        found = next(form for form in FORM.finditer(page) if form[1] == action)
        hidden = {name: unescape(value) for name, value in HIDDEN.findall(found[0])}
        return self.client.post(action, data={**hidden, **fields})

    def log_in(
        self, username: str = USERNAME, password: str = PASSWORD, *, path: str = LOGIN
    ) -> httpx.Response:
        """Submit the login form."""
        return self.fill(path, LOGIN, username=username, password=password)

    def is_in(self) -> bool:
        """Return whether the browser is logged in."""
        answer = self.get(LOGIN)
        return answer.status_code == 303


def is_admin(address: str, password: str) -> bool:
    """Return whether a person can log in at this address with the password."""
    with httpx.Client(base_url=address, headers={"Accept": HTML}, timeout=SECONDS) as browser:
        hidden = dict(HIDDEN.findall(browser.get(LOGIN).text))
        form = {**hidden, "username": USERNAME, "password": password}
        leads_to = browser.post(LOGIN, data=form).headers.get("Location", "")
    return str(leads_to) == "/admin/status"


@contextmanager
def serving_dashboard(migrated_database: MigratedDatabase, kind: str) -> Iterator[WebServer]:
    """Run a server on the sandbox whose admin has a password."""
    with migrated_database(kind) as url, ExitStack() as stack:
        database = Database(url)
        stack.callback(database.close)
        with cheap_passwords():
            server = stack.enter_context(web_server(database, admin_password=PASSWORD))
        yield server


def log_in_script(
    client: httpx.Client, username: str = USERNAME, password: str = PASSWORD, **more: Any
) -> httpx.Response:
    """Log in as a script does."""
    return client.post(LOGIN, json={"username": username, "password": password, **more})


@contextmanager
def script(server: WebServer, **headers: str) -> Iterator[httpx.Client]:
    """A client without a key that keeps cookies."""
    with httpx.Client(
        base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=SECONDS, verify=TLS
    ) as client:
        yield client
