"""Links and inbound texts without a web server or WhatsApp."""

from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import Row, select

from conftest import settings
from hudhud.app import build_link_starter
from hudhud.auth.caller import Caller
from hudhud.channels.base import Inbound, State, StateReport
from hudhud.core.crypto import CodeCipher
from hudhud.core.phones import Phone
from hudhud.core.settings import Settings
from hudhud.db.engine import Database
from hudhud.db.tables import messages, verifications
from hudhud.senders import records
from hudhud.verification.build import build_code_cipher, build_countries, build_templates
from hudhud.verification.links.start import LinkRequest, LinkStarter, StartedLink
from support.queued import CARRIES, NOW, PHONE, SECRET, caller, link_replies, put_sender

ACCOUNT = "+201550000001"
SENDER = "main"
LINK_MS = 600_000
KEY = caller("k", "send", "verify", may_link_verify=True)


def put_linked(
    database: Database,
    name: str = SENDER,
    phone: str = ACCOUNT,
    state: State = "connected",
) -> None:
    """Insert a sender that is linked to a phone."""
    put_sender(database, name, state, channel="linked", now=NOW)
    carries: Literal["all", "known", "none"] = CARRIES.get(state, "none")
    with database.write() as connection:
        report = StateReport(state, carries, phone=phone)
        records.report(connection, name=name, new=report, now=NOW)


def link_starter(database: Database, **changes: Any) -> LinkStarter:
    """Return a starter of links for live keys."""
    return link_starter_of(database, settings(**{"session_secret": SECRET, **changes}))


def link_starter_of(database: Database, chosen: Settings) -> LinkStarter:
    """Build the starter of links as the web application does."""
    templates, countries = build_templates(chosen), build_countries(chosen, database)
    return build_link_starter(chosen, database, build_code_cipher(chosen), templates, countries)


def start(
    database: Database,
    phone: Phone | None = None,
    *,
    by: Caller = KEY,
    now: int = NOW,
    changes: dict[str, Any] | None = None,
    **fields: Any,
) -> StartedLink:
    """Start a link; `fields` are those of the request, `changes` settings."""
    request = LinkRequest(phone=phone, **fields)
    return link_starter(database, **changes or {}).start(request, caller=by, now=now)


def write(
    database: Database,
    text: str,
    phone: str = PHONE,
    *,
    now: int = NOW,
    numbers: frozenset[str] = frozenset(),
    confirmed: frozenset[str] | None = None,
    sender: str | None = SENDER,
    channel: str = "linked",
    **changes: Any,
) -> None:
    """Write a text from a person to a sender; `numbers` are further ones of the person.

    Unless given, all are `confirmed`.
    """
    message, numbers = Inbound("m", phone, text, now), numbers | {phone}
    taking = link_replies(database, **{"channel": "linked", **changes})
    with database.write() as connection:
        taking.take(
            connection,
            message,
            numbers=numbers,
            confirmed=numbers if confirmed is None else confirmed,
            channel=channel,
            sender=sender,
            now=now,
        )


def stored(database: Database, verification_id: str) -> Row[Any]:
    """Return a stored verification."""
    with database.read() as connection:
        statement = select(verifications).where(verifications.c.id == verification_id)
        return connection.execute(statement).one()


def queued(database: Database) -> list[Row[Any]]:
    """Return all messages, oldest first."""
    with database.read() as connection:
        return list(connection.execute(select(messages).order_by(messages.c.id)))


def code_of(row: Row[Any]) -> str:
    """Return the code of a stored verification."""
    return CodeCipher(SECRET).codes.open(row.id, row.code_sealed)


def text_of(link: str) -> str:
    """Return the prefilled text that WhatsApp shows when a link is opened."""
    (text,) = parse_qs(urlsplit(link).query, strict_parsing=True)["text"]
    return str(text)
