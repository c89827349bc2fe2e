"""No code is readable anywhere, and no number in the logs.

The test searches everything that a running service writes or shows. At the end it plants a code and
a number, to prove that the search finds them.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase
from typing import Any, cast

import httpx
from sqlalchemy import Row, func, inspect, select, text, update

from hudhud.channels.sandbox import NOT_ON_WHATSAPP
from hudhud.core.clock import now_ms
from hudhud.core.crypto import CodeCipher
from hudhud.db.engine import Database
from hudhud.db.tables import messages, verifications, webhook_deliveries
from hudhud.verification.codes import new_code
from support.admin import PASSWORD, Person
from support.keyed_api import NO_LIMITS, OTP, VERIFY, new_number, wrong
from support.keys import make_key
from support.links import text_of
from support.receivers import Receiver, receiving
from support.services import Service, StartService, wait_until
from support.web_server import SEND, WebServer

SECONDS = 30.0
LENGTH = 10
SENDS = 100
EASTERN = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
ADMIN_PAGES = [
    "/admin/status",
    "/admin/status?limit=200",
    "/admin/status?filterStatus=sent&limit=200",
    "/admin/api/jobs?limit=100",
    "/admin/api/status-and-stats",
    "/admin/api/traffic",
    "/admin/keys",
    "/admin/webhooks",
    "/admin/webhooks/1",
    "/admin/audit",
]
OTHER_PAGES = ["/", "/healthz", "/readyz", "/api/openapi.json", "/api/docs", "/metrics"]


@dataclass
class Business:
    """A program that sends and checks codes and records the secrets."""

    client: httpx.Client
    codes: list[str] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)
    pages: list[httpx.Response] = field(default_factory=list)

    def ask(self, path: str, body: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """Send a request and keep every answer except those to a send."""
        answer = self.client.post(path, json=body or {}, headers=headers)
        assert answer.status_code < 500, answer.text
        if path != SEND:
            self.pages.append(answer)
        return answer

    def send(
        self, phone: str | None = None, key: str | None = None, **fields: Any
    ) -> dict[str, Any]:
        phone = phone or new_number()
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = self.ask(SEND, {"phoneNumber": phone, **fields}, **headers)
        assert answer.status_code == 202, answer.text
        accepted: dict[str, Any] = answer.json()
        self.phones.append(phone)
        self.codes += [accepted["otp"], wrong(accepted["otp"])]
        return {"phone": phone, **accepted}

    def check(self, one: dict[str, Any], typed: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.ask(VERIFY, {"jobId": one["jobId"], "otp": typed}).json()
        return answer

    def show(self, path: str) -> None:
        self.pages.append(self.client.get(path))


@dataclass(frozen=True)
class Site:
    """All places to be searched."""

    service: Service
    database: Database
    receiver: Receiver
    business: Business
    secret: str

    def places(self) -> dict[str, list[bytes]]:
        """Return the readable text by kind of place."""
        logs = self.service.folder / "logs"
        found = {
            "logs": [file.read_bytes() for file in logs.iterdir()],
            "console": [self.service.output.read_bytes()],
            "webhooks": [
                f"{one.headers} {one.path} {one.body}".encode() for one in self.receiver.received
            ],
            "pages": [f"{page.headers}".encode() + page.content for page in self.business.pages],
            "tables": [dump(row) for row in rows(self.database)],
        }
        if self.database.is_sqlite:
            folder = Path(str(self.database.url.database)).parent
            files = [file.read_bytes() for file in folder.glob("*.db*")]
            assert any(file.startswith(b"SQLite format 3") for file in files)
            found["database's files"] = files
        return found

    def count(self, *statuses: str) -> int:
        """Return the number of messages with one of these statuses."""
        counted = select(func.count()).where(messages.c.status.in_(statuses))
        with self.database.read() as connection:
            return connection.scalar(counted) or 0

    def wait_until_sent(self) -> None:
        """Wait until the sandbox has taken every message and reported its delivery."""
        waits = ("queued", "sending", "sent")
        wait_until(lambda: self.count(*waits) == 0, SECONDS, "all messages to arrive")

    def wait_until_told(self) -> None:
        """Wait until the receiver has every event."""
        pending = select(func.count()).where(webhook_deliveries.c.status != "delivered")

        def left() -> int:
            with self.database.read() as connection:
                return connection.scalar(pending) or 0

        wait_until(lambda: left() == 0, SECONDS, "all events to be delivered")


def rows(database: Database) -> Iterator[Row[Any]]:
    """Return every row of every table."""
    with database.read() as connection:
        for table in inspect(connection).get_table_names():
            yield from connection.execute(text(f'SELECT * FROM "{table}"'))


def dump(row: Row[Any]) -> bytes:
    """Return a row as text, with bytes unchanged and its values separated."""
    values = (one if isinstance(one, bytes) else str(one).encode() for one in row)
    return b"\n".join(values)


def leaks(found: Mapping[str, Sequence[bytes]], secrets: Iterable[str]) -> dict[str, set[str]]:
    """Return each secret found, with its place."""
    wanted = {secret: secret.encode() for secret in secrets}
    told = {
        place: {
            secret for content in contents for secret, signs in wanted.items() if signs in content
        }
        for place, contents in found.items()
    }
    return {place: secrets for place, secrets in told.items() if secrets}


@contextmanager
def site(start_service: StartService, database_variables: dict[str, str]) -> Iterator[Site]:
    """A service with verbose logs, its receiver and its clients."""
    secret = database_variables.get("SESSION_SECRET", "a secret of the search for leaks")
    variables = {
        "CHANNEL": "sandbox",
        "LOG_LEVEL": "debug",
        "OTP_LENGTH": str(LENGTH),
        "ADMIN_PASSWORD": PASSWORD,
        "WEBHOOK_ALLOW_PRIVATE": "true",
        "SESSION_SECRET": secret,
        **database_variables,
    }
    with receiving() as receiver:
        service = start_service(**variables)
        subprocess.run(
            [sys.executable, "-m", "hudhud", "webhooks", "add", receiver.url],
            cwd=service.folder,
            env={**os.environ, **variables},
            capture_output=True,
            check=True,
        )
        file = service.folder / "data" / "hudhud.db"
        opened = Database(variables.get("DATABASE_URL", f"sqlite:///{file}"))
        with closing(opened) as database, closing(new_client(service, database)) as client:
            yield Site(service, database, receiver, Business(client), secret)


def new_client(service: Service, database: Database) -> httpx.Client:
    """Return a client with a key that the service already accepts."""
    key = make_key(database, "shop", "send", "verify", "read", "sandbox", limits=NO_LIMITS)
    headers = {"X-API-KEY": key}
    client = httpx.Client(base_url=service.url, headers=headers, timeout=20)
    wait_until(lambda: client.get(OTP).status_code == 200, 10, "the key to be known")
    return client


def test_no_code_or_number_leaks(
    start_service: StartService, database_variables: dict[str, str]
) -> None:
    with site(start_service, database_variables) as found:
        waiting = live_through(found)
        look_at_everything(found, waiting[0]["otp"])
        found.wait_until_told()
        assert_all_happened(found)
        check_waiting(found, waiting)
        assert leaks(found.places(), found.business.codes) == {}
        planted = plant(found)
        assert found.service.stop() == 0
        places = found.places()
        assert leaks(places, found.business.codes) == {}
        assert leaks(places, [planted]).keys() == places.keys()
        written = {place: places[place] for place in ("logs", "console")}
        numbers = [number[start:] for number in found.business.phones for start in (1, 3)]
        assert leaks(written, numbers) == {}
        assert leaks(written, [planted[::-1]]).keys() == written.keys()


def live_through(site: Site) -> list[dict[str, Any]]:
    """Send a hundred codes, finish most, and return the waiting ones."""
    business = site.business
    ones = [send_one(business, number) for number in range(SENDS)]
    failed = business.send(NOT_ON_WHATSAPP)
    business.phones.remove(NOT_ON_WHATSAPP)  # the code itself contains this one
    wait_until(lambda: site.count("failed") == 1, SECONDS, "a failure")
    write_first(business)
    site.wait_until_sent()
    waiting = [one for number, one in enumerate(ones) if not finish(site, one, number % 10)]
    site.wait_until_sent()
    assert business.check(failed, failed["otp"])["error"] == "nothing_pending"
    return waiting


def send_one(business: Business, number: int) -> dict[str, Any]:
    """Request a code by one of the API's routes."""
    kind = number % 10
    if kind == 6:  # the second supersedes the first
        business.send(phone := new_number())
        return business.send(phone)
    if kind == 8:
        fields = {"code": new_code(LENGTH), "phone": new_number()}
        first, again = (business.send(key=f"order-{number}", **fields) for _ in range(2))
        assert first == again
        return first
    # Letters, because the logs mask any digits that look like a phone number.
    own = {"code": letters()} if kind == 3 else {}
    one = business.send(reference=f"order-{number}", metadata={"cart": number}, **own)
    if kind == 5:
        business.ask(f"{OTP}/{one['verificationId']}/cancel")
    return one


