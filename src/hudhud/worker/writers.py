"""Writers of inbound texts: which of their numbers WhatsApp confirms."""

import structlog
from sqlalchemy import Connection

from hudhud.channels.base import Written
from hudhud.core.clock import now_ms
from hudhud.core.errors import SendFailed
from hudhud.core.phones import mask_phone
from hudhud.db.engine import Database
from hudhud.messages import contacts, whatsapp_accounts
from hudhud.verification.links.inbound import LinkReplies
from hudhud.worker.accounts import Accounts

# Receipts wait while WhatsApp is asked, for up to ten seconds each.
MOST_CHECKED = 2

log = structlog.get_logger(__name__)


class Writers:
    """Finds out which numbers the writer of a text may prove."""

    def __init__(
        self, sender: str, database: Database, accounts: Accounts, link_replies: LinkReplies
    ) -> None:
        self._sender = sender
        self._database = database
        self._accounts = accounts
        self._link_replies = link_replies

    def confirmed(self, written: Written) -> frozenset[str]:
        """Return the writer's own number, and those expected by links that WhatsApp confirms."""
        own = whatsapp_accounts.own_number(written.account)
        checked = [phone for phone in self._to_check(written) if phone != own][:MOST_CHECKED]
        confirmed = {phone for phone in checked if self._confirms(phone, written)}
        return frozenset(confirmed if own is None else {own, *confirmed})

    def note(
        self, connection: Connection, phone: str, written: Written, confirmed: frozenset[str]
    ) -> frozenset[str]:
        """Store the writer's names and the text's time; return numbers that links may expect.

        If WhatsApp hides the number, those last seen with the LID are among them.
        """
        account = written.account
        for number in sorted(confirmed | {phone}):
            whatsapp_accounts.remember(connection, phone=number, account=account)
        numbers = whatsapp_accounts.numbers_behind(connection, account)
        own = whatsapp_accounts.own_number(account)
        for number in sorted(numbers | confirmed):
            contacts.remember_wrote(connection, phone=number, at=written.at, proves=number == own)
        return confirmed | numbers if own is None else confirmed

    def _to_check(self, written: Written) -> list[str]:
        """Return the numbers that a new text's links expect, newest first."""
        with self._database.read() as connection:
            expected = self._link_replies.expected_numbers(connection, written.text, now=now_ms())
            if not expected or contacts.is_kept(
                connection, sender=self._sender, message_id=written.provider_message_id
            ):
                return []
            hidden = whatsapp_accounts.number_behind(connection, written.account)
        phones = (phone or hidden for phone in expected)
        return list(dict.fromkeys(phone for phone in phones if phone is not None))

    def _confirms(self, phone: str, written: Written) -> bool:
        try:
            return self._accounts.confirms(phone, written.account)
        except SendFailed:  # without an answer it counts as another person's
            return False
        except Exception:  # the text must not be lost
            log.exception("a number could not be checked", phone=mask_phone(phone))
            return False
