"""Start verifications by link: the user sends us a prefilled text.

The text contains a token. WhatsApp may refuse our messages to strangers, but never our answers to
theirs. In mode `reply` the text is answered with the code; in mode `verify` it approves the
verification by itself. `inbound.py` handles the text when it arrives.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Row, select

from hudhud.auth.caller import Caller
from hudhud.channels.base import SANDBOX
from hudhud.channels.registry import channel_type
from hudhud.core.crypto import CodeCipher
from hudhud.core.errors import BadRequest, Gone, NotAllowed, NotFound, NotReady
from hudhud.core.phones import Phone
from hudhud.db import tables
from hudhud.db.engine import Database
from hudhud.db.locks import Lock, lock
from hudhud.messages import whatsapp_accounts
from hudhud.messages.templates.catalog import LinkMode, Templates
from hudhud.senders import records
from hudhud.verification.idempotency import IdempotentRequest
from hudhud.verification.ids import new_verification_id
from hudhud.verification.kept_answers import KeptAnswers
from hudhud.verification.lifecycle import PENDING
from hudhud.verification.limits import rate_limits
from hudhud.verification.limits.countries import CountryPolicy
from hudhud.verification.limits.rate_limits import NO_LIMITS, Limit, Limits, Quota
from hudhud.verification.links import tokens
from hudhud.webhooks import events

# Random bytes of a digest's length, which no code matches.
NO_CODE_BYTES = 32

ENDPOINT: Final = "link"
NEEDS_NUMBER = 'Bad Request: "phoneNumber" is required in mode "verify": who is expected to write.'
NOT_ALLOWED = (
    'This API key may not use the mode "verify". Use "reply", or make a key with: '
    "hudhud keys create NAME --allow-link-verify"
)
NOT_LINKED = "No WhatsApp number is linked yet to which a person could write. Link one first."
NO_LINK = "There is no such link."
LINK_OVER = "This link has been used, or its time is over. Start again."


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """A caller's request for a link; without `phone`, any person may write."""

    mode: LinkMode = "reply"
    phone: Phone | None = None
    reference: str | None = None
    locale: str | None = None
    redirect_url: str | None = None
    client_ip: str | None = None
    idempotent: IdempotentRequest | None = None


@dataclass(frozen=True, slots=True)
class StartedLink:
    """A stored link; its text must arrive before `expires_at`."""

    verification_id: str
    url: str
    token: str
    expires_at: int
    quota: Quota
    is_repeated: bool = False


@dataclass(frozen=True, slots=True)
class _NewLink:
    """A link not stored yet; `token` and its `text` are only stored sealed and hashed."""

    id: str
    request: LinkRequest
    owner: str
    channel: str
    locale: str
    token: str
    text: str
    limits: Sequence[Limit]
    created_at: int