def finish(site: Site, one: dict[str, Any], kind: int) -> bool:
    """Act as a code's user; return False if it stays pending."""
    business, code = site.business, one["otp"]
    if kind == 9:
        return False
    if kind == 4:
        left = [business.check(one, wrong(code)).get("attemptsRemaining") for _ in range(6)]
        assert left == [4, 3, 2, 1, 0, None]
    elif kind == 5:
        assert business.check(one, code)["error"] == "nothing_pending"
    else:
        if kind == 7:
            send_again(site, one)
        if kind % 2:
            assert business.check(one, wrong(code))["valid"] is False
        typed = code.translate(EASTERN) if kind == 8 else code
        assert business.check(one, typed)["valid"] is True
        assert business.check(one, code)["error"] == "already_used"
    return True


def letters() -> str:
    return "".join(secrets.choice(ascii_lowercase) for _ in range(LENGTH))


def send_again(site: Site, one: dict[str, Any]) -> None:
    """Resend the code, as if half a minute had passed."""
    past = update(messages).where(messages.c.id == one["jobId"])
    with site.database.write() as connection:
        connection.execute(past.values(created_at=now_ms() - 60_000))
    assert site.business.ask(f"{OTP}/{one['jobId']}/resend").status_code == 202


def write_first(business: Business) -> None:
    """Start links, write their texts, and check the codes of the answers."""
    for _ in range(3):
        phone = new_number()
        link = business.client.post(f"{OTP}/link", json={"phoneNumber": phone}).json()
        business.phones.append(phone)
        business.codes.append(link["token"])
        text = text_of(link["whatsappLink"])
        business.ask("/api/v1/sandbox/inbound", {"phoneNumber": phone, "text": text})
        code = code_sent_to(business, phone)
        business.codes.append(code)
        named = {"verificationId": link["verificationId"], "otp": code}
        assert business.ask(VERIFY, named).json()["valid"] is True


