"""Accounts of numbers: remembered, or the channel's answer."""

from collections.abc import Callable

from hudhud.channels.base import UNNAMED, Account, Channel
from hudhud.core.clock import now_ms
from hudhud.core.errors import NoAccount
from hudhud.db.engine import Database
from hudhud.messages import contacts, whatsapp_accounts


class Accounts:
    """Finds accounts without holding a database connection while the channel is asked.

    With a channel that does not check numbers, all accounts are `UNNAMED`.
    """

    def __init__(
        self, database: Database, channel: Channel, clock: Callable[[], int] = now_ms
    ) -> None:
        self._database = database
        self._channel = channel
        self._clock = clock

    def remembered(self, phone: str) -> Account | None:
        """Return the account of a number, or None if the channel must be asked.

        Raises NoAccount if the number had none a short while ago.
        """
        if not self._channel.checks_numbers:
            return UNNAMED
        with self._database.read() as connection:
            known = contacts.known_account(connection, phone=phone, now=self._clock())
            account = whatsapp_accounts.account_of(connection, phone)
        if known is False:
            raise NoAccount
        return account if known else None

    def ask(self, phone: str) -> Account:
        """Return the channel's answer and store it.

        Raises NoAccount, or TransientFailure or Snoozed if there is no answer.
        """
        account = self._channel.find_account(phone)
        with self._database.write() as connection:
            contacts.remember_account(connection, phone=phone, account=account, now=self._clock())
        if account is None:
            raise NoAccount
        return account

    def confirms(self, phone: str, writer: Account) -> bool:
        """Return whether the channel says that a number is the writer's, asking if needed.

        A stored LID is not believed, because a person who changes the number keeps it.
        Raises SendFailed if there is no account or no answer.
        """
        if not self._channel.checks_numbers:
            return False
        known = self.remembered(phone)
        if known is None or known.phone is None or writer.phone is None:
            known = self.ask(phone)
        if known.phone is not None and known.phone == writer.phone:
            return True
        may_differ = known.phone is None or writer.phone is None
        return may_differ and known.lid is not None and known.lid == writer.lid