class LinkStarter:
    """Creates and stores links."""

    def __init__(
        self,
        database: Database,
        cipher: CodeCipher,
        templates: Templates,
        countries: CountryPolicy,
        limits: Limits,
        *,
        channel: str,
        ttl_seconds: int,
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._kept = KeptAnswers(cipher.answers, StartedLink)
        self._templates = templates
        self._countries = countries
        self._limits = limits
        self._channel = channel
        self._ttl_seconds = ttl_seconds

    def start(self, request: LinkRequest, *, caller: Caller, now: int) -> StartedLink:
        """Store a verification that waits for the text of its link.

        A request repeated under the same Idempotency-Key gets its first answer again.
        Raises BadRequest, Contradiction for another body under the key, NotAllowed for a mode or a
        country, TooMany for a limit, and NotReady if no number is linked.
        """
        _refuse_mode(request, caller)
        new = self._new(request, caller, now)
        with self._database.write() as connection:
            self._kept.lock(connection, ENDPOINT, [request.idempotent])
            first = self._kept.find(connection, ENDPOINT, request.idempotent, now=now)
            if first is not None:
                return first
            started = self._store(connection, new)
            repeated = replace(started, quota=NO_LIMITS, is_repeated=True)
            self._kept.keep(connection, ENDPOINT, request.idempotent, repeated, now=now)
        return started

    def show(self, verification_id: str, *, caller: Caller, now: int) -> str:
        """Return a link's address. Raises NotFound, or Gone if it ended."""
        found = select(tables.verifications).where(tables.verifications.c.id == verification_id)
        with self._database.read() as connection:
            row = connection.execute(found).first()
        if row is None or row.link_mode is None or not caller.sees(row.api_key):
            raise NotFound(NO_LINK, "not_found")
        if row.link_sealed is None or row.expires_at <= now:
            raise Gone(LINK_OVER, "link_over")
        return self._cipher.links.open(row.id, row.link_sealed)

    def _new(self, request: LinkRequest, caller: Caller, now: int) -> "_NewLink":
        country = "" if request.phone is None else request.phone.country
        locale = self._templates.choose_locale(country, request.locale, caller.name)
        token = tokens.new_token()
        return _NewLink(
            id=new_verification_id(now),
            request=request,
            owner=caller.owner,
            channel=SANDBOX if caller.is_test else self._channel,
            locale=locale,
            token=token,
            text=self._templates.link_text(request.mode, locale, key_name=caller.name, token=token),
            limits=self._limits.of_link(caller, request.phone, request.client_ip),
            created_at=now,
        )

    def _store(self, connection: Connection, new: "_NewLink") -> StartedLink:
        if new.request.phone is not None:
            self._countries.check(new.request.phone)
        number = _number_to_write_to(connection, new.channel, now=new.created_at)
        url = _chat_address(new.channel, number, new.text)
        quota = _take_limits(connection, new)
        row = self._row(new, url)
        connection.execute(tables.verifications.insert().values(row))
        events.verification_changed(
            connection, "verification.created", [new.id], now=new.created_at
        )
        self._database.notify(connection)
        return StartedLink(new.id, url, new.token, row["expires_at"], quota)

    def _row(self, new: "_NewLink", url: str) -> dict[str, Any]:
        phone = new.request.phone
        return {
            "id": new.id,
            "phone": "" if phone is None else phone.number,
            "status": PENDING,
            "code_digest": secrets.token_bytes(NO_CODE_BYTES),
            "api_key": new.owner,
            "created_at": new.created_at,
            "expires_at": new.created_at + self._ttl_seconds * 1000,
            "locale": new.locale,
            "reference": new.request.reference,
            "link_mode": new.request.mode,
            "link_index": self._cipher.link_index(tokens.canonical(new.token)),
            "link_sealed": self._cipher.links.seal(new.id, url),
            "redirect_url": new.request.redirect_url,
        }


def _take_limits(connection: Connection, new: _NewLink) -> Quota:
    applying = new.limits
    if not applying:
        return NO_LIMITS
    if new.request.phone is not None:
        phone = new.request.phone.number
        numbers = whatsapp_accounts.numbers_of(connection, [phone])[phone]
        applying = rate_limits.for_each_number(applying, phone, numbers)
    lock(connection, Lock.LIMITS)
    (taken,) = rate_limits.take(connection, [applying], now=new.created_at)
    if not isinstance(taken, Quota):
        raise taken
    return taken


def _refuse_mode(request: LinkRequest, caller: Caller) -> None:
    if request.mode == "verify" and not caller.may_link_verify:
        raise NotAllowed(NOT_ALLOWED, "link_verify_not_allowed")
    if request.mode == "verify" and request.phone is None:
        raise BadRequest(NEEDS_NUMBER, "invalid_parameter")


def _chat_address(channel: str, phone: str, text: str) -> str:
    """Return the address that opens a chat with `phone`, with `text` prefilled."""
    template = channel_type(channel).chat_address
    return template.format(number=phone.removeprefix("+"), text=quote(text, safe=""))


def _number_to_write_to(connection: Connection, channel: str, *, now: int) -> str:
    """Choose a linked sender's number, preferably one that can answer now.

    Raises NotReady if no device is linked.
    """
    if (number := channel_type(channel).number) is not None:
        return number
    linked = select(tables.senders).where(
        tables.senders.c.channel == channel, tables.senders.c.phone.is_not(None)
    )
    rows = connection.execute(linked).all()
    if not rows:
        raise NotReady(NOT_LINKED, "no_linked_sender")
    able = [row for row in rows if _can_answer(row, now)]
    return str(secrets.choice(able or rows).phone)


def _can_answer(row: Row[Any], now: int) -> bool:
    """Return whether the sender can send now, at least to known contacts."""
    is_sending = row.carries in ("all", "known") and row.paused_at is None
    return is_sending and records.is_running(row, now=now)