def code_sent_to(business: Business, phone: str) -> str:
    """Return the code in the sandbox's message to a number."""

    def taken() -> list[dict[str, str]]:
        answer = business.client.get("/api/v1/sandbox/messages", params={"phoneNumber": phone})
        found: list[dict[str, str]] = answer.json()["messages"]
        return found

    wait_until(lambda: bool(taken()), SECONDS, "the code in the chat")
    (message,) = taken()
    return next(line for line in message["text"].splitlines() if line.isdigit())


def look_at_everything(site: Site, code: str) -> None:
    """Open all pages as an admin and as a program, and search."""
    business = site.business
    with site.database.read() as connection:
        jobs = connection.execute(select(messages.c.id, messages.c.verification_id)).all()
    with Person(cast("WebServer", site.service)) as admin:
        assert admin.log_in().status_code == 303
        shown = [f"/admin/jobs/{job.id}" for job in jobs[::9]]
        for path in [*ADMIN_PAGES, *shown, *OTHER_PAGES]:
            page = admin.get(path)
            assert page.status_code == {"/": 303, "/metrics": 404}.get(path, 200), path
            business.pages.append(page)
        # The search page repeats the admin's input; no other page may.
        assert admin.get(f"/admin/status?searchQuery={code}").status_code == 200
    for job in jobs[::9]:
        business.show(f"{OTP}/{job.id}")
        business.show(f"{OTP}/{job.verification_id}?wait=1")
    business.show(f"{OTP}?limit=200")


def assert_all_happened(site: Site) -> None:
    """Assert that the run covered every case."""
    told = {one.event["type"] for one in site.receiver.received}
    assert told >= {
        "verification.created",
        "verification.approved",
        "verification.canceled",
        "verification.failed",
        "message.sent",
        "message.delivered",
        "message.failed",
    }
    assert len(site.business.codes) > 2 * SENDS
    counted = select(verifications.c.status, func.count()).group_by(verifications.c.status)
    with site.database.read() as connection:
        found = {row[0]: row[1] for row in connection.execute(counted)}
    assert found == {
        "approved": 73,
        "canceled": 20,
        "max_attempts_reached": 10,
        "pending": 10,
        "failed": 1,
    }


def check_waiting(site: Site, waiting: Sequence[dict[str, Any]]) -> None:
    """Assert that only waiting codes exist, and only as ciphertext."""
    cipher = CodeCipher(site.secret)
    sealed = select(verifications).where(verifications.c.code_sealed.is_not(None))
    with site.database.read() as connection:
        kept = {
            row.id: cipher.codes.open(row.id, row.code_sealed) for row in connection.execute(sealed)
        }
    expected = {one["verificationId"]: one["otp"] for one in waiting}
    assert kept.items() >= expected.items()
    assert len(kept) == len(expected) + 1  # and the failed one, which may be retried


def plant(site: Site) -> str:
    """Plant a code and a number in wrong places; return the code."""
    business = site.business
    code = letters()
    fields = {"phoneNumber": new_number(), "code": code, "reference": code, "metadata": {"a": code}}
    sent = business.client.post(SEND, json=fields, headers={"X-Request-ID": f"{code}-{code[::-1]}"})
    business.show(f"{OTP}/{sent.json()['verificationId']}")
    site.wait_until_sent()
    site.wait_until_told()
    return code
