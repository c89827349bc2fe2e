"""Messages in a queue, inserted as by the API."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, select, update

from conftest import settings
from hudhud import app
from hudhud.auth.api_key_settings import Scope
from hudhud.auth.caller import Caller
from hudhud.channels.base import State, StateReport
from hudhud.core.clock import now_ms
from hudhud.core.phones import Phone
from hudhud.core.settings import Settings
from hudhud.db.engine import Database
from hudhud.db.tables import messages, verifications
from hudhud.senders import records
from hudhud.verification.build import (
    build_code_cipher,
    build_countries,
    build_link_replies,
    build_templates,
)
from hudhud.verification.links.inbound import LinkReplies
from hudhud.verification.new_verification import Accepted, NewVerification, SendRequest

NOW = 1_795_483_878_036
VALIDITY_MS = 300_000
PHONE = "+201001234567"
SECRET = "a secret of the tests"
CARRIES: dict[State, Literal["all", "known"]] = {"connected": "all", "restricted": "known"}


@dataclass(frozen=True, slots=True)
class Starter:
    """What makes verifications, and what writes them."""

    make: Callable[..., NewVerification]
    write: Callable[[Connection, Sequence[NewVerification]], list[Accepted | Exception]]


def build_starter(
    database: Database, chosen: Settings, clock: Callable[[], int] = now_ms
) -> Starter:
    """Put both together, as the web application does."""
    cipher, countries = build_code_cipher(chosen), build_countries(chosen, database)
    acceptor = app.build_acceptor(chosen, database, cipher, countries, clock)
    return Starter(app.build_starter(chosen, cipher, build_templates(chosen)).make, acceptor.write)


def starter(database: Database, clock: Callable[[], int] = now_ms, /, **changes: Any) -> Starter:
    """Return a writer of verifications, by default on the sandbox."""
    return build_starter(
        database, settings(**{"channel": "sandbox", "session_secret": SECRET, **changes}), clock
    )


def link_replies(database: Database, **changes: Any) -> LinkReplies:
    """Return a responder to link texts, by default on the sandbox."""
    chosen = settings(**{"channel": "sandbox", "session_secret": SECRET, **changes})
    templates, countries = build_templates(chosen), build_countries(chosen, database)
    return build_link_replies(chosen, database, build_code_cipher(chosen), templates, countries)


def caller(owner: str = "k", *scopes: Scope, **changes: Any) -> Caller:
    """Return a key without limits, by default with scope send."""
    chosen = {"limits": "per_number=0 per_prefix=0", **changes}
    return Caller(owner, owner, frozenset(scopes or ("send",)), **chosen)


def submit(
    database: Database, count: int = 1, *, now: int = NOW, phone: str = PHONE, **changes: Any
) -> list[int]:
    """Queue messages and return their ids."""
    return [one.message_id for one in accept(database, count, now=now, phone=phone, **changes)]


def accept(
    database: Database, count: int = 1, *, now: int = NOW, phone: str = PHONE, **changes: Any
) -> list[Accepted]:
    """Queue messages and return the data of the API's answer."""
    start = starter(database, **changes)
    # Separate keys, so that no message supersedes another.
    group = [
        start.make(
            SendRequest(Phone(phone, "EG")), caller=caller(f"k{one}"), request_id="r", now=now
        )
        for one in range(count)
    ]
    with database.write() as connection:
        results = start.write(connection, group)
    accepted = [result for result in results if isinstance(result, Accepted)]
    assert len(accepted) == count
    return accepted


def put_sender(
    database: Database,
    name: str = "main",
    state: State = "connected",
    *,
    channel: str = "sandbox",
    until: int | None = None,
    now: int | None = None,
) -> None:
    """Insert a sender with a supervisor and a heartbeat at `now`."""
    now = now_ms() if now is None else now
    with database.write() as connection:
        records.register(connection, name=name, channel=channel, now=now)
        assert records.take_lease(connection, name=name, owner="m", now=now)
        new = StateReport(state, CARRIES.get(state, "none"), until=until)
        records.report(connection, name=name, new=new, now=now)
        records.beat(connection, name=name, now=now)


def change(database: Database, message_id: int, **values: Any) -> None:
    """Change a message directly in the database."""
    with database.write() as connection:
        connection.execute(update(messages).where(messages.c.id == message_id).values(values))


def stored(database: Database, message_id: int) -> Row[Any]:
    """Return a stored message."""
    with database.read() as connection:
        return connection.execute(select(messages).where(messages.c.id == message_id)).one()


def statuses(connection: Connection) -> dict[int, str]:
    """Return the status of every message."""
    return {row.id: row.status for row in connection.execute(select(messages))}


def verification_of(database: Database, message_id: int) -> Row[Any]:
    """Return the stored verification of a message."""
    joined = verifications.c.id == messages.c.verification_id
    statement = select(verifications).join(messages, joined).where(messages.c.id == message_id)
    with database.read() as connection:
        return connection.execute(statement).one()
