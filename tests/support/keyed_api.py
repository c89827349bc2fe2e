"""The API for one key, with unique phone numbers."""

import itertools
import secrets
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import Row, select, update

from hudhud.auth import api_keys
from hudhud.db.tables import messages, verifications
from support.keys import make_key
from support.web_server import SEND, WebServer

OTP = "/api/v1/otp"
VERIFY = f"{OTP}/verify"
NO_LIMITS = "per_number=0 per_prefix=0"
_numbers = itertools.count(secrets.randbelow(10**7))


def new_number() -> str:
    """Return an Egyptian number that is unique in this test run."""
    return f"+2010{next(_numbers) % 10**8:08d}"


def wrong(code: str) -> str:
    """Return another code of the same length."""
    return code[:-1] + ("1" if code[-1] == "0" else "0")


@dataclass(frozen=True)
class KeyedApi:
    """A server and one of its keys."""

    server: WebServer
    key: str

    @property
    def owner(self) -> str:
        """Return the owner of everything that the key makes."""
        return api_keys.readable_prefix(self.key)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send a request with a JSON body."""
        chosen = {"X-API-KEY": self.key, **(headers or {})}
        return self.server.client.request(method, path, json=body, headers=chosen)

    def get(self, path: str = "", **query: object) -> httpx.Response:
        """Get a path below /api/v1/otp."""
        return self.server.client.get(
            f"{OTP}{path}",
            params={name: str(value) for name, value in query.items()},
            headers={"X-API-KEY": self.key},
        )

    def form(self, path: str, **fields: str) -> httpx.Response:
        return self.server.client.post(path, data=fields, headers={"X-API-KEY": self.key})

    def send(self, phone: str | None = None, **fields: Any) -> httpx.Response:
        return self.ask("POST", SEND, {"phoneNumber": phone or new_number(), **fields})

    def accepted(self, phone: str | None = None, **fields: Any) -> dict[str, Any]:
        """Request a code, which must be accepted, and return the answer."""
        answer = self.send(phone, **fields)
        assert answer.status_code == 202, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def check(self, **fields: Any) -> httpx.Response:
        return self.ask("POST", VERIFY, fields)

    def verification(self, one: str) -> Row[Any]:
        """Return a stored verification."""
        with self.server.database.read() as connection:
            found = select(verifications).where(verifications.c.id == one)
            return connection.execute(found).one()

    def change(self, one: str, **values: Any) -> None:
        """Change a verification directly in the database."""
        with self.server.database.write() as connection:
            connection.execute(
                update(verifications).where(verifications.c.id == one).values(values)
            )

    def change_job(self, number: int, **values: Any) -> None:
        """Change a message directly in the database."""
        with self.server.database.write() as connection:
            connection.execute(update(messages).where(messages.c.id == number).values(values))


def keyed(server: WebServer, *scopes: str, **settings: Any) -> KeyedApi:
    """Return the API with a new key, by default without limits."""
    chosen = {"limits": NO_LIMITS, **settings}
    key = make_key(server.database, secrets.token_hex(8), *scopes, **chosen)
    server.renew_keys()
    return KeyedApi(server, key)


def refusal(answer: httpx.Response) -> tuple[int, str | None]:
    """Return status and word of a refusal that has a sentence."""
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    body = answer.json()
    assert body.keys() <= {"message", "error"}
    assert body["message"]
    return answer.status_code, body.get("error")
